package proxy_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"qrgate/compat"
	"qrgate/internal/session"
	"qrgate/internal/test/enginesim"
	"qrgate/proxy"
)

// rig is a Handler on a real port, with a real engine behind it.
type rig struct {
	addr   string // host:port of the Handler
	url    string // http://host:port of the Handler
	engine string // host:port of the engine
	front  *proxy.Handler
	wire   *enginesim.Wire // to the Handler, in place of a port

	mu       sync.Mutex
	seen     []session.RequestLog
	observed chan struct{} // one value per request
}

// setting changes a rig before it starts.
type setting func(*proxy.Config, *http.Server)

// start runs an engine and a Handler in front of it, and stops both with the test.
func start(t testing.TB, engine http.Handler, settings ...setting) *rig {
	t.Helper()
	upstream := httptest.NewServer(engine)
	t.Cleanup(upstream.Close)
	u, err := url.Parse(upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	return startBefore(t, u, settings...)
}

// newRig returns a rig that does not run yet, and its server.
func newRig(engine *url.URL, transport *http.Transport, settings []setting) (*rig, *http.Server) {
	g := &rig{observed: make(chan struct{}, 1<<16)}
	config := proxy.Config{Engine: engine, Transport: transport, Observe: g.observe}
	server := proxy.Server("127.0.0.1:0", nil)
	for _, set := range settings {
		set(&config, server)
	}
	if config.Engine != nil {
		g.engine = config.Engine.Host
	}
	g.front = proxy.New(config)
	server.Handler = g.front
	return g, server
}

// inFakeTime runs a test with a rig whose connections are in memory and whose time is fake.
func inFakeTime(t *testing.T, engine http.Handler, test func(*testing.T, *rig), settings ...setting) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		behind := enginesim.NewWire(engine)
		transport := proxy.Transport()
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return behind.Dial(ctx) }
		g, server := newRig(&url.URL{Scheme: "http", Host: "engine.test"}, transport, settings)
		g.wire, g.url = enginesim.NewServerWire(server), "http://gateway.test"
		go behind.Run()
		go g.wire.Run()
		t.Cleanup(func() {
			g.wire.Close()
			transport.CloseIdleConnections()
			behind.Close()
			time.Sleep(time.Hour) // the engine's handlers end, also those of a failed test
		})
		test(t, g)
	})
}

// startBefore runs a Handler in front of an engine that runs already, or does not.
func startBefore(t testing.TB, engine *url.URL, settings ...setting) *rig {
	t.Helper()
	transport := proxy.Transport()
	g, server := newRig(engine, transport, settings)
	listener, err := net.Listen("tcp", server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(proxy.DetectSmuggling(listener))
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-served
		transport.CloseIdleConnections()
	})
	g.addr = listener.Addr().String()
	g.url = "http://" + g.addr
	return g
}

func (g *rig) observe(e session.RequestLog) {
	g.mu.Lock()
	g.seen = append(g.seen, e)
	g.mu.Unlock()
	g.observed <- struct{}{}
}

// exchange waits for the next request to end and returns the latest.
func (g *rig) exchange(t testing.TB) session.RequestLog {
	t.Helper()
	select {
	case <-g.observed:
	case <-time.After(10 * time.Second):
		t.Fatal("the request was not observed")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.seen[len(g.seen)-1]
}

// response is a response with its body.
type response struct {
	*http.Response
	body string
}

// transport keeps nothing alive.
func (g *rig) transport() *http.Transport {
	tr := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	if g.wire != nil {
		tr.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return g.wire.Dial(ctx) }
	}
	return tr
}

// do sends a request with a client that keeps nothing alive.
func (g *rig) do(t testing.TB, r *http.Request) response {
	t.Helper()
	res, err := g.transport().RoundTrip(r)
	if err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s %s: reading the body: %v", r.Method, r.URL, err)
	}
	return response{res, string(body)}
}

// get sends GET path with headers, given as name, value, name, value…
func (g *rig) get(t testing.TB, path string, headers ...string) response {
	t.Helper()
	return g.send(t, "GET", path, nil, headers...)
}

// send sends any request.
func (g *rig) send(t testing.TB, method, path string, body io.Reader, headers ...string) response {
	t.Helper()
	r, err := http.NewRequest(method, g.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return g.do(t, r)
}

// dial opens a raw connection that ends with the test.
func (g *rig) dial(t testing.TB) net.Conn {
	t.Helper()
	dial := func() (net.Conn, error) { return net.Dial("tcp", g.addr) }
	if g.wire != nil {
		dial = func() (net.Conn, error) { return g.wire.Dial(t.Context()) }
	}
	conn, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn
}

// raw writes bytes to a new connection and reads one response; a closed connection is a status of 0.
func (g *rig) raw(t testing.TB, wire string) response {
	t.Helper()
	conn := g.dial(t)
	if _, err := io.WriteString(conn, wire); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(wire, " ")
	return readResponse(conn, method)
}

func readResponse(conn net.Conn, method string) response {
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		return response{&http.Response{Header: http.Header{}}, err.Error()}
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return response{res, string(body)}
}

// wantProblem checks that a response is the documented error, with every field that clients read.
func wantProblem(t testing.TB, res response, status int, code string) {
	t.Helper()
	if res.StatusCode != status {
		t.Fatalf("status %d, want %d; body %s", res.StatusCode, status, res.body)
	}
	if ct := res.Header.Get("Content-Type"); ct != compat.ContentType {
		t.Errorf("Content-Type %q, want %q", ct, compat.ContentType)
	}
	if !proxy.IsRequestID(res.Header.Get("X-Request-Id")) {
		t.Errorf("X-Request-Id %q is missing or not valid", res.Header.Get("X-Request-Id"))
	}
	var p compat.Problem
	if err := json.Unmarshal([]byte(res.body), &p); err != nil {
		t.Fatalf("the body is no JSON: %v: %q", err, res.body)
	}
	if p.Success || p.Code != code || p.Error == "" || p.Error != p.Message || !strings.HasSuffix(p.Message, ".") {
		t.Errorf("problem %+v, want code %s and one sentence twice", p, code)
	}
}

// express is an engine that finds its routes as Express 4 does by default: it ignores case and a trailing slash, and
// decodes parameters. It sends the route that it found in X-Route.
func express(w http.ResponseWriter, r *http.Request) {
	route, id := expressRoute(r.RequestURI)
	w.Header().Set("X-Route", route)
	w.Header().Set("X-Id", url.QueryEscape(id))
	w.Header().Set("X-Target", url.QueryEscape(r.RequestURI))
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"success":true}`)
}
