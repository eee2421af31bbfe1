package proxy_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"qrgate/proxy"
)

// Each of these could be read as more than one request by a proxy. qrgate reads none as more than one, and forwards none.
var framings = map[string]struct {
	wire   string
	status int
}{
	"length and coding":          {"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG", 400},
	"coding and length":          {"POST /x HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n", 400},
	"two lengths":                {"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400},
	"length with a sign":         {"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na", 400},
	"negative length":            {"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\na", 400},
	"list of lengths":            {"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\na", 400},
	"space before the colon":     {"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400},
	"unknown coding":             {"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501},
	"two codings":                {"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 501},
	"coding in HTTP/1.0":         {"POST /x HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
	"folded header":              {"GET /x HTTP/1.1\r\nHost: a\r\nX-A: a\r\n b\r\n\r\n", 400},
	"folded coding":              {"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400},
	"bare line feeds":            {"GET /x HTTP/1.1\nHost: a\n\n", 400},
	"one bare line feed":         {"GET /x HTTP/1.1\r\nHost: a\nX-A: b\r\n\r\n", 400},
	"carriage return in a value": {"GET /x HTTP/1.1\r\nHost: a\r\nX-A: a\rb\r\n\r\n", 400},
	"two hosts":                  {"GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
	"no host":                    {"GET /x HTTP/1.1\r\n\r\n", 400},
	"HTTP/2 preface":             {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
	"CONNECT":                    {"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n", 400},
	"TRACE":                      {"TRACE /x HTTP/1.1\r\nHost: a\r\n\r\n", 405},
	"unreadable request line":    {"GET\r\n\r\n", 400},
}

func TestSmuggling_AmbiguousFramingIsRefused(t *testing.T) {
	t.Parallel()
	var reached atomic.Int64
	g := start(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	for name, f := range framings {
		conn := g.dial(t)
		// A second request follows on the same connection: it must never get a response.
		_, _ = io.WriteString(conn, f.wire+"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
		all, _ := io.ReadAll(conn)
		if got := fmt.Sprintf("HTTP/1.1 %d ", f.status); !strings.HasPrefix(strings.Replace(string(all), "HTTP/1.0", "HTTP/1.1", 1), got) {
			t.Errorf("%s: received %.80q, want %s", name, all, got)
		}
		if n := strings.Count(string(all), "HTTP/1."); n != 1 {
			t.Errorf("%s: %d responses, want one and a closed connection", name, n)
		}
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("%d of these requests reached the engine", n)
	}
}

func TestSmuggling_SafeWithoutDetection(t *testing.T) {
	t.Parallel()
	var reached atomic.Int64
	behind := start(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		reached.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	server := proxy.Server("", behind.front)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	g := &rig{addr: listener.Addr().String()}
	for _, wire := range []string{
		framings["length and coding"].wire,
		"POST /x HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n",
	} {
		reached.Store(0)
		conn := g.dial(t)
		_, _ = io.WriteString(conn, wire+"GET /smuggled HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		_, _ = io.ReadAll(conn)
		if n := reached.Load(); n != 1 {
			t.Errorf("%q: read as %d requests, want one", wire, n)
		}
	}
}

func TestSmuggling_ValidRequestsShareAConnection(t *testing.T) {
	t.Parallel()
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %q", r.Method, body)
	}))
	conn := g.dial(t)
	for _, x := range []struct{ wire, want string }{
		{"GET /a HTTP/1.1\r\nHost: a\r\n\r\n", `GET ""`},
		{"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 24\r\n\r\nHost: a\n b\nX: y\r\n\r\nHello", `POST "Host: a\n b\nX: y\r\n\r\nHello"`},
		{"\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n", `GET ""`},
		{"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", `POST "hi"`},
	} {
		_, _ = io.WriteString(conn, x.wire)
		if res := readResponse(conn, "GET"); res.body != x.want {
			t.Fatalf("%q returned %d %q, want %q", x.wire, res.StatusCode, res.body, x.want)
		}
	}
	if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the connection outlived a chunked request: %v", err)
	}
}

func TestScanHeader_AnyReadSize(t *testing.T) {
	t.Parallel()
	const well = "POST /" + "a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na\nbGET / HTTP/1.1\r\nX: y\r\n\r\n"
	const ill = well + "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nX: " + "long long long long long long long long long long" + "\r\nContent-Length: 3\r\n\r\n"
	for piece := 1; piece < len(ill); piece++ {
		if ambiguous, chunked := proxy.ScanHeader(well, piece); ambiguous || chunked {
			t.Fatalf("in pieces of %d, a valid connection is ambiguous %v, chunked %v", piece, ambiguous, chunked)
		}
		if ambiguous, chunked := proxy.ScanHeader(ill, piece); !ambiguous || !chunked {
			t.Fatalf("in pieces of %d, an ambiguous connection is ambiguous %v, chunked %v", piece, ambiguous, chunked)
		}
	}
}

func TestServer_SlowHeader(t *testing.T) {
	t.Parallel()
	g := start(t, http.NotFoundHandler(), func(_ *proxy.Config, s *http.Server) { s.ReadHeaderTimeout = 200 * time.Millisecond })
	conn := g.dial(t)
	began := time.Now()
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n")
	if n, _ := conn.Read(make([]byte, 1)); n != 0 {
		t.Error("part of a header returned")
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("part of a header kept the connection open for %v", took)
	}
	if s := proxy.Server("", nil); s.ReadHeaderTimeout != 5*time.Second || s.IdleTimeout != 75*time.Second || s.MaxHeaderBytes != 32<<10 || s.WriteTimeout != 0 {
		t.Errorf("the bounds of the server are %v, %v, %v, %v", s.ReadHeaderTimeout, s.IdleTimeout, s.MaxHeaderBytes, s.WriteTimeout)
	}
}

func TestServer_EndlessHeader(t *testing.T) {
	t.Parallel()
	g := start(t, http.NotFoundHandler())
	conn := g.dial(t)
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n")
	line := "X-Filler: " + strings.Repeat("x", 1000) + "\r\n"
	written := 0
	for written < 1<<20 {
		n, err := io.WriteString(conn, line)
		written += n
		if err != nil {
			break
		}
	}
	if res := readResponse(conn, "GET"); res.StatusCode != 431 && res.StatusCode != 0 {
		t.Errorf("an endless header returned %d", res.StatusCode)
	}
	res := g.raw(t, "GET / HTTP/1.1\r\nHost: a\r\n"+strings.Repeat(line, 40)+"\r\n")
	if res.StatusCode != 431 && res.StatusCode != 0 {
		t.Errorf("a header of 40 KiB returned %d, want 431", res.StatusCode)
	}
}
