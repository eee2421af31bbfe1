package confusion_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"qrgate/internal/breaker"
	"qrgate/internal/diagnosis"
	"qrgate/internal/test/enginesim"
)

// restWorld is a gateway in front of a simulated engine of the documented API, with a session.
type restWorld struct {
	*gateway
	engine *enginesim.Engine
	id     string

	mu      sync.Mutex
	symptom time.Time
	instead http.HandlerFunc // replaces the engine, if set
}

// change changes the engine.
func (w *restWorld) change(f func(*enginesim.Engine)) { w.engine.Change(f) }

// fails makes routes fail.
func (w *restWorld) fails(k enginesim.FaultKind, routes ...enginesim.Route) {
	w.change(func(e *enginesim.Engine) {
		e.Faults = map[enginesim.Route]enginesim.Fault{}
		for _, r := range routes {
			e.Faults[r] = enginesim.Fault{Kind: k}
		}
	})
}

// markStart marks the start of a fault that starts after the first request.
func (w *restWorld) markStart() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.symptom = time.Now()
}

// put replaces the engine by a handler.
func (w *restWorld) put(h http.HandlerFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.instead = h
}

// ServeHTTP is the engine, or the handler in its place.
func (w *restWorld) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	instead := w.instead
	w.mu.Unlock()
	if instead != nil {
		instead(rw, r)
		return
	}
	w.engine.ServeHTTP(rw, r)
}

// rewrites replaces a text in every response of the engine.
func (w *restWorld) rewrites(from, to string) {
	w.put(func(rw http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		w.engine.ServeHTTP(rec, r)
		for name, values := range rec.Header() {
			if name != "Content-Length" && name != "Etag" {
				rw.Header()[name] = values
			}
		}
		rw.WriteHeader(rec.Code)
		_, _ = io.Copy(rw, bytes.NewReader(bytes.ReplaceAll(rec.Body.Bytes(), []byte(from), []byte(to))))
	})
}

// sleep waits in fake time.
func (w *restWorld) sleep(d time.Duration) { time.Sleep(d) }

// runSimulated injects a fault and returns qrgate's diagnoses from its first symptom on.
func runSimulated(t *testing.T, f fault) (said []reading) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &restWorld{engine: &enginesim.Engine{Keys: map[string]string{key: "a", "key-of-another": "a"}}}
		wire := enginesim.NewWire(w)
		go wire.Run()
		defer wire.Close()
		defer w.engine.Close()
		base, _ := url.Parse("http://engine.test")
		transport := wire.Client().Transport.(*http.Transport).Clone()
		transport.DisableCompression = true // as proxy.Transport does
		circuit := breaker.New(transport, func(_, _ breaker.State) {})
		w.gateway = newGateway(t, base, circuit)
		w.id = w.create("shop-1")
		began := time.Now()
		done := make(chan struct{})
		go func() { defer close(done); f.rest(w) }()
		said = w.watch(w.id, 100*time.Millisecond, f.horizon(), nil)
		<-done
		w.mu.Lock()
		said = since(said, w.symptom.Sub(began))
		w.mu.Unlock()
		w.stop()
		transport.CloseIdleConnections()
		time.Sleep(20 * time.Second) // time for net/http and hanging responses to end
	})
	return said
}

func (f fault) horizon() time.Duration {
	if f.until == 0 {
		return 45 * time.Second
	}
	return f.until
}

// since shifts readings to a later start; of the earlier ones only the last counts.
func since(said []reading, d time.Duration) []reading {
	if d <= 0 {
		return said
	}
	var out []reading
	for _, r := range said {
		if r.at -= d; r.at < 0 {
			out, r.at = nil, 0
		}
		out = append(out, r)
	}
	return out
}

