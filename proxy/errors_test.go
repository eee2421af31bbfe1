package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/proxy"
)

// nginxPage is nginx's error page while the engine behind it is down.
const nginxPage = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx/1.24.0 (Ubuntu)</center>\r\n</body>\r\n</html>\r\n"

func TestPassThrough_HTMLErrorPageBecomesDocumentedError(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		status int
		kind   string
		code   string
	}{
		{502, "text/html", "ENGINE_BAD_ANSWER"},
		{503, "text/html; charset=utf-8", "ENGINE_UNREACHABLE"},
		{504, "TEXT/HTML", "ENGINE_TIMEOUT"},
		{502, "application/xhtml+xml", "ENGINE_BAD_ANSWER"},
		{502, "", "ENGINE_BAD_ANSWER"},
	} {
		g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Type"] = []string{x.kind}
			w.Header().Set("Retry-After", "17")
			w.Header().Set("ETag", `"page"`)
			w.WriteHeader(x.status)
			_, _ = io.WriteString(w, nginxPage)
		}))
		res := g.get(t, "/api/messages/unread")
		wantProblem(t, res, x.status, x.code)
		if res.Header.Get("Retry-After") != "17" || res.Header.Get("ETag") != "" || len(res.Header.Values("Content-Length")) != 1 {
			t.Errorf("%d: headers %v", x.status, res.Header)
		}
		if e := g.exchange(t); e.Code != x.code || e.Status != x.status {
			t.Errorf("logged as %+v", e)
		}
		if x.kind == "" {
			continue // nothing shows that a HEAD without a Content-Type is HTML
		}
		if res := g.send(t, "HEAD", "/x", nil); res.StatusCode != x.status || res.Header.Get("Content-Type") != "application/json; charset=utf-8" || res.body != "" {
			t.Errorf("HEAD returned %d %v", res.StatusCode, res.Header)
		}
	}
}

func TestPassThrough_EndlessHTMLErrorPageIsClosed(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		w.Header()["Content-Type"] = nil
		w.WriteHeader(502)
		for page := []byte(strings.Repeat(nginxPage, 100)); ; {
			if _, err := w.Write(page); err != nil {
				return
			}
		}
	}))
	wantProblem(t, g.get(t, "/x"), 502, "ENGINE_BAD_ANSWER")
	<-ended
}

func TestPassThrough_EngineDown(t *testing.T) {
	t.Parallel()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &url.URL{Scheme: "http", Host: free.Addr().String()}
	_ = free.Close() // no process listens there now
	g := startBefore(t, u)
	for _, method := range []string{"GET", "POST", "OPTIONS"} {
		res := g.send(t, method, "/api/messages/unread", nil, "Origin", "https://shop.example")
		wantProblem(t, res, 503, "ENGINE_UNREACHABLE")
		if res.Header.Get("Retry-After") != "5" {
			t.Errorf("Retry-After is %q", res.Header.Get("Retry-After"))
		}
	}
	if e := g.exchange(t); e.Code != "ENGINE_UNREACHABLE" || e.Status != 503 || e.ClientGone {
		t.Errorf("logged as %+v", e)
	}
	res := g.send(t, "POST", "/upload", strings.NewReader(strings.Repeat("x", 1<<20)))
	wantProblem(t, res, 503, "ENGINE_UNREACHABLE")
}

func TestPassThrough_EngineTimeout(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-release:
		}
	}), idling(150*time.Millisecond))
	defer close(release)
	wantProblem(t, g.get(t, "/api/messages/unread"), 504, "ENGINE_TIMEOUT")
	wantProblem(t, g.send(t, "POST", "/x", strings.NewReader("{}")), 504, "ENGINE_TIMEOUT")
}

func idling(d time.Duration) setting {
	return func(c *proxy.Config, _ *http.Server) { c.SetLimits(0, 0, 0, d) }
}

