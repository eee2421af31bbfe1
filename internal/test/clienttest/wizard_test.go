package clienttest_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/internal/test/clienttest"
	"qrgate/internal/test/enginesim"
)

func TestWizard_CallsInFirstMinute(t *testing.T) {
	t.Parallel()
	r := run(t, clienttest.Wizard, &enginesim.Engine{QRDelay: 24 * time.Hour})
	n := 0
	for _, s := range r.Steps {
		if s.At < time.Minute {
			n++
		}
	}
	if n < 26 || n > 27 {
		t.Errorf("%d requests in the first minute, contract 1.4 counts 26 to 27", n)
	}
	status := times(r, "/status")
	if len(status) != 1+61 || status[len(status)-1] != 310 {
		t.Errorf("%d looks at the status, the last at %d s", len(status), status[len(status)-1])
	}
}

func TestWizard_TwoExceedLimit(t *testing.T) {
	t.Parallel()
	engine := &enginesim.Engine{QRDelay: 24 * time.Hour, Limits: enginesim.RecordedLimits()}
	bubble(t, engine, func(t *testing.T, at clienttest.Target) {
		done := make(chan clienttest.Result)
		for range 2 {
			go func() { done <- clienttest.Wizard(t.Context(), at) }()
		}
		first, second := <-done, <-done
		refused := 0
		for _, s := range append(first.Steps, second.Steps...) {
			if s.Status == http.StatusTooManyRequests {
				refused++
			}
		}
		if refused == 0 {
			t.Error("no client was refused")
		}
	})
}

func TestWizard_LongerPausesAfter429(t *testing.T) {
	t.Parallel()
	signs := map[string]http.HandlerFunc{
		"the status":     say(429, `{}`),
		"a millisecond":  say(500, `{"success":false,"timestamp":"2025-11-06T06:33:01.429Z"}`),
		"the words":      say(503, `{"success":false,"error":"Demasiadas solicitudes"}`),
		"the other ones": say(503, `{"success":false,"error":"rate limit"}`),
	}
	for name, sign := range signs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asks atomic.Int32
			h := replaceRoute(&enginesim.Engine{QRDelay: 24 * time.Hour}, "/qr", func(w http.ResponseWriter, r *http.Request) {
				if asks.Add(1) <= 3 { // the server's own
					say(500, `{"success":false}`)(w, r)
					return
				}
				sign(w, r)
			})
			r := run(t, clienttest.Wizard, h)
			if diff := cmp.Diff([]int{10, 30, 70, 130, 190, 250}, times(r, "/qr")[3:]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWizard_StopsOnStates(t *testing.T) {
	t.Parallel()
	tests := map[string]bool{ // goes on
		`"connecting"`: true, `"qr_code"`: true, `"QR_CODE"`: true, `"qr"`: true, `"pending"`: true, `"qr_required"`: true,
		`"disconnected"`: false, `"error"`: false, `"timeout"`: false, `"rate_limited"`: false, `"qr_ready"`: false,
		`"generating"`: false, `"reconnecting"`: false, `"connected"`: false, `""`: false,
		`"connected","isConnected":1`: false,
	}
	for state, want := range tests {
		h := replaceRoute(&enginesim.Engine{QRDelay: 24 * time.Hour}, "/status",
			say(200, fmt.Sprintf(`{"success":true,"data":{"status":%s}}`, state)))
		r := run(t, clienttest.Wizard, h)
		if went := r.Err == nil && r.Took > 5*time.Minute; went != want {
			t.Errorf("%s: took %v, ended with %v", state, r.Took, r.Err)
		}
		if !want && (outcome(r) != "abort" || r.Linked) {
			t.Errorf("%s: ends with %s", state, outcome(r))
		}
		if asks := len(times(r, "/qr")) - 3; !want && asks > 1 {
			t.Errorf("%s: the page asked %d times", state, asks)
		}
	}
}

func TestWizard_ContinuesAfterErrors(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]http.HandlerFunc{
		"500":  say(500, `{"success":false,"error":"x"}`),
		"HTML": say(502, `<html>`),
		"null": say(200, `null`),
	} {
		engine := &enginesim.Engine{QRDelay: 30 * time.Second}
		var looks atomic.Int32
		r := run(t, clienttest.Wizard, replaceRoute(engine, "/status", func(w http.ResponseWriter, r *http.Request) {
			if looks.Add(1) == 1 { // the create's own
				engine.ServeHTTP(w, r)
				return
			}
			h(w, r)
		}))
		if !r.GotQR || r.Err != nil {
			t.Errorf("%s: ended with %v, QR %v", name, r.Err, r.GotQR)
		}
	}
}

func TestWizard_ReadsListOn404(t *testing.T) {
	t.Parallel()
	engine := &enginesim.Engine{QRDelay: 30 * time.Second, Status404UntilLinked: true}
	r := run(t, clienttest.Wizard, engine)
	if !r.GotQR || r.Err != nil || len(times(r, "/api/sessions")) < 10 {
		t.Errorf("ended with %v, QR %v, %d lists", r.Err, r.GotQR, len(times(r, "/api/sessions")))
	}
	h := replaceRoute(engine, "/api/sessions", func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			say(200, `{"success":true,"data":{"sessions":[]}}`)(w, r)
			return
		}
		engine.ServeHTTP(w, r)
	})
	if r := run(t, clienttest.Wizard, h); outcome(r) != "abort" {
		t.Errorf("not on the list, and the wizard ends with %s", outcome(r))
	}
}

func TestWizard_ShowsQRAndDetectsLink(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		delay  time.Duration
		bare   bool
		asks   int  // of the page
		broken bool // the image it shows
	}{
		"with the create": {4 * time.Second, false, 0, false},
		"by the page":     {30 * time.Second, false, 5, true},
		"bare":            {30 * time.Second, true, 5, false},
	}
	for name, test := range tests {
		engine := &enginesim.Engine{QRDelay: test.delay, BareBase64: test.bare}
		var r clienttest.Result
		bubble(t, engine, func(t *testing.T, at clienttest.Target) {
			at.Session = "one"
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			time.AfterFunc(62*time.Second, func() {
				if err := engine.Link("one"); err != nil {
					t.Error(err)
				}
			})
			r = clienttest.Wizard(ctx, at)
		})
		asks := 0
		for _, s := range r.Steps {
			if strings.HasSuffix(s.Path, "/qr") && s.At >= 10*time.Second {
				asks++
			}
		}
		if test.delay >= 10*time.Second {
			asks-- // the third of the create itself
		}
		if asks != test.asks || r.Broken != test.broken || !r.GotQR || !r.Linked || r.Took > 66*time.Second {
			t.Errorf("%s: %d asks, broken %v, QR %v, linked %v after %v", name, asks, r.Broken, r.GotQR, r.Linked, r.Took)
		}
	}
}

func TestWizard_SlowResponsesOverlap(t *testing.T) {
	t.Parallel()
	engine := &enginesim.Engine{QRDelay: 24 * time.Hour}
	var under, most atomic.Int32
	h := replaceRoute(engine, "/qr", func(w http.ResponseWriter, r *http.Request) {
		most.Store(max(most.Load(), under.Add(1)))
		defer under.Add(-1)
		time.Sleep(8 * time.Second)
		engine.ServeHTTP(w, r)
	})
	run(t, clienttest.Wizard, h)
	if most.Load() != 2 {
		t.Errorf("at most %d questions at once, want 2", most.Load())
	}
}