// restFaults returns the faults between qrgate and an engine of the documented API.
func restFaults() []fault {
	all := []enginesim.Route{enginesim.AnyRoute}
	unreachable := []diagnosis.Code{diagnosis.EngineUnreachable}
	simply := func(k enginesim.FaultKind, routes ...enginesim.Route) func(*restWorld) {
		return func(w *restWorld) { w.fails(k, routes...); w.connect(w.id) }
	}
	return []fault{
		{name: "the engine is healthy", want: diagnosis.None, rest: func(w *restWorld) { w.connect(w.id) }},
		{name: "a QR takes four seconds", want: diagnosis.None, rest: func(w *restWorld) {
			w.change(func(e *enginesim.Engine) { e.QRDelay = 4 * time.Second })
			w.connect(w.id)
		}},
		{name: "the first connect fails", want: diagnosis.None, rest: func(w *restWorld) {
			w.change(func(e *enginesim.Engine) { e.ConnectFailures = 1 })
			w.connect(w.id)
		}},
		{name: "/status returns 404 for every session", want: diagnosis.None, rest: func(w *restWorld) {
			w.change(func(e *enginesim.Engine) { e.Status404UntilLinked = true; e.QRDelay = 3 * time.Second })
			w.connect(w.id)
		}},
		{name: "the engine closes connections", want: diagnosis.EngineUnreachable, rest: simply(enginesim.CutConnection, all...)},
		{name: "nginx: the engine is down", want: diagnosis.EngineUnreachable, rest: simply(enginesim.HTML502, all...)},
		{name: "nginx: the engine is too slow", want: diagnosis.EngineTimeout, rest: simply(enginesim.HTML504, all...)},
		{name: "the engine hangs", want: diagnosis.EngineTimeout, rest: simply(enginesim.Hang, all...)},
		{name: "the engine hangs at /qr alone", want: diagnosis.EngineTimeout, rest: simply(enginesim.Hang, enginesim.RouteQR)},
		{name: "responses come byte by byte", want: diagnosis.EngineTimeout, rest: simply(enginesim.SlowBody, enginesim.RouteQR)},
		{name: "responses are truncated", want: diagnosis.EngineUnreachable, rest: simply(enginesim.TruncatedBody, enginesim.RouteQR)},
		{name: "/qr returns 500", want: diagnosis.Engine5xx, rest: simply(enginesim.ServerError, enginesim.RouteQR)},
		{name: "every connect fails", want: diagnosis.ConnectFailing, rest: func(w *restWorld) {
			w.change(func(e *enginesim.Engine) { e.ConnectFailures = -1 })
			w.connect(w.id)
		}},
		{name: "the body is no JSON", want: diagnosis.EngineBadResponse, rest: simply(enginesim.Garbage, all...)},
		{name: "empty responses", want: diagnosis.EngineBadResponse, rest: simply(enginesim.EmptyBody, enginesim.RouteQR)},
		{name: "redirects to another host", want: diagnosis.EngineBadResponse, rest: simply(enginesim.Redirect, all...)},
		{name: "endless responses", want: diagnosis.EngineBadResponse, rest: simply(enginesim.EndlessBody, enginesim.RouteQR)},
		{name: "a gzip bomb", want: diagnosis.EngineBadResponse, rest: simply(enginesim.GzipBomb, enginesim.RouteQR)},
		{name: "the engine refuses every call for a while", want: diagnosis.RateLimited, rest: simply(enginesim.TooMany, all...)},
		{name: "other clients use up the rate limit", want: diagnosis.RateLimited, passes: true, rest: func(w *restWorld) {
			w.change(func(e *enginesim.Engine) {
				e.Limits = enginesim.RecordedLimits()
				e.QRDelay = 2 * time.Second
			})
			w.connect(w.id)
			for range 30 { // requests of other clients to the engine itself, with the same key
				req := httptest.NewRequest(http.MethodGet, "/api/sessions", nil)
				req.Header.Set("X-API-Key", key)
				w.engine.ServeHTTP(httptest.NewRecorder(), req)
			}
			w.markStart()
		}, until: 90 * time.Second},
		{name: "the key is revoked", want: diagnosis.KeyRefused, rest: func(w *restWorld) {
			w.change(func(e *enginesim.Engine) { e.QRDelay = time.Hour })
			w.connect(w.id)
			w.sleep(3 * time.Second)
			w.change(func(e *enginesim.Engine) { e.Keys = map[string]string{"key-of-another": "a"} })
			w.markStart()
		}},
		{name: "the session is deleted at the engine", want: diagnosis.SessionNotFound, before: []diagnosis.Code{diagnosis.EngineRestarted}, rest: func(w *restWorld) {
			w.change(func(e *enginesim.Engine) { e.QRDelay, e.Limits = time.Hour, enginesim.RecordedLimits() })
			w.connect(w.id)
			w.sleep(7 * time.Second)
			w.engine.Reset()
			w.markStart()
		}},
		{name: "the engine is restarted", want: diagnosis.EngineRestarted, before: unreachable, passes: true, rest: func(w *restWorld) {
			w.change(func(e *enginesim.Engine) { e.QRDelay = 5 * time.Second })
			w.connect(w.id)
			w.sleep(2 * time.Second)
			w.change(func(e *enginesim.Engine) { e.DiesAt, e.DownFor = time.Now(), 6*time.Second })
			w.markStart()
		}},
		{name: "no session gets a QR", want: diagnosis.QRNotEmitted, rest: func(w *restWorld) {
			w.change(func(e *enginesim.Engine) { e.QRDelay = time.Hour })
			other := w.create("shop-2")
			w.connect(w.id)
			w.connect(other)
		}},
		{name: "every session ends in state error", want: diagnosis.QRNotEmitted, rest: func(w *restWorld) {
			w.change(func(e *enginesim.Engine) { e.ErrorInsteadOfQR = true })
			w.connect(w.id)
		}},
		{name: "one session is stuck, others work", want: diagnosis.SessionStuck, passes: true, rest: func(w *restWorld) {
			w.change(func(e *enginesim.Engine) { e.StuckUntilForce = true })
			w.connect(w.id)
			other := w.create("shop-2")
			w.call(http.MethodPost, "/api/sessions/"+other+"/connect", `{"force":true}`)
			w.call(http.MethodGet, "/api/sessions/"+other+"/qr", "")
		}},
		{name: "no session gets a QR any more, one has one", want: diagnosis.QRNotEmitted, rest: func(w *restWorld) {
			other := w.create("shop-2")
			w.connect(other)
			w.call(http.MethodGet, "/api/sessions/"+other+"/qr", "")
			w.change(func(e *enginesim.Engine) { e.QRDelay = time.Hour })
			w.connect(w.id)
		}},
		{name: "the QR is no image", want: diagnosis.QRInvalid, rest: func(w *restWorld) {
			w.rewrites(`"data:image/png;base64,`, `"data:image/jpeg;base64,`)
			w.connect(w.id)
		}},
		{name: "all codes expire", want: diagnosis.QRExpired, passes: true, until: 30 * time.Second, rest: func(w *restWorld) {
			w.change(func(e *enginesim.Engine) { e.Rotation = []time.Duration{3 * time.Second}; e.QRTTL = 3 * time.Second })
			w.connect(w.id)
			w.sleep(3 * time.Second)
			w.markStart()
		}},
		{name: "a phone is linked", want: diagnosis.AlreadyPaired, rest: func(w *restWorld) {
			w.connect(w.id)
			w.call(http.MethodGet, "/api/sessions/"+w.id+"/qr", "")
			if err := w.engine.Link("shop-1"); err != nil {
				w.Error(err)
			}
			w.markStart()
		}},
		{name: "the engine is at its session limit", want: diagnosis.SessionLimit, rest: func(w *restWorld) {
			w.rewrites("Error conectando sesión", "Límite de sesiones alcanzado")
			w.change(func(e *enginesim.Engine) { e.ConnectFailures = -1 })
			w.connect(w.id)
		}},
		{name: "the engine reports that its Redis is down", want: diagnosis.Engine5xx, rest: func(w *restWorld) {
			w.rewrites("Error conectando sesión", "connect ECONNREFUSED 127.0.0.1:6379")
			w.change(func(e *enginesim.Engine) { e.ConnectFailures = -1 })
			w.connect(w.id)
		}},
		{name: "responses take four seconds", want: diagnosis.EngineOverloaded, rest: func(w *restWorld) {
			w.change(func(e *enginesim.Engine) { e.Latency = 4 * time.Second; e.QRDelay = time.Hour })
			w.connect(w.id)
		}},
		{name: "one poll fails", want: diagnosis.None, rest: func(w *restWorld) {
			w.change(func(e *enginesim.Engine) {
				e.QRDelay = 3 * time.Second
				e.Faults = map[enginesim.Route]enginesim.Fault{enginesim.RouteQR: {Kind: enginesim.CutConnection, First: 1}}
			})
			w.connect(w.id)
		}},
	}
}
