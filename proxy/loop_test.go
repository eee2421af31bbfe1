package proxy_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"

	"qrgate/proxy"
)

// looped runs a front whose engine is behind, or itself where that is nil, and counts the requests that it gets.
func looped(t *testing.T, behind *url.URL) (base string, requests *atomic.Int64) {
	t.Helper()
	requests = new(atomic.Int64)
	var front atomic.Pointer[http.Handler]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		(*front.Load()).ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	if behind == nil {
		behind, _ = url.Parse(server.URL)
	}
	transport := proxy.Transport()
	t.Cleanup(transport.CloseIdleConnections)
	var handler http.Handler = proxy.New(proxy.Config{Engine: behind, Transport: transport})
	front.Store(&handler)
	return server.URL, requests
}

// An engine's address that leads back to the gate costs one request too many, and the answer says what is wrong.
func TestAGateIsNotItsOwnEngine(t *testing.T) {
	t.Parallel()
	base, requests := looped(t, nil)
	for _, path := range []string{"/health", "/api/sessions"} {
		before := requests.Load()
		g := &rig{url: base}
		a := g.get(t, path)
		wantProblem(t, a, http.StatusLoopDetected, "ENGINE_IS_GATE")
		if n := requests.Load() - before; n != 2 {
			t.Errorf("%s: one request was %d", path, n)
		}
	}
}

// A gate before another one is no loop, and proxies that have named themselves before stay named.
func TestAGateBeforeAGate(t *testing.T) {
	t.Parallel()
	var names []string
	engine := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { names = r.Header["Cdn-Loop"] }))
	t.Cleanup(engine.Close)
	far, _ := url.Parse(engine.URL)
	inner, _ := looped(t, far)
	near, _ := url.Parse(inner)
	outer, _ := looped(t, near)
	g := &rig{url: outer}
	if a := g.get(t, "/health", "CDN-Loop", "cdn.example"); a.StatusCode != http.StatusOK || len(names) != 3 || names[0] != "cdn.example" {
		t.Errorf("%d, named %q", a.StatusCode, names)
	}
}

// What the gate asks on its own account is marked as well, and the request that it was given is not changed.
func TestLoopTransport(t *testing.T) {
	t.Parallel()
	var sent string
	next := roundTrip(func(r *http.Request) (*http.Response, error) {
		sent = r.Header.Get("CDN-Loop")
		return &http.Response{Body: http.NoBody}, nil
	})
	r := httptest.NewRequest("GET", "http://engine.test/", nil)
	if _, err := proxy.NewLoop().Transport(next).RoundTrip(r); err != nil || sent == "" || r.Header.Get("CDN-Loop") != "" {
		t.Errorf("sent %q, left %q, %v", sent, r.Header.Get("CDN-Loop"), err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
