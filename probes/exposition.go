package probes

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"qrgate/internal/session"
)

// exposition is one run in Prometheus' text format. The names are blackbox_exporter's where it has one, so
// that its dashboards and rules fit.
func exposition(r Result, limit time.Duration) []byte {
	var b bytes.Buffer
	gauge := func(name, help string) {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name)
	}
	gauge("probe_success", "1 if the probe succeeded.")
	fmt.Fprintf(&b, "probe_success %d\n", one(r.Healthy()))
	gauge("probe_duration_seconds", "How long the run took, its cleanup included.")
	fmt.Fprintf(&b, "probe_duration_seconds %g\n", r.Seconds)
	gauge("probe_timeout_seconds", "How long it might have taken, its cleanup excluded.")
	fmt.Fprintf(&b, "probe_timeout_seconds %g\n", limit.Seconds())
	gauge("probe_diagnosis_info", "Why the probe failed; the diagnosis is none when it did not.")
	fmt.Fprintf(&b, "probe_diagnosis_info{diagnosis=%q} 1\n", r.Code())
	if len(r.Steps) > 0 {
		gauge("probe_step_duration_seconds", "How long each step took.")
		for _, s := range r.Steps {
			fmt.Fprintf(&b, "probe_step_duration_seconds{step=%q} %g\n", s.Name, s.Seconds)
		}
		gauge("probe_step_success", "1 if the step succeeded.")
		for _, s := range r.Steps {
			fmt.Fprintf(&b, "probe_step_success{step=%q} %d\n", s.Name, one(s.Outcome == session.Success))
		}
	}
	return b.Bytes()
}

func one(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// debug is everything about one run for a person: what happened, the numbers, and the configuration
// without its secrets.
func (p *Prober) debug(o runRequest, r Result) []byte {
	var b bytes.Buffer
	b.WriteString("Log of the run:\n")
	at := r.StartedAt
	for _, s := range r.Steps {
		at = at.Add(time.Duration(s.Seconds * float64(time.Second)))
		fmt.Fprintf(&b, "%s %s %s %.3fs %s\n", at.UTC().Format("15:04:05.000"), s.Name, s.Outcome, s.Seconds, s.Detail)
	}
	fmt.Fprintf(&b, "\nResult:\n%s\n", pretty(r))
	fmt.Fprintf(&b, "\nMetrics:\n%s", exposition(r, o.limit))
	t := p.targets[o.target]
	fmt.Fprintf(&b, "\nConfiguration:\n%s\n", pretty(map[string]any{
		"target": t.Name, "url": t.URL.Redacted(), "key_set": !t.Key.Empty(), "module": o.probe, "timeout_seconds": o.limit.Seconds(),
		"spacing_seconds": p.spacing(o).Seconds(), "max_sessions": maxSessions, "max_orphans": p.cfg.MaxOrphans,
	}))
	return b.Bytes()
}

func pretty(v any) []byte {
	text, _ := json.MarshalIndent(v, "", "  ") // plain values cannot fail
	return text
}
