package app_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"qrgate/compat/dialect"
	"qrgate/compat/inboxhub"
	"qrgate/internal/acquire"
	"qrgate/internal/breaker"
	"qrgate/internal/seal"
	"qrgate/internal/secret"
	"qrgate/internal/store/memory"
	"qrgate/internal/test/clienttest"
	"qrgate/internal/test/enginesim"
	"qrgate/internal/test/openapitest"
	"qrgate/proxy"
)

// rig is a whole gateway between clients and a simulated engine. In a bubble of synctest both sides are connections in
// memory and time is fake; sockets runs app.New itself.
type rig struct {
	*testing.T
	engine          *enginesim.Engine
	base            string // of qrgate
	admin           string // of its operators' port; empty in a bubble
	http            *http.Client
	checker         *responseChecker
	reboot          func() // kills qrgate and starts it with an empty memory
	stopAcquisition func() // stops the acquisitions while the front still responds, as a gateway does when it stops
}

// setup changes a rig before it starts.
type setup struct {
	replaceEngine func(*enginesim.Engine) http.Handler // makes the handler that stands in for the engine
	network       *network                             // the network before it; nil for one that is always open
	waitTimes     acquire.WaitTimes
	waiterLimits  acquire.WaiterLimits
	proxy         func(*proxy.Config)
	dialect       *dialect.Dialect // of the engine's API; nil for the documented one
	skipsOpenAPI  bool             // responses are not validated against the OpenAPI document, which takes time
}

// bubble runs test in fake time against a gateway before engine.
func bubble(t *testing.T, engine *enginesim.Engine, test func(r *rig), changes ...func(*setup)) {
	t.Helper()
	t.Parallel()
	bubbleAlone(t, engine, test, changes...)
}

// bubbleAlone is bubble, with no other test beside it.
func bubbleAlone(t *testing.T, engine *enginesim.Engine, test func(r *rig), changes ...func(*setup)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var s setup
		for _, change := range changes {
			change(&s)
		}
		var behind http.Handler = engine
		if s.replaceEngine != nil {
			behind = s.replaceEngine(engine)
		}
		upstream := enginesim.NewWire(behind)
		go upstream.Run()
		defer upstream.Close()
		defer engine.Close()
		front := &gateway{}
		defer front.stop()
		boot := func() { front.start(t, upstream, s) }
		boot()
		wire := enginesim.NewWire(front)
		go wire.Run()
		defer wire.Close()
		seen := &responseChecker{t: t, next: wire.Client().Transport}
		if !s.skipsOpenAPI {
			seen.next = openapitest.Checking(t, seen.next)
		}
		client := wire.Client()
		client.Transport = seen
		test(&rig{T: t, engine: engine, base: wire.URL(), http: client, checker: seen, reboot: boot, stopAcquisition: front.stop})
		time.Sleep(time.Second) // of fake time: net/http lingers on a connection that it closes early
	})
}

// before puts a handler where the engine is; it may call the engine.
func before(wrap func(*enginesim.Engine) http.Handler) func(*setup) {
	return func(s *setup) { s.replaceEngine = wrap }
}

// gateway passes requests to the qrgate that runs at present.
type gateway struct {
	current     atomic.Pointer[http.Handler]
	stopCurrent func()
}

// ServeHTTP implements [http.Handler].
func (s *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	(*s.current.Load()).ServeHTTP(w, r)
}

// stop ends the present one.
func (s *gateway) stop() {
	if s.stopCurrent != nil {
		s.stopCurrent()
		s.stopCurrent = nil
	}
}

