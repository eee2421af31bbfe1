package probes_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"qrgate/internal/secret"
	"qrgate/internal/test/enginesim"
	"qrgate/probes"
)

// scrape asks a handler; header is X-Prometheus-Scrape-Timeout-Seconds.
func (r *rig) scrape(h http.Handler, query, header string) *httptest.ResponseRecorder {
	req := httptest.NewRequestWithContext(r.Context(), http.MethodGet, "/probe?"+query, nil)
	if header != "" {
		req.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", header)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

// numbers parses an exposition as Prometheus does.
func (r *rig) numbers(w *httptest.ResponseRecorder) map[string]float64 {
	r.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(w.Body)
	if err != nil {
		r.Fatal(err)
	}
	out := map[string]float64{}
	for name, f := range families {
		for _, m := range f.GetMetric() {
			about := name
			for _, l := range m.GetLabel() {
				about += " " + l.GetValue()
			}
			out[about] = m.GetGauge().GetValue()
		}
	}
	return out
}

func TestHandler_ReturnsMetricsAndLimitsRate(t *testing.T) {
	bubble(t, &enginesim.Engine{QRDelay: 2 * time.Second}, func(r *rig) {
		h := r.prober().Handler()
		w := r.scrape(h, "target=gate&module=create_connect_qr", "20")
		got := r.numbers(w)
		if w.Code != 200 || got["probe_success"] != 1 || got["probe_timeout_seconds"] != 18.5 || got["probe_diagnosis_info none"] != 1 ||
			got["probe_step_success qr"] != 1 || got["probe_step_duration_seconds qr"] < 2 {
			t.Errorf("%d %v", w.Code, got)
		}
		r.engine.Change(func(e *enginesim.Engine) { e.QRDelay = time.Hour })
		if w := r.scrape(h, "target=gate&module=create_connect_qr", ""); w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" {
			t.Errorf("a second run at once returns %d, to be repeated after %q", w.Code, w.Header().Get("Retry-After"))
		}
		time.Sleep(30 * time.Second)
		began := time.Now()
		w = r.scrape(h, "target=gate&module=create_connect_qr", "13")
		got = r.numbers(w)
		if took := time.Since(began); took > 12500*time.Millisecond {
			t.Errorf("the response to a scrape with thirteen seconds comes after %v", took)
		}
		if w.Code != 200 || got["probe_success"] != 0 || got["probe_diagnosis_info qr_not_emitted"] != 1 {
			t.Errorf("%d %v", w.Code, got)
		}
		r.seen.read(func(c *tally) {
			if len(c.ran) > 0 {
				t.Errorf("scrapes were counted as scheduled runs: %v", c.ran)
			}
		})
		r.clean()
	})
}

// A scrape timeout that is too short for a healthy target is not the target's failure.
func TestHandler_ShortTimeoutIsSkipped(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		engine *enginesim.Engine
		query  string
		within string
		missed string // "": the target is to blame
	}{
		"no QR in 4 s":       {&enginesim.Engine{QRDelay: time.Hour}, "create_connect_qr", "7", "for a QR, which may take"},
		"no QR in 9 s":       {&enginesim.Engine{QRDelay: time.Hour}, "create_connect_qr", "13", ""},
		"no create in 1 s":   {&enginesim.Engine{Latency: time.Hour}, "create_delete", "2", "for a response, which may take"},
		"no create in 6 s":   {&enginesim.Engine{Latency: time.Hour}, "create_delete", "8", ""},
		"no health in 1.5 s": {&enginesim.Engine{Latency: time.Hour}, "engine_health", "2", "for a response, which may take"},
		"no health in 5 s":   {&enginesim.Engine{Latency: time.Hour}, "engine_health", "10", ""},
		"an error at once":   {fault(enginesim.RouteCreate, enginesim.ServerError), "create_delete", "2", ""},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, tt.engine, func(r *rig) {
				w := r.scrape(r.prober().Handler(), "debug=true&target=gate&module="+tt.query, tt.within)
				want := http.StatusOK
				if tt.missed != "" {
					want = http.StatusServiceUnavailable
				}
				text := w.Body.String()
				if w.Code != want || !strings.Contains(text, tt.missed) || strings.Contains(text, "too_short") != (tt.missed != "") {
					t.Errorf("%d, want %d: %s", w.Code, want, text)
				}
				r.engine.Change(func(e *enginesim.Engine) { e.Latency = 0 })
				time.Sleep(time.Minute)
			})
		})
	}
}

