package probes

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Handler answers GET /probe?target=NAME&module=PROBE on the operators' port with the result of a fresh run
// in Prometheus' text format, as blackbox_exporter does; debug=true adds the log and the configuration.
//
// Targets are names that were configured, never URLs: whoever can reach this port must not choose whom the
// gate calls. The run ends half a second before X-Prometheus-Scrape-Timeout-Seconds. One runs at a time,
// and what makes sessions not too often; 429 says when to come back. A run that says nothing about its
// target, because the prober itself failed, is a 503, so that the scrape fails instead of the probe.
func (p *Prober) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			w.Header().Set("Allow", http.MethodGet)
			http.Error(w, "Only GET is answered here.", http.StatusMethodNotAllowed)
			return
		}
		o, err := p.parseRequest(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		leave, after := p.desk.enter(o, p.spacing(o), time.Now())
		if leave == nil {
			w.Header().Set("Retry-After", strconv.Itoa(int((after+time.Second-1)/time.Second)))
			http.Error(w, "A run is under way, or the last one is too recent.", http.StatusTooManyRequests)
			return
		}
		defer leave()
		run := p.once(r.Context(), o)
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		if run.SkipReason != "" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		if r.URL.Query().Get("debug") == "true" {
			_, _ = w.Write(p.debug(o, run))
			return
		}
		_, _ = w.Write(exposition(run, o.limit))
	})
}

// parseRequest reads a request. The error is a sentence for whoever sent it.
func (p *Prober) parseRequest(r *http.Request) (runRequest, error) {
	query := r.URL.Query()
	o := runRequest{probe: query.Get("module"), target: query.Get("target")}
	kind, known := catalogue()[o.probe]
	if !known {
		return o, fmt.Errorf("there is no module %q; there are %s", o.probe, list())
	}
	if _, known := p.targets[o.target]; !known {
		return o, fmt.Errorf("there is no target %q; there are %s", o.target, strings.Join(slices.Sorted(maps.Keys(p.targets)), ", "))
	}
	o.limit = limitOf(kind, p.cfg.Timeout, 0)
	if text := r.Header.Get("X-Prometheus-Scrape-Timeout-Seconds"); text != "" {
		seconds, err := strconv.ParseFloat(text, 64)
		if err != nil || !(seconds > 0 && seconds < 3600) {
			return o, errors.New("X-Prometheus-Scrape-Timeout-Seconds is no number of seconds")
		}
		o.limit = min(o.limit, scrapeLimit(time.Duration(seconds*float64(time.Second)), kind.session))
	}
	return o, nil
}

// scrapeLimit is what a scrape's time-out leaves for the run: half a second less for the way back, and one
// more for the cleanup where there is one; of a short time-out, half.
func scrapeLimit(timeout time.Duration, session bool) time.Duration {
	reserve := 500 * time.Millisecond
	if session {
		reserve += time.Second
	}
	return max(timeout-reserve, timeout/2)
}

func (p *Prober) spacing(o runRequest) time.Duration {
	if catalogue()[o.probe].session {
		return p.cfg.Spacing
	}
	return 0
}

// throttle lets one request at a time through, and none too soon after the last of its kind.
type throttle struct {
	mu   sync.Mutex
	busy bool
	last map[string]time.Time // :: probe and target → when the last run began
}

// enter takes the desk, or says after how long to come back.
func (d *throttle) enter(o runRequest, spacing time.Duration, now time.Time) (leave func(), after time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	about := o.probe + " " + o.target
	if left := d.last[about].Add(spacing).Sub(now); left > 0 {
		return nil, left
	}
	if d.busy {
		return nil, time.Second
	}
	d.busy, d.last[about] = true, now
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.busy = false
	}, 0
}
