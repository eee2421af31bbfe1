package proxy_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"qrgate/proxy"
)

func TestPassThrough_NoContentTypeIsGuessed(t *testing.T) {
	t.Parallel()
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"] = nil
		_, _ = io.WriteString(w, "<script>alert(1)</script>")
	}))
	if res := g.get(t, "/x"); len(res.Header["Content-Type"]) > 0 || res.body == "" {
		t.Errorf("Content-Type %q", res.Header["Content-Type"])
	}
}

// An engine with an untrusted certificate, and https where http is expected and the reverse.
func TestPassThrough_EngineCertificate(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.NotFoundHandler())
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = nil
	secure.StartTLS()
	t.Cleanup(func() { plain.Close(); secure.Close() })
	for engine, reason := range map[string]string{
		secure.URL: "its certificate is not trusted",
		strings.Replace(secure.URL, "https", "http", 1): "it speaks HTTPS where plain HTTP is expected",
		strings.Replace(plain.URL, "http", "https", 1):  "it speaks plain HTTP where HTTPS is expected",
	} {
		u, _ := url.Parse(engine)
		g := startBefore(t, u)
		res := g.get(t, "/api/messages/unread")
		wantProblem(t, res, 503, "ENGINE_UNREACHABLE")
		if !strings.Contains(res.body, reason) {
			t.Errorf("%s: %s", engine, res.body)
		}
		res = g.get(t, "/api/messages/unread", "Accept-Language", "es")
		if res.Header.Get("Content-Language") != "es" || !strings.Contains(res.body, "Motivo") {
			t.Errorf("in Spanish: %v %s", res.Header, res.body)
		}
	}
}

// Servers respond to plain HTTP at a port of HTTPS with a 400; every other 400 of an engine passes through.
func TestPassThrough_PlainHTTPAtAPortOfHTTPS(t *testing.T) {
	t.Parallel()
	for page, isPlain := range map[string]bool{
		"<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>": true,
		"Client sent an HTTP request to an HTTPS server.\n":                                          true,
		"<p>Reason: You're speaking plain HTTP to an SSL-enabled server port.</p>":                   true,
		"Bad Request\r\nThis combination of host and port requires TLS.\r\n":                         true,
		"<html><title>400 Bad Request</title></html>":                                                false,
		`{"error":"The plain HTTP request was sent to HTTPS port"}`:                                  false,
	} {
		contentType := "text/html"
		if strings.HasPrefix(page, "{") {
			contentType = "application/json"
		}
		g := start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, page)
		}))
		res := g.get(t, "/api/messages/unread")
		if isPlain {
			wantProblem(t, res, 503, "ENGINE_UNREACHABLE")
		}
		if isPlain != strings.Contains(res.body, "it speaks HTTPS where plain HTTP is expected") || !isPlain && res.body != page {
			t.Errorf("%s: %d %s", page, res.StatusCode, res.body)
		}
	}
}

func TestCORS_ConfiguredOrigins(t *testing.T) {
	t.Parallel()
	allow := func(origins ...string) setting {
		return func(c *proxy.Config, _ *http.Server) { c.CORSOrigins = origins }
	}
	u := &url.URL{Scheme: "http", Host: "127.0.0.1:1"} // nothing listens there
	for _, c := range []struct {
		origin, allowed, credentials string
		setting
	}{
		{shop, shop, "true", allow("https://other.example", shop)},
		{"https://evil.example", "", "", allow(shop)},
		{"https://any.example", "*", "", allow("*")},
	} {
		g := startBefore(t, u, c.setting)
		res := g.get(t, "/api/messages/unread", "Origin", c.origin)
		wantProblem(t, res, 503, "ENGINE_UNREACHABLE")
		exposed := res.Header.Get("Access-Control-Expose-Headers")
		if res.Header.Get("Access-Control-Allow-Origin") != c.allowed || res.Header.Get("Access-Control-Allow-Credentials") != c.credentials ||
			strings.Contains(exposed, "Retry-After, X-Request-Id, Server-Timing") != (c.allowed != "") {
			t.Errorf("%s: %v", c.origin, res.Header)
		}
		for _, path := range []string{"/api/messages/unread", "/api/sessions/a/qr"} {
			p := g.send(t, "OPTIONS", path, nil, "Origin", c.origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "x-api-key")
			if (p.StatusCode == 204) != (c.allowed != "") || p.Header.Get("Access-Control-Allow-Origin") != c.allowed ||
				c.allowed != "" && p.Header.Get("Access-Control-Allow-Headers") != "x-api-key" {
				t.Errorf("preflight of %s for %s: %d %v", path, c.origin, p.StatusCode, p.Header)
			}
		}
	}
}

