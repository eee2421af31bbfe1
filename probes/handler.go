package probes

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"qrgate/internal/session"
)

// Handler serves GET /probe?target=NAME&module=PROBE on the operators' port: it runs the probe and returns the result
// in Prometheus' text format, as blackbox_exporter does; debug=true returns the log and the configuration too.
//
// Targets are configured names, never URLs: a client of this port must not choose what the gateway calls. The run ends
// half a second before X-Prometheus-Scrape-Timeout-Seconds. One runs at a time, and probes that make sessions at most
// every 30 s; 429 has a Retry-After. A skipped run is a 503, so that the scrape fails instead of the probe.
func (p *Prober) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			w.Header().Set("Allow", http.MethodGet)
			http.Error(w, "Method not allowed: use GET.", http.StatusMethodNotAllowed)
			return
		}
		request, err := p.parseRequest(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if catalog[request.probe].makesSession && p.targets[request.target].Key.Empty() {
			// Not a result of the probe: the target would refuse a call without a key.
			http.Error(w, request.probe+" needs QRGATE_PROBE_API_KEY", http.StatusServiceUnavailable)
			return
		}
		release, after := p.throttle.acquire(request, minSpacing(request), time.Now())
		if release == nil {
			w.Header().Set("Retry-After", strconv.Itoa(int((after+time.Second-1)/time.Second)))
			text := "Too many runs: another one is in progress, or the last one is too recent."
			http.Error(w, text, http.StatusTooManyRequests)
			return
		}
		defer release()
		result := p.runManually(r.Context(), request)
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		if result.SkipReason != "" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		if r.URL.Query().Get("debug") == "true" {
			_, _ = w.Write(p.debug(request, result))
			return
		}
		_, _ = w.Write(exposition(result, request.limit))
	})
}

// parseRequest reads a request. The error is for its client.
func (p *Prober) parseRequest(r *http.Request) (runRequest, error) {
	query := r.URL.Query()
	request := runRequest{probe: query.Get("module"), target: query.Get("target")}
	kind, known := catalog[request.probe]
	if !known {
		return request, fmt.Errorf("unknown module %q; the modules are %s", request.probe, nameList())
	}
	if _, known := p.targets[request.target]; !known {
		names := strings.Join(slices.Sorted(maps.Keys(p.targets)), ", ")
		return request, fmt.Errorf("unknown target %q; the targets are %s", request.target, names)
	}
	request.limit = p.limit(kind, 0)
	if text := r.Header.Get("X-Prometheus-Scrape-Timeout-Seconds"); text != "" {
		seconds, err := strconv.ParseFloat(text, 64)
		if err != nil || !(seconds > 0 && seconds < 3600) {
			return request, errors.New("X-Prometheus-Scrape-Timeout-Seconds is not a number of seconds")
		}
		timeout := time.Duration(seconds * float64(time.Second))
		request.limit = min(request.limit, scrapeLimit(timeout, kind.makesSession))
	}
	return request, nil
}

// scrapeLimit is how long a run may take within a scrape's timeout: half a second less for the response, one second
// less for a cleanup, and at least half of it.
func scrapeLimit(timeout time.Duration, makesSession bool) time.Duration {
	reserve := 500 * time.Millisecond
	if makesSession {
		reserve += time.Second
	}
	return max(timeout-reserve, timeout/2)
}

// minSpacing is the least time between two runs of one probe at one target.
func minSpacing(request runRequest) time.Duration {
	if catalog[request.probe].makesSession {
		return 30 * time.Second
	}
	return 0
}

// throttle admits one run at a time, and none too soon after the last of its kind.
type throttle struct {
	mu   sync.Mutex
	busy bool
	last map[string]time.Time // by probe and target: when the last run began
}

// acquire admits a run, or returns when to retry and a nil release.
func (t *throttle) acquire(
	request runRequest, spacing time.Duration, now time.Time,
) (release func(), retryAfter time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := request.probe + " " + request.target
	if left := t.last[key].Add(spacing).Sub(now); left > 0 {
		return nil, left
	}
	if t.busy {
		return nil, time.Second
	}
	t.busy, t.last[key] = true, now
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.busy = false
	}, 0
}

// exposition is a result in Prometheus' text format, with blackbox_exporter's names, so that its dashboards and rules
// fit.
func exposition(r Result, limit time.Duration) []byte {
	var b bytes.Buffer
	header := func(name, help string) {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name)
	}
	gauge := func(name, help string, value float64) {
		header(name, help)
		fmt.Fprintf(&b, "%s %g\n", name, value)
	}
	isSuccess := map[session.Outcome]float64{session.Success: 1}
	gauge("probe_success", "1 if the probe succeeded.", isSuccess[r.Outcome])
	gauge("probe_duration_seconds", "Duration of the run with its cleanup.", r.Seconds)
	gauge("probe_timeout_seconds", "Limit of the run without its cleanup.", limit.Seconds())
	header("probe_diagnosis_info", "Why the probe failed; none after a success.")
	fmt.Fprintf(&b, "probe_diagnosis_info{diagnosis=%q} 1\n", r.Code())
	if len(r.Steps) == 0 {
		return b.Bytes()
	}
	header("probe_step_duration_seconds", "Duration of each step.")
	for _, s := range r.Steps {
		fmt.Fprintf(&b, "probe_step_duration_seconds{step=%q} %g\n", s.Name, s.Seconds)
	}
	header("probe_step_success", "1 if the step succeeded.")
	for _, s := range r.Steps {
		fmt.Fprintf(&b, "probe_step_success{step=%q} %g\n", s.Name, isSuccess[s.Outcome])
	}
	return b.Bytes()
}

// debug describes a run for a person: the steps, the metrics, and the configuration without its secrets.
func (p *Prober) debug(request runRequest, r Result) []byte {
	var b bytes.Buffer
	b.WriteString("Log of the run:\n")
	at := r.StartedAt
	for _, s := range r.Steps {
		at = at.Add(time.Duration(s.Seconds * float64(time.Second)))
		fmt.Fprintf(&b, "%s %s %s %.3fs %s\n", at.UTC().Format("15:04:05.000"), s.Name, s.Outcome, s.Seconds, s.Detail)
	}
	fmt.Fprintf(&b, "\nResult:\n%s\n", indentJSON(r))
	fmt.Fprintf(&b, "\nMetrics:\n%s", exposition(r, request.limit))
	t := p.targets[request.target]
	fmt.Fprintf(&b, "\nConfiguration:\n%s\n", indentJSON(map[string]any{
		"target": t.Name, "url": t.URL.Redacted(), "key_set": !t.Key.Empty(), "module": request.probe,
		"timeout_seconds": request.limit.Seconds(), "spacing_seconds": minSpacing(request).Seconds(),
		"max_sessions": maxSessions, "max_orphans": maxOrphans,
	}))
	return b.Bytes()
}

func indentJSON(v any) []byte {
	text, _ := json.MarshalIndent(v, "", "  ") // plain values cannot fail
	return text
}