// rawEngine is an engine that sends the same bytes on every connection and closes it.
func rawEngine(t *testing.T, wire string) *url.URL {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { _ = l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = http.ReadRequest(bufio.NewReader(conn))
			_, _ = io.WriteString(conn, wire)
			_ = conn.Close()
		}
	}()
	return &url.URL{Scheme: "http", Host: l.Addr().String()}
}

func TestPassThrough_EngineSendsNoHTTP(t *testing.T) {
	t.Parallel()
	for name, wire := range map[string]string{
		"nothing":            "",
		"noise":              "SSH-2.0-OpenSSH_9.2\r\n",
		"part of a header":   "HTTP/1.1 200 OK\r\nContent-",
		"two lengths":        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
		"an endless header":  "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 70<<10) + "\r\n\r\n",
		"an upgrade unasked": "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
	} {
		g := startBefore(t, rawEngine(t, wire))
		res := g.get(t, "/api/messages/unread")
		if res.StatusCode != 502 {
			t.Errorf("%s: status %d %s", name, res.StatusCode, res.body)
			continue
		}
		wantProblem(t, res, 502, "ENGINE_BAD_ANSWER")
	}
}

func TestRequestBody_TooLarge(t *testing.T) {
	t.Parallel()
	engine := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			panic(http.ErrAbortHandler)
		}
	})
	g := start(t, engine, func(c *proxy.Config, _ *http.Server) { c.SetLimits(100_000, 1000, 0, 0) })
	for _, x := range []struct {
		method, path string
		size, status int
	}{
		{"POST", "/api/media/sessions/a/upload", 100_000, 200},
		{"POST", "/api/media/sessions/a/upload", 100_001, 413},
		{"POST", "/api/media/sessions/a/upload", 10_000_000, 413},
		{"DELETE", "/api/sessions/a", 1001, 413},
		{"POST", "/api/sessions", 100_000, 413},
	} {
		for _, chunked := range []bool{false, true} {
			var body io.Reader = strings.NewReader(strings.Repeat("x", x.size))
			if chunked {
				body = io.MultiReader(body) // whose length net/http cannot see
			}
			res := g.send(t, x.method, x.path, body)
			if x.status == 413 {
				wantProblem(t, res, 413, "PAYLOAD_TOO_LARGE")
			} else if res.StatusCode != x.status {
				t.Errorf("%s %s with %d bytes, chunked %v: %d", x.method, x.path, x.size, chunked, res.StatusCode)
			}
		}
	}
}

func TestRequestBody_TooLargeIsRefusedBeforeContinue(t *testing.T) {
	t.Parallel()
	g := start(t, http.NotFoundHandler())
	res := g.raw(t, "POST /api/media/sessions/a/upload HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 134217729\r\n\r\n")
	wantProblem(t, res, 413, "PAYLOAD_TOO_LARGE") // and no 100 before it
}

func TestRequestBody_TimeoutDoesNotBoundTheResponse(t *testing.T) {
	const bound = 5 * time.Second
	engine := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-time.After(3 * bound):
		case <-r.Context().Done():
		}
	})
	inFakeTime(t, engine, func(t *testing.T, g *rig) {
		if res := g.send(t, "POST", "/api/sessions", strings.NewReader("{}")); res.StatusCode != 200 {
			t.Errorf("status %d %s", res.StatusCode, res.body)
		}
	}, func(c *proxy.Config, _ *http.Server) { c.SetLimits(0, 0, bound, 0) })
}

func TestRequestBody_ClientStops(t *testing.T) {
	t.Parallel()
	engine := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	g := start(t, engine, idling(150*time.Millisecond), func(c *proxy.Config, _ *http.Server) { c.SetLimits(0, 0, 150*time.Millisecond, 0) })
	for _, path := range []string{"/api/messages/a/send", "/api/sessions"} {
		res := g.raw(t, "POST "+path+" HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{}")
		wantProblem(t, res, 408, "REQUEST_TIMEOUT")
	}
	for _, path := range []string{"/api/messages/a/send", "/api/sessions"} {
		res := g.raw(t, "POST "+path+" HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
		wantProblem(t, res, 400, "VALIDATION_ERROR")
	}
}

func TestRequestBody_RefusedRequestFreesTheConnection(t *testing.T) {
	t.Parallel()
	g := start(t, http.NotFoundHandler())
	conn := g.dial(t)
	began := time.Now()
	_, _ = io.WriteString(conn, "POST /api/sessions//a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{}") // the rest never comes
	all, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(all), "HTTP/1.1 400") || time.Since(began) > 10*time.Second {
		t.Errorf("after %v: %q, %v", time.Since(began), all, err)
	}
}