func TestCORS_OriginsChangeWhileTheHandlerRuns(t *testing.T) {
	t.Parallel()
	engine := &url.URL{Scheme: "http", Host: "127.0.0.1:1"} // nothing listens there
	h := proxy.New(proxy.Config{Engine: engine, CORSOrigins: []string{"https://old.example"}})
	h.SetCORSOrigins([]string{shop})
	for origin, want := range map[string]string{"https://old.example": "", shop: shop} {
		r := httptest.NewRequest("GET", "/api/messages/unread", nil)
		r.Header.Set("Origin", origin)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if got := w.Header().Get("Access-Control-Allow-Origin"); got != want {
			t.Errorf("%s: %q", origin, got)
		}
	}
}

// The learned headers of the engine expose qrgate's own headers too.
func TestCORS_ExposesOwnHeaders(t *testing.T) {
	t.Parallel()
	g := start(t, &corsEngine{})
	res := g.get(t, "/a/./b", "Origin", shop)
	if got := res.Header.Get("Access-Control-Expose-Headers"); got != "Retry-After, X-Request-Id, Server-Timing" {
		t.Errorf("exposed %q", got)
	}
}

// Every problem of the front is in the client's language, and its Content-Language is true.
func TestProblem_Languages(t *testing.T) {
	t.Parallel()
	g := start(t, http.NotFoundHandler())
	for target, want := range map[string]string{
		"/api/sessions//a": "segmento", "/api/x%00": "escape", "/?a#b": "consulta",
		"/" + strings.Repeat("a", 9000): "demasiado larga", "/api/sessions/a.b/qr": "id de una sesión",
	} {
		for language, contains := range map[string]string{"es-MX, en;q=0.5": want, "en": ". "} {
			res := g.raw(t, "GET "+target+" HTTP/1.1\r\nHost: a\r\nAccept-Language: "+language+"\r\n\r\n")
			if res.Header.Get("Content-Language") != language[:2] || !strings.Contains(res.body, contains) {
				t.Errorf("%.40s in %s: %q %s", target, language, res.Header.Get("Content-Language"), res.body)
			}
		}
	}
}

// "OPTIONS *" and Max-Forwards (RFC 9110, 9.3.7 and 7.6.2), and the Allow that a 405 must have.
func TestPassThrough_OptionsAndAllow(t *testing.T) {
	t.Parallel()
	m := &mirror{}
	g := start(t, m)
	// Go's server, which is the engine here, responds itself.
	if res := g.raw(t, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"); res.StatusCode != http.StatusOK || res.Header.Get("X-Request-Id") == "" {
		t.Errorf("OPTIONS *: %d", res.StatusCode)
	}
	g.raw(t, "OPTIONS /x HTTP/1.1\r\nHost: a\r\nMax-Forwards: 3\r\n\r\n")
	if got := m.request().Header.Get("Max-Forwards"); got != "2" {
		t.Errorf("Max-Forwards at the engine is %q", got)
	}
	if res := g.raw(t, "OPTIONS /x HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n"); res.StatusCode != http.StatusNoContent {
		t.Errorf("Max-Forwards: 0: %d", res.StatusCode)
	}
	if res := g.raw(t, "TRACE /x HTTP/1.1\r\nHost: a\r\n\r\n"); res.StatusCode != 405 || !strings.Contains(res.Header.Get("Allow"), "GET") {
		t.Errorf("TRACE: %d %v", res.StatusCode, res.Header)
	}
}

// A Content-Length whose value stands far to the right is read by the framing scan as net/http reads it.
func TestScanHeader_LongContentLength(t *testing.T) {
	t.Parallel()
	m := &mirror{}
	g := start(t, m)
	wire := "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length:" + strings.Repeat(" ", 60) + "9\r\n\r\nX: y\n\nabc"
	if res := g.raw(t, wire); res.StatusCode != http.StatusTeapot || m.body != "X: y\n\nabc" {
		t.Errorf("%d %s; body at the engine %q", res.StatusCode, res.body, m.body)
	}
}
