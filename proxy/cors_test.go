package proxy_test

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"qrgate/proxy"
)

const shop = "https://shop.example"

// corsEngine allows one origin, as the engine's cors middleware does, and counts requests.
type corsEngine struct {
	preflights, calls atomic.Int64
	broken            atomic.Bool // an HTML 502 from the proxy before it, which knows no CORS
	canary            atomic.Bool // a preflight carried a credential
}

func (e *corsEngine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodOptions {
		e.preflights.Add(1)
		if r.Header.Get("X-Api-Key") != "" || r.Header.Get("Cookie") != "" {
			e.canary.Store(true)
		}
	} else {
		e.calls.Add(1)
	}
	if e.broken.Load() && r.Method != http.MethodOptions {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(502)
		return
	}
	w.Header().Set("Vary", "Origin")
	w.Header().Set("Access-Control-Allow-Credentials", "true")
	if r.Header.Get("Origin") == shop {
		w.Header().Set("Access-Control-Allow-Origin", shop)
		w.Header().Set("Access-Control-Allow-Methods", "GET,POST")
	}
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
	}
}

func TestCORS_OwnErrorCarriesTheEnginesHeaders(t *testing.T) {
	t.Parallel()
	e := &corsEngine{}
	g := start(t, e)
	for range 3 {
		res := g.get(t, "/api/sessions//81/qr", "Origin", shop, "X-API-Key", "key-a", "Cookie", "a=b")
		wantProblem(t, res, 400, "VALIDATION_ERROR")
		if res.Header.Get("Access-Control-Allow-Origin") != shop || res.Header.Get("Access-Control-Allow-Credentials") != "true" || res.Header.Get("Vary") != "Origin" {
			t.Errorf("headers %v", res.Header)
		}
		if res.Header.Get("Access-Control-Allow-Methods") != "" {
			t.Error("a preflight's headers are on a plain response")
		}
	}
	if n := e.preflights.Load(); n != 1 || e.calls.Load() != 0 || e.canary.Load() {
		t.Errorf("%d preflights and %d calls reached the engine, with a credential: %v", n, e.calls.Load(), e.canary.Load())
	}
}

func TestCORS_UnknownOriginGetsNoHeader(t *testing.T) {
	t.Parallel()
	e := &corsEngine{}
	g := start(t, e)
	for range 3 {
		for _, origin := range []string{"https://evil.example", "null", ""} {
			res := g.get(t, "/api/sessions//81/qr", "Origin", origin)
			if res.Header.Get("Access-Control-Allow-Origin") != "" || res.Header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("origin %q got %v", origin, res.Header)
			}
		}
	}
	if n := e.preflights.Load(); n != 2 {
		t.Errorf("two origins caused %d preflights", n)
	}
}

func TestCORS_PassedThroughHeadersAreCached(t *testing.T) {
	t.Parallel()
	e := &corsEngine{}
	g := start(t, e)
	res := g.get(t, "/api/messages/unread", "Origin", shop)
	if got := res.Header.Values("Access-Control-Allow-Origin"); len(got) != 1 || got[0] != shop {
		t.Errorf("the engine's own header came out as %v", got)
	}
	e.broken.Store(true)
	res = g.get(t, "/api/messages/unread", "Origin", shop)
	wantProblem(t, res, 502, "ENGINE_BAD_ANSWER")
	if res.Header.Get("Access-Control-Allow-Origin") != shop {
		t.Errorf("the error in place of a proxy's page has %v", res.Header)
	}
	if n := e.preflights.Load(); n != 0 {
		t.Errorf("%d preflights for cached headers", n)
	}
}

func TestCORS_EngineResponseIsUnchanged(t *testing.T) {
	t.Parallel()
	var closed atomic.Bool
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !closed.Load() {
			w.Header().Set("Access-Control-Allow-Origin", shop)
		}
	}))
	g.get(t, "/api/messages/unread", "Origin", shop)
	closed.Store(true)
	if res := g.get(t, "/api/messages/unread", "Origin", shop); res.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("qrgate added a header that the engine did not send")
	}
}

func TestCORS_CacheIsBounded(t *testing.T) {
	t.Parallel()
	e := &corsEngine{}
	g := start(t, e)
	for i := range 300 {
		g.raw(t, fmt.Sprintf("GET /a/./b HTTP/1.1\r\nHost: a\r\nOrigin: https://%d.example\r\n\r\n", i))
	}
	if n := proxy.CachedOrigins(g.front); n > 256 || n < 200 {
		t.Errorf("%d origins are cached", n)
	}
}
