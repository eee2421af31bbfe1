package proxy_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"qrgate/proxy"
)

// mirror is an engine that stores the last request.
type mirror struct {
	mu   sync.Mutex
	last *http.Request
	body string
}

func (m *mirror) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last, m.body = r, string(body)
	w.WriteHeader(http.StatusTeapot)
}

func (m *mirror) request() *http.Request {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last
}

func trusting(prefix string) setting {
	return func(c *proxy.Config, _ *http.Server) {
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix(prefix)}
	}
}

func TestRewrite_Headers(t *testing.T) {
	t.Parallel()
	const sent = "GET /api/messages/unread HTTP/1.1\r\nHost: qrgate.example\r\n"
	for name, x := range map[string]struct {
		headers string
		trust   setting
		want    map[string]string // "" means absent
	}{
		"headers that clients depend on are kept": {
			"X-API-Key: key-a\r\nAuthorization: Bearer t\r\nX-Frappe-Origin: true\r\nX-Tenant-ID: t-1\r\nUser-Agent: python-requests/2\r\nAccept-Encoding: gzip, deflate\r\nIdempotency-Key: i-1\r\n", nil,
			map[string]string{"X-Api-Key": "key-a", "Authorization": "Bearer t", "X-Frappe-Origin": "true", "X-Tenant-Id": "t-1", "User-Agent": "python-requests/2", "Accept-Encoding": "gzip, deflate", "Idempotency-Key": "i-1"},
		},
		"no User-Agent and no Accept-Encoding is added": {"", nil, map[string]string{"User-Agent": "", "Accept-Encoding": ""}},
		"a Connection header cannot remove what qrgate sets": {
			"X-Request-Id: r-1\r\nConnection: X-Request-Id, X-Forwarded-For, x-forwarded-host, X-Forwarded-Proto\r\nConnection: keep-alive\r\n", nil,
			map[string]string{"X-Request-Id": "r-1", "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "qrgate.example", "X-Forwarded-Proto": "http", "Connection": ""},
		},
		"hop-by-hop headers are removed": {
			"Connection: X-Mine\r\nX-Mine: 1\r\nProxy-Authorization: secret\r\nKeep-Alive: 5\r\nTE: gzip\r\nProxy-Connection: x\r\n", nil,
			map[string]string{"X-Mine": "", "Proxy-Authorization": "", "Keep-Alive": "", "Te": "", "Proxy-Connection": ""},
		},
		"misleading headers are dropped": {
			"X-Original-URL: /api/sessions/81/qr\r\nX-Rewrite-URL: /q\r\nX-HTTP-Method-Override: DELETE\r\nX-Method-Override: DELETE\r\nProxy: http://evil.example\r\nx_tenant: evil\r\nX_Api_Key: evil\r\nX-API_Key: evil\r\nContent_Length: 7\r\n", nil,
			map[string]string{"X-Original-Url": "", "X-Rewrite-Url": "", "X-Http-Method-Override": "", "X-Method-Override": "", "Proxy": "", "X_tenant": "", "X_api_key": "", "X-Api_key": "", "Content_length": ""},
		},
		"an untrusted client's forwarded headers are replaced": {
			"X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Prefix: /evil\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\n", trusting("10.0.0.0/8"),
			map[string]string{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "qrgate.example", "X-Forwarded-Prefix": "", "Forwarded": "", "X-Real-Ip": ""},
		},
		"a trusted proxy's forwarded headers are kept": {
			"X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-For: 10.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\nX-Real-IP: 203.0.113.7\r\n", trusting("127.0.0.0/8"),
			map[string]string{"X-Forwarded-For": "203.0.113.7, 10.1.1.1, 127.0.0.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.example", "X-Real-Ip": "203.0.113.7"},
		},
		"only websockets may be upgraded": {
			"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n", nil,
			map[string]string{"Upgrade": "", "Connection": "", "Http2-Settings": ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &mirror{}
			var settings []setting
			if x.trust != nil {
				settings = append(settings, x.trust)
			}
			g := start(t, m, settings...)
			if res := g.raw(t, sent+x.headers+"\r\n"); res.StatusCode != http.StatusTeapot {
				t.Fatalf("status %d %s", res.StatusCode, res.body)
			}
			got := map[string]string{}
			for name := range x.want {
				got[name] = m.request().Header.Get(name)
			}
			if diff := cmp.Diff(x.want, got); diff != "" {
				t.Errorf("headers at the engine (-want +got):\n%s", diff)
			}
			if m.request().Host != g.engine {
				t.Errorf("Host at the engine is %q, want its own, %q", m.request().Host, g.engine)
			}
		})
	}
}

func TestRewrite_EngineWithBasePath(t *testing.T) {
	t.Parallel()
	m := &mirror{}
	g := start(t, m, func(c *proxy.Config, _ *http.Server) {
		u := *c.Engine
		u.Path = "/base/"
		c.Engine = &u
	})
	g.get(t, "/api/messages/unread?a=b")
	if got := m.request().RequestURI; got != "/base/api/messages/unread?a=b" {
		t.Errorf("the engine received %s", got)
	}
}

func TestRewrite_RequestTrailers(t *testing.T) {
	t.Parallel()
	m := &mirror{}
	g := start(t, m)
	g.raw(t, "POST /x HTTP/1.1\r\nHost: a\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 7\r\n\r\n")
	if got := m.request().Trailer.Get("X-Sum"); got != "7" || m.body != "hi" {
		t.Errorf("body %q, trailer %q", m.body, got)
	}
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	m := &mirror{}
	g := start(t, m)
	given := g.get(t, "/health", "X-Request-Id", "order-7.a_B")
	if id := given.Header.Values("X-Request-Id"); !cmp.Equal(id, []string{"order-7.a_B"}) || m.request().Header.Get("X-Request-Id") != id[0] {
		t.Errorf("a good id came back as %q", id)
	}
	for _, ids := range [][]string{nil, {""}, {"a b"}, {"a", "b"}, {"caf\xc3\xa9"}, {strings.Repeat("x", 65)}} {
		r, _ := http.NewRequest("GET", g.url+"/health", nil)
		r.Header["X-Request-Id"] = ids
		res := g.do(t, r)
		id := res.Header.Get("X-Request-Id")
		if len(ids) > 0 && id == ids[0] || !proxy.IsRequestID(id) || m.request().Header.Get("X-Request-Id") != id {
			t.Errorf("%q: the response has %q, the engine got %q", ids, id, m.request().Header.Get("X-Request-Id"))
		}
	}
	if e := g.exchange(t); !proxy.IsRequestID(e.RequestID) {
		t.Errorf("the access log has id %q", e.RequestID)
	}
}

func TestRequestID_EnginesOwnIsDropped(t *testing.T) {
	t.Parallel()
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Request-Id", "engine") }))
	if ids := g.get(t, "/", "X-Request-Id", "mine").Header.Values("X-Request-Id"); !cmp.Equal(ids, []string{"mine"}) {
		t.Errorf("X-Request-Id is %q", ids)
	}
}

func TestPassThrough_NoEngine(t *testing.T) {
	t.Parallel()
	g := startBefore(t, &url.URL{}, func(c *proxy.Config, _ *http.Server) { c.Engine = nil })
	wantProblem(t, g.get(t, "/api/messages/unread", "Origin", "https://shop.example"), 404, "NOT_FOUND")
}

// "Content-Length: 0" is kept where the client sends it, and not added where it does not.
func TestRewrite_EmptyBody(t *testing.T) {
	t.Parallel()
	var m mirror
	g := start(t, &m)
	for _, method := range []string{"DELETE", "POST", "PUT", "PATCH", "OPTIONS"} {
		for _, length := range []string{"", "0"} {
			head := method + " /api/messages/1 HTTP/1.1\r\nHost: qrgate\r\nConnection: close\r\n"
			if length != "" {
				head += "Content-Length: " + length + "\r\n"
			}
			g.raw(t, head+"\r\n")
			got := m.request()
			said := length != "" || method == "POST" || method == "PUT" || method == "PATCH" // of those net/http always says it
			if (got.Header.Get("Content-Length") == "0") != said || len(got.TransferEncoding) > 0 {
				t.Errorf("%s with length %q came as %q, %q", method, length, got.Header.Get("Content-Length"), got.TransferEncoding)
			}
		}
	}
}

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

// An engine URL that leads back to qrgate costs one extra request, and the response says what is wrong.
func TestLoop_EngineURLLeadsBack(t *testing.T) {
	t.Parallel()
	base, requests := looped(t, nil)
	for _, path := range []string{"/health", "/api/sessions"} {
		before := requests.Load()
		g := &rig{url: base}
		res := g.get(t, path)
		wantProblem(t, res, http.StatusLoopDetected, "ENGINE_IS_GATE")
		if n := requests.Load() - before; n != 2 {
			t.Errorf("%s: one request was %d", path, n)
		}
	}
}

// Two gateways in a row are no loop, and the names of other proxies stay in the header.
func TestLoop_TwoGatewaysInARow(t *testing.T) {
	t.Parallel()
	var names []string
	engine := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { names = r.Header["Cdn-Loop"] }))
	t.Cleanup(engine.Close)
	far, _ := url.Parse(engine.URL)
	inner, _ := looped(t, far)
	near, _ := url.Parse(inner)
	outer, _ := looped(t, near)
	g := &rig{url: outer}
	if res := g.get(t, "/health", "CDN-Loop", "cdn.example"); res.StatusCode != http.StatusOK || len(names) != 3 || names[0] != "cdn.example" {
		t.Errorf("%d, named %q", res.StatusCode, names)
	}
}

// Calls of qrgate's own are marked as well, in a copy of the request.
func TestLoop_Transport(t *testing.T) {
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
