package app

import (
	"net/http"
	"runtime"
	"slices"
	"time"

	"qrgate/compat/embedded"
	"qrgate/internal/session"
	"qrgate/internal/statuspage"
	"qrgate/probes"
)

// mountStatus serves the status page, of the engine that the query names, or of the one with the worst verdict.
func (a *App) mountStatus(mux *http.ServeMux) {
	started := time.Now()
	pages := map[string]http.Handler{}
	for _, b := range a.backends {
		pages[b.engine.Name] = statuspage.Handler(func() statuspage.Snapshot { return a.overview(b, started, time.Now()) })
	}
	worst := statuspage.Handler(func() statuspage.Snapshot { return a.overview(nil, started, time.Now()) })
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler := worst
		if name := r.URL.Query().Get("engine"); name != "" {
			if handler = pages[name]; handler == nil {
				http.Error(w, a.unknownEngine(name), http.StatusNotFound)
				return
			}
		}
		handler.ServeHTTP(w, r)
	})
	mux.Handle("GET /{$}", http.RedirectHandler("status", http.StatusFound))
	mux.Handle("GET /status", page)
	mux.Handle("GET /status/", page)
}

// levels are the levels of verdicts, the worst first.
var levels = []string{statuspage.LevelFailing, statuspage.LevelDegraded, statuspage.LevelUnknown, statuspage.LevelOK}

// overview is the snapshot of an engine, nil for the one with the worst verdict, with a line about each of several.
func (a *App) overview(shown *backend, started, now time.Time) (s statuspage.Snapshot) {
	worst := len(levels)
	var members []statuspage.Member
	for _, b := range a.backends {
		own := b.snapshot(started, now)
		verdict := statuspage.Judge(own)
		if level := slices.Index(levels, verdict.Level); b == shown || shown == nil && level < worst {
			s, worst = own, level
		}
		members = append(members, statuspage.Member{
			Name: b.engine.Name, Address: own.Engine.Address, State: own.Engine.State, Level: verdict.Level,
			Title: verdict.Title, Weight: b.engine.Weight, Sessions: own.Total(), Waiters: own.Waiters,
		})
	}
	if len(members) > 1 {
		s.Engines = members
	}
	return s
}

// snapshot combines recent events with the current state.
func (b *backend) snapshot(started, now time.Time) statuspage.Snapshot {
	s := b.recorder.Snapshot(now)
	b.addStats(&s)
	s.Engine.Kind = statuspage.EngineEmbedded
	if b.engine.Base != nil {
		s.Engine.Kind, s.Engine.Address = statuspage.EngineHTTP, b.engine.Base.Host
	}
	if len(b.app.backends) > 1 {
		s.Engine.Name = b.engine.Name
	}
	s.WhatsApp = b.app.reachability.statusView()
	s.Store.Kind, s.Store.State = "memory", "ok"
	if b.app.store != nil {
		s.Store.Kind = "redis"
		if !b.app.store.Up() {
			s.Store.State, s.Store.Note = statuspage.StoreDegraded, b.app.storeNote()
		}
	}
	s.Probes = b.probesView()
	if b.app.cfg.ProbeKey.Empty() {
		s.ProbesNote = "Probes without a key create no sessions. Set QRGATE_PROBE_API_KEY to probe the acquisition of a QR."
	}
	s.CanNotify = b.notifier != nil
	s.Build = statuspage.Build{Version: b.app.cfg.Version, Go: runtime.Version(), Started: started}
	if b.embedded != nil {
		s.Build.WhatsApp, s.Build.IsWhatsAppOld = embedded.DescribeVersion(time.Now())
	}
	s.Links = []statuspage.Link{
		{Name: "Metrics", Href: "metrics"}, {Name: "Readiness", Href: "readyz"},
		{Name: "This page as JSON", Href: "status?format=json"}, {Name: "All causes and what to do", Href: "status/causes"},
		{Name: "API", Href: "docs/"},
	}
	if b.app.cfg.PProf {
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
	all, runs, intervals := []statuspage.Probe{}, b.prober.History(), b.app.probeIntervals()
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