func TestHandler_InvalidRequests(t *testing.T) {
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		h := r.prober().Handler()
		for query, header := range map[string]string{
			"":                                      "",
			"target=gate":                           "",
			"target=gate&module=gremlins":           "",
			"module=engine_health":                  "",
			"target=http://x&module=engine_health":  "",
			"target=gate&module=engine_health&a=1":  "soon",
			"target=gate&module=engine_health&a=2":  "NaN",
			"target=gate&module=engine_health&a=3":  "-1",
			"target=other&module=create_connect_qr": "10",
		} {
			if w := r.scrape(h, query, header); w.Code != http.StatusBadRequest {
				t.Errorf("%s with %q returns %d", query, header, w.Code)
			}
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(r.Context(), http.MethodPost, "/probe?target=gate&module=engine_health", nil))
		if w.Code != http.StatusMethodNotAllowed {
			t.Errorf("POST returns %d", w.Code)
		}
		if n := r.engine.CountSince(enginesim.AnyRoute, time.Time{}); n > 0 {
			t.Errorf("%d calls were made for requests that were refused", n)
		}
	})
}

func TestHandler_DebugOmitsSecrets(t *testing.T) {
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		other := r.target
		other.Name, other.Key = "other", secret.NewSecret("key-other")
		h := r.prober(func(c *probes.Config) { c.Others = []probes.Target{other} }).Handler()
		text := r.scrape(h, "target=other&module=create_connect_qr&debug=true", "").Body.String()
		for _, want := range []string{"validate success", `"outcome": "success"`, "probe_success 1", `"key_set": true`, `"target": "other"`} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is missing in %s", want, text)
			}
		}
		for _, secret := range []string{"key-other", "key-probe", "base64,", "2@"} {
			if strings.Contains(text, secret) {
				t.Errorf("%q is shown in %s", secret, text)
			}
		}
		for _, c := range r.engine.Calls() {
			if c.Header.Get("X-Api-Key") != "key-other" {
				t.Errorf("%s %s was made with another target's key", c.Method, c.Path)
			}
		}
		r.clean()
	})
}

// A second scrape gets 429; a scrape whose client disconnects cleans up.
func TestHandler_OneRunAtATime(t *testing.T) {
	bubble(t, &enginesim.Engine{QRDelay: time.Hour}, func(r *rig) {
		h := r.prober().Handler()
		ctx, leave := context.WithCancel(r.Context())
		first := httptest.NewRecorder()
		done := make(chan struct{})
		go func() {
			defer close(done)
			h.ServeHTTP(first, httptest.NewRequestWithContext(ctx, http.MethodGet, "/probe?target=gate&module=create_connect_qr", nil))
		}()
		time.Sleep(time.Second)
		if w := r.scrape(h, "target=gate&module=engine_health", ""); w.Code != http.StatusTooManyRequests {
			t.Errorf("a second scrape beside the first returns %d", w.Code)
		}
		leave()
		<-done
		if first.Code != http.StatusServiceUnavailable {
			t.Errorf("a canceled scrape returns %d", first.Code)
		}
		synctest.Wait()
		r.clean()
		if w := r.scrape(h, "target=gate&module=engine_health", "5"); w.Code != 200 {
			t.Errorf("after that, a scrape returns %d: %s", w.Code, w.Body)
		}
	})
}

// A module that makes sessions needs the probe's key. Without it the scrape fails, and the target is not called.
func TestHandler_ModuleWithoutKeyIsUnavailable(t *testing.T) {
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		r.target.Key = secret.Secret{}
		h := r.prober().Handler()
		for _, module := range []string{probes.CreateDelete, probes.CreateConnectQR} {
			w := r.scrape(h, "target=gate&module="+module, "")
			if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "needs QRGATE_PROBE_API_KEY") {
				t.Errorf("%s: %d %s", module, w.Code, w.Body)
			}
		}
		if n := r.engine.CountSince(enginesim.AnyRoute, time.Time{}); n != 0 {
			t.Errorf("%d calls", n)
		}
		if w := r.scrape(h, "target=gate&module="+probes.EngineHealth, ""); w.Code != http.StatusOK {
			t.Errorf("engine_health: %d", w.Code)
		}
	})
}