// panicking is a transport that panics.
type panicking struct{ value any }

func (p panicking) RoundTrip(*http.Request) (*http.Response, error) { panic(p.value) }

func TestHandler_PanicIs503WithoutSecrets(t *testing.T) {
	t.Parallel()
	for _, value := range []any{"the key is key-canary", errors.New("key-canary"), struct{ Key string }{"key-canary"}} {
		var log bytes.Buffer
		g := startBefore(t, &url.URL{Scheme: "http", Host: "engine.example"}, func(c *proxy.Config, _ *http.Server) {
			c.Transport = panicking{value}
			c.Logger = slog.New(slog.NewJSONHandler(&log, nil))
		})
		res := g.get(t, "/api/messages/unread?token=key-canary", "X-API-Key", "key-canary", "Authorization", "Bearer key-canary", "Cookie", "key-canary")
		wantProblem(t, res, 503, "INTERNAL_ERROR")
		if res.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		if e := g.exchange(t); e.Status != 503 || e.Code != "INTERNAL_ERROR" || e.Truncated {
			t.Errorf("logged as %+v", e)
		}
		if s := log.String(); strings.Contains(s, "key-canary") || !strings.Contains(s, "RoundTrip") || strings.Count(s, "\n") != 1 {
			t.Errorf("logged %s", s)
		}
		if strings.Contains(res.body, "canary") {
			t.Errorf("body %s", res.body)
		}
	}
}

func TestClassifyError(t *testing.T) {
	t.Parallel()
	dial := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	for name, x := range map[string]struct {
		err, client, cause error
		want               string
	}{
		"refused":             {err: dial, want: "{503 ENGINE_UNREACHABLE"},
		"unknown host":        {err: &url.Error{Err: &net.OpError{Op: "dial", Err: &net.DNSError{}}}, want: "{503 ENGINE_UNREACHABLE"},
		"dial timed out":      {err: &net.OpError{Op: "dial", Err: context.DeadlineExceeded}, want: "{503 ENGINE_UNREACHABLE"},
		"response timed out":  {err: context.DeadlineExceeded, want: "{504 ENGINE_TIMEOUT"},
		"connection reset":    {err: &net.OpError{Op: "read", Err: errors.New("reset")}, want: "{502 ENGINE_BAD_ANSWER"},
		"end of file":         {err: io.EOF, want: "{502 ENGINE_BAD_ANSWER"},
		"client's body first": {err: dial, client: errors.New("malformed chunk"), want: "{400 VALIDATION_ERROR"},
	} {
		if got := proxy.ClassifyError(x.err, x.client, x.cause); !strings.HasPrefix(got, x.want) {
			t.Errorf("%s: %s, want %s", name, got, x.want)
		}
	}
}

func TestObserve_TrafficClass(t *testing.T) {
	t.Parallel()
	g := start(t, http.NotFoundHandler(), func(c *proxy.Config, _ *http.Server) {
		c.TrafficClass = func(key secret.Secret) session.TrafficClass {
			if key.Equal(secret.NewSecret("key-probe")) {
				return session.SyntheticTraffic
			}
			return session.UserTraffic
		}
	})
	for key, want := range map[string]session.TrafficClass{"key-probe": session.SyntheticTraffic, "key-a": session.UserTraffic, "": session.UserTraffic} {
		g.send(t, "POST", "/x", strings.NewReader("12345"), "X-API-Key", key)
		if e := g.exchange(t); e.Traffic != want || e.BytesIn != 5 || e.Took <= 0 {
			t.Errorf("key %q is logged as %+v", key, e)
		}
	}
}