// start assembles qrgate as app.New does and replaces the present one.
func (s *gateway) start(t *testing.T, upstream *enginesim.Wire, set setup) {
	t.Helper()
	s.stop()
	base, _ := url.Parse("http://engine.test")
	transport := upstream.Client().Transport.(*http.Transport).Clone()
	transport.DisableCompression, transport.IdleConnTimeout = true, 4*time.Second // as proxy.Transport does
	transport.DialContext = set.network.dial(transport.DialContext)
	circuit := breaker.New(transport, func(_, _ breaker.State) {})
	sealer, err := seal.New(secret.NewSecret("a secret of the tests"))
	if err != nil {
		t.Fatal(err)
	}
	store := memory.New(memory.Config{})
	var calls http.RoundTripper = circuit
	codeTTL := time.Duration(0)
	if set.dialect != nil {
		calls, codeTTL = dialect.NewTransport(set.dialect, base, circuit), set.dialect.Traits.CodeTTL()
	}
	manager, err := acquire.New(acquire.Config{Engine: inboxhub.New(base, calls).WithCodeTTL(codeTTL), Sealer: sealer, Store: store, WaitTimes: set.waitTimes, WaiterLimits: set.waiterLimits})
	if err != nil {
		t.Fatal(err)
	}
	config := proxy.Config{Engine: base, Transport: calls, Acquirer: manager, Sealer: sealer}
	if set.proxy != nil {
		set.proxy(&config)
	}
	var front http.Handler = proxy.New(config)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 2)
	go func() { done <- manager.Run(ctx) }()
	go func() { done <- store.Run(ctx) }()
	s.current.Store(&front)
	s.stopCurrent = func() {
		cancel()
		<-done
		<-done
		transport.CloseIdleConnections()
	}
}

// target is what a client is configured with to use qrgate.
func (r *rig) target(key string) clienttest.Target {
	return clienttest.Target{HTTP: r.http, Base: r.base, Key: key}
}

// get sends GET path as key-a; more headers follow as name, value, name, value …
func (r *rig) get(path string, headers ...string) response {
	r.Helper()
	return r.send("GET", path, "", headers...)
}

// post sends POST path with a body as key-a.
func (r *rig) post(path, body string, headers ...string) response {
	r.Helper()
	return r.send("POST", path, body, headers...)
}

// send makes any request as key-a, unless the headers name another key; "-" names none.
func (r *rig) send(method, path, body string, headers ...string) response {
	r.Helper()
	req, err := http.NewRequestWithContext(r.Context(), method, r.base+path, strings.NewReader(body))
	if err != nil {
		r.Fatal(err)
	}
	req.Header.Set("X-API-Key", "key-a")
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i+1] == "-" {
			req.Header.Del(headers[i])
			continue
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	return r.do(req)
}

// create makes a session through qrgate and returns its integer id.
func (r *rig) create(name string, headers ...string) string {
	r.Helper()
	res := r.post("/api/sessions", `{"sessionId":"`+name+`","sessionName":"Test"}`, headers...)
	res.wants(http.StatusCreated)
	return res.text("data.session.id")
}

// connect connects a session through qrgate.
func (r *rig) connect(id string, headers ...string) {
	r.Helper()
	res := r.post("/api/sessions/"+id+"/connect", "{}", headers...)
	res.wants(http.StatusOK)
	if got := res.text("data.status"); got != "connecting" {
		r.Errorf("connect returns the state %q", got)
	}
}

// qr requests the QR, which must come.
func (r *rig) qr(id string, headers ...string) response {
	r.Helper()
	res := r.get("/api/sessions/"+id+"/qr", headers...)
	res.wants(http.StatusOK)
	res.wantsQR()
	return res
}

// insists requests the QR repeatedly, as a poller does, until it comes; it must come within a time.
func (r *rig) insists(id string, within time.Duration) response {
	r.Helper()
	began := time.Now()
	for {
		res := r.get("/api/sessions/" + id + "/qr")
		if res.StatusCode == http.StatusOK || time.Since(began) > within {
			res.wants(http.StatusOK)
			res.wantsQR()
			return res
		}
		time.Sleep(2 * time.Second)
	}
}

// calls counts what reached the engine since the n-th call, all routes or the given ones.
func (r *rig) calls(since int, routes ...enginesim.Route) int {
	n := 0
	for _, c := range r.engine.Calls()[since:] {
		if len(routes) == 0 {
			n++
		}
		for _, route := range routes {
			if c.Route == route {
				n++
			}
		}
	}
	return n
}
