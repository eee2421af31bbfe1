package app

import (
	"net/http"
	"runtime"
	"time"

	"qrgate/compat/embedded"
	"qrgate/internal/session"
	"qrgate/internal/statuspage"
	"qrgate/probes"
)

// mountStatus serves the status page.
func (a *App) mountStatus(mux *http.ServeMux) {
	started := time.Now()
	page := statuspage.Handler(func() statuspage.Snapshot { return a.backends[0].snapshot(started, time.Now()) })
	mux.Handle("GET /{$}", http.RedirectHandler("status", http.StatusFound))
	mux.Handle("GET /status", page)
	mux.Handle("GET /status/", page)
}

// snapshot combines recent events with the current state.
func (b *backend) snapshot(started, now time.Time) statuspage.Snapshot {
	s := b.recorder.Snapshot(now)
	b.addStats(&s)
	s.Engine.Kind = statuspage.EngineEmbedded
	if b.Base != nil {
		s.Engine.Kind, s.Engine.Address = statuspage.EngineHTTP, b.Base.Host
	}
	s.WhatsApp = b.reachability.statusView()
	s.Store.Kind, s.Store.State = "memory", "ok"
	if b.store != nil {
		s.Store.Kind = "redis"
		if !b.store.Up() {
			s.Store.State, s.Store.Note = statuspage.StoreDegraded, b.storeNote()
		}
	}
	s.Probes = b.probesView()
	if b.cfg.ProbeKey.Empty() {
		s.ProbesNote = "Probes without a key create no sessions. Set QRGATE_PROBE_API_KEY to probe the acquisition of a QR."
	}
	s.CanNotify = b.notifier != nil
	s.Build = statuspage.Build{Version: b.cfg.Version, Go: runtime.Version(), Started: started}
	if b.embedded != nil {
		s.Build.WhatsApp, s.Build.IsWhatsAppOld = embedded.DescribeVersion(time.Now())
	}
	s.Links = []statuspage.Link{
		{Name: "Metrics", Href: "metrics"}, {Name: "Readiness", Href: "readyz"},
		{Name: "This page as JSON", Href: "status?format=json"}, {Name: "All causes and what to do", Href: "status/causes"},
		{Name: "API", Href: "docs/"},
	}
	if b.cfg.PProf {
		s.Links = append(s.Links, statuspage.Link{Name: "Profiles", Href: "debug/pprof/"})
	}
	return s
}

// storeNote explains a store that has lost its Redis.
func (a *App) storeNote() string {
	return "Redis is unavailable (" + a.store.Why() + "), using the in-memory store."
}

// addStats adds the sessions, those of probes apart, the waiting requests and the rate limit.
func (b *backend) addStats(s *statuspage.Snapshot) {
	stats := b.acquirer.Stats()
	s.Sessions = map[session.State]int{}
	for state, n := range stats.Sessions {
		s.Sessions[state] = n - stats.Synthetic[state]
		s.Probing += stats.Synthetic[state]
	}
	s.Waiters, s.WaiterLimit = stats.Waiters, stats.Limit
	s.Engine.RateLimit = statuspage.RateLimit{
		Known: stats.Remaining >= 0, Remaining: max(stats.Remaining, 0), ReportedAt: stats.LimitsAt,
	}
}

// probesView groups the runs by probe.
func (b *backend) probesView() []statuspage.Probe {
	all, runs, intervals := []statuspage.Probe{}, b.prober.History(), b.probeIntervals()
	for _, name := range probes.Names() {
		every := intervals[name]
		p := statuspage.Probe{Name: name, Every: every.Seconds(), Runs: []probes.Result{}}
		p.Elsewhere = every > 0 && b.prober.RunsOnOtherReplica(name)
		for _, r := range runs {
			if r.Probe == name {
				p.Runs = append(p.Runs, r)
			}
		}
		if len(p.Runs) > 0 || every > 0 {
			all = append(all, p)
		}
	}
	return all
}
