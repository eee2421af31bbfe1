package confusion_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"qrgate/compat/dialect"
	"qrgate/internal/breaker"
	"qrgate/internal/test/enginesim"
)

// restWorld is a gateway in front of a simulated engine of the documented API, with a session.
type restWorld struct {
	*gateway
	engine *enginesim.Engine
	served http.Handler // the engine, in its API
	id     string

	mu      sync.Mutex
	symptom time.Time
	instead http.HandlerFunc // replaces the engine, if set
	dial    error            // of every call, if set
}

// cannotDial makes every connection to the engine fail.
func (w *restWorld) cannotDial(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dial = err
}

// roundTrip fails as cannotDial says, or passes the call on.
func (w *restWorld) roundTrip(next http.RoundTripper) roundTripper {
	return func(r *http.Request) (*http.Response, error) {
		w.mu.Lock()
		err := w.dial
		w.mu.Unlock()
		if err != nil {
			return nil, err
		}
		return next.RoundTrip(r)
	}
}

// roundTripper is a function as an [http.RoundTripper].
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// responds replaces the responses of the paths that end so; "" stands for all.
func (w *restWorld) responds(suffix string, status int, contentType, body string, header ...string) {
	w.put(func(rw http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, suffix) {
			w.served.ServeHTTP(rw, r)
			return
		}
		rw.Header().Set("Content-Type", contentType)
		for i := 0; i+1 < len(header); i += 2 {
			rw.Header().Set(header[i], header[i+1])
		}
		rw.WriteHeader(status)
		_, _ = io.WriteString(rw, body)
	})
}

// connectError makes every connect fail with a text.
func (w *restWorld) connectError(text string) {
	w.rewrites("Error conectando sesión", text)
	w.change(func(e *enginesim.Engine) { e.ConnectFailures = -1 })
	w.connect(w.id)
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
	w.served.ServeHTTP(rw, r)
}

// rewrites replaces a text in every response of the engine.
func (w *restWorld) rewrites(from, to string) {
	w.put(func(rw http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		w.served.ServeHTTP(rec, r)
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

// runSimulated injects a fault into an engine of the documented API, or of another one, and returns qrgate's diagnoses from its first symptom on.
func runSimulated(t *testing.T, f fault, d *dialect.Dialect) (said []reading) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &restWorld{engine: &enginesim.Engine{Keys: map[string]string{key: "a", "key-of-another": "a"}}}
		w.served = w.engine
		if d != nil {
			w.served = enginesim.Faces()[d.Kind](w.engine)
		}
		wire := enginesim.NewWire(w)
		go wire.Run()
		defer wire.Close()
		defer w.engine.Close()
		base, _ := url.Parse("http://engine.test")
		transport := wire.Client().Transport.(*http.Transport).Clone()
		transport.DisableCompression = true // as proxy.Transport does
		circuit := breaker.New(w.roundTrip(transport), func(_, _ breaker.State) {})
		w.gateway = newGateway(t, base, circuit, d)
		w.id = w.create("shop-1")
		began := time.Now()
		done := make(chan struct{})
		inject := f.rest
		if d != nil {
			inject = f.kinds
		}
		go func() { defer close(done); inject(w) }()
		said = w.watch(w.id, 100*time.Millisecond, f.horizon())
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
