package app

import (
	"net/http"
	"runtime"
	"slices"
	"time"

	"qrgate/internal/acquire"
	"qrgate/internal/session"
	"qrgate/internal/statuspage"
	"qrgate/probes"
)

// mountStatus serves the status page.
func (a *App) mountStatus(mux *http.ServeMux) {
	started := time.Now()
	page := statuspage.Handler(func() statuspage.Snapshot { return a.snapshot(started, time.Now()) })
	mux.Handle("GET /{$}", http.RedirectHandler("status", http.StatusFound))
	mux.Handle("GET /status", page)
	mux.Handle("GET /status/", page)
}

// snapshot combines recent events with the current state.
func (a *App) snapshot(started, now time.Time) statuspage.Snapshot {
	s := a.recorder.Snapshot(now)
	stats := a.acquirer.Stats()
	s.Sessions, s.Probing = splitByOrigin(stats)
	s.Waiters = statuspage.Waiters{Held: stats.Waiters, Limit: stats.Limit}
	s.Engine.Kind = statuspage.EngineEmbedded
	if a.cfg.EngineURL != nil {
		s.Engine.Kind, s.Engine.Address = statuspage.EngineHTTP, a.cfg.EngineURL.Host
	}
	s.Engine.Budget = statuspage.Budget{Known: stats.Remaining >= 0, Left: max(stats.Remaining, 0), Told: stats.LimitsAt}
	s.WhatsApp = a.reachability.statusView()
	s.Store.Kind, s.Store.State = "memory", "ok"
	if a.store != nil {
		s.Store.Kind = "redis"
		if !a.store.Up() {
			s.Store.State, s.Store.Note = statuspage.StoreDegraded, "Redis is unavailable ("+a.store.Why()+"), using the in-memory store."
		}
	}
	s.Probes = probesView(a.prober.History(), a.probeIntervals(), !a.cfg.ProbeKey.Empty())
	for i, p := range s.Probes.Probes {
		s.Probes.Probes[i].Elsewhere = p.Every > 0 && a.prober.RunsOnOtherReplica(p.Name)
	}
	s.Build = statuspage.Build{Version: a.cfg.Version, Go: runtime.Version(), Started: started, Uptime: now.Sub(started).Seconds()}
	s.Links = []statuspage.Link{{Name: "Metrics", Href: "metrics"}, {Name: "Readiness", Href: "readyz"}, {Name: "This page as JSON", Href: "status?format=json"},
		{Name: "All causes and what to do", Href: "status/causes"}}
	if a.cfg.PProf {
		s.Links = append(s.Links, statuspage.Link{Name: "Profiles", Href: "debug/pprof/"})
	}
	return s
}

// splitByOrigin separates clients' sessions from those of probes.
func splitByOrigin(stats acquire.Stats) (clients map[session.State]int, probing int) {
	clients = map[session.State]int{}
	for state, n := range stats.Sessions {
		clients[state] = n - stats.Synthetic[state]
		probing += stats.Synthetic[state]
	}
	return clients, probing
}

// probesView groups the runs by probe, the newest first. Without a key most probes cannot run.
func probesView(runs []probes.Result, every map[string]time.Duration, key bool) statuspage.Probes {
	out := statuspage.Probes{Configured: key}
	if !key {
		out.Note = "No probes are configured. Set QRGATE_PROBE_API_KEY to probe the acquisition of a QR."
		if len(every) > 0 {
			out.Note = "Probes without a key create no sessions. Set QRGATE_PROBE_API_KEY to probe the acquisition of a QR."
		}
	}
	for _, name := range probes.Names() {
		p := statuspage.Probe{Name: name, Every: every[name].Seconds()}
		for _, r := range runs {
			if r.Probe == name {
				p.Runs = append(p.Runs, runView(r))
			}
		}
		if len(p.Runs) > 0 || p.Every > 0 {
			out.Probes = append(out.Probes, p)
		}
	}
	return out
}

// runView is a run without its session.
func runView(r probes.Result) statuspage.Run {
	out := statuspage.Run{ID: r.ID, Began: r.StartedAt, Seconds: r.Seconds, Outcome: r.Outcome, Missed: r.SkipReason}
	if r.Diagnosis != nil {
		out.Code = r.Diagnosis.Code
		if len(r.Diagnosis.Evidence) > 0 {
			out.Evidence = r.Diagnosis.Evidence[0]
		}
	}
	if i := slices.IndexFunc(r.Steps, func(s probes.Step) bool { return s.Outcome == session.Failure }); i >= 0 {
		out.Step = r.Steps[i].Name
	}
	return out
}
