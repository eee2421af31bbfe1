package proxy_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/proxy"
)

func TestPassThrough_ResponseIsUnchanged(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		status     int
		kind, body string
	}{
		{200, "application/json; charset=utf-8", `{"success":true}`},
		{201, "text/html", "<html>docs</html>"},
		{204, "", ""},
		{304, "", ""},
		{404, "text/html; charset=utf-8", "<!DOCTYPE html><pre>Cannot GET /x</pre>"},
		{404, "", ""},
		{405, "", ""},
		{429, "application/json", `{"success":false,"error":"Demasiadas solicitudes"}`},
		{500, "application/json", `{"success":false,"error":"column Message.isDeleted does not exist"}`},
		{500, "text/html", "<html>500</html>"},
		{502, "application/json", `{"success":false}`},
		{503, "text/plain", "later"},
		{504, "", ""},
	} {
		g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Date"] = nil
			w.Header().Set("ETag", `W/"75"`)
			w.Header().Set("RateLimit-Remaining", "919")
			w.Header().Add("Set-Cookie", "a=1")
			w.Header().Add("Set-Cookie", "b=2")
			w.Header()["Content-Type"] = []string{x.kind}
			if x.kind == "" {
				w.Header()["Content-Type"] = nil
			}
			w.WriteHeader(x.status)
			_, _ = io.WriteString(w, x.body)
		}))
		res := g.get(t, "/api/messages/unread")
		if res.StatusCode != x.status || res.body != x.body || res.Header.Get("Content-Type") != x.kind {
			t.Errorf("%d %q %q came out as %d %q %q", x.status, x.kind, x.body, res.StatusCode, res.Header.Get("Content-Type"), res.body)
		}
		if res.Header.Get("ETag") != `W/"75"` || res.Header.Get("RateLimit-Remaining") != "919" || len(res.Header.Values("Set-Cookie")) != 2 {
			t.Errorf("%d: headers came out as %v", x.status, res.Header)
		}
		if e := g.exchange(t); e.Status != x.status || e.Code != "" || e.Truncated || e.ClientGone || e.Route != proxy.Unmatched || e.BytesOut != int64(len(x.body)) {
			t.Errorf("%d was logged as %+v", x.status, e)
		}
	}
}

func TestRoutes_Methods(t *testing.T) {
	t.Parallel()
	var reached atomic.Value
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached.Store(r.Method)
		w.Header().Set("Access-Control-Allow-Methods", "GET,POST")
	}))
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"} {
		if res := g.send(t, method, "/api/media/1", nil); res.StatusCode != 200 || reached.Load() != method {
			t.Errorf("%s returned %d, the engine got %v", method, res.StatusCode, reached.Load())
		}
	}
	reached.Store("")
	for _, x := range []string{"POST /api/sessions/81/qr", "HEAD /api/sessions/81/connect", "QR /api/sessions/81/qr", "GET /api/sessions/81/connect", "DELETE /api/sessions"} {
		method, path, _ := strings.Cut(x, " ")
		res := g.send(t, method, path, nil)
		if method == "HEAD" {
			res.body = `{"success":false,"error":"a.","message":"a.","code":"METHOD_NOT_ALLOWED"}` // HEAD has no body to show
		}
		wantProblem(t, res, 405, "METHOD_NOT_ALLOWED")
		if res.Header.Get("Allow") == "" {
			t.Errorf("%s: no Allow header", x)
		}
	}
	if reached.Load() != "" {
		t.Errorf("a wrong method reached the engine: %v", reached.Load())
	}
	res := g.send(t, "OPTIONS", "/api/sessions/81/qr", nil, "Origin", "https://shop.example", "Access-Control-Request-Method", "GET")
	if res.StatusCode != 200 || reached.Load() != "OPTIONS" || res.Header.Get("Allow") != "" || res.Header.Get("Access-Control-Allow-Methods") != "GET,POST" {
		t.Errorf("a preflight on a session route returned %d %v", res.StatusCode, res.Header)
	}
}

func TestObserve_MethodsAreBounded(t *testing.T) {
	t.Parallel()
	g := start(t, http.NotFoundHandler())
	g.send(t, "XYZZY", "/x", nil)
	if e := g.exchange(t); e.Method != "OTHER" {
		t.Errorf("an invented method is logged as %q", e.Method)
	}
	g.send(t, "DELETE", "/api/sessions/81/qr", nil)
	if e := g.exchange(t); e.Method != "DELETE" || e.Route != "/api/sessions/{id}/qr" || e.Status != 405 {
		t.Errorf("logged as %+v", e)
	}
}

func TestPassThrough_HEAD(t *testing.T) {
	t.Parallel()
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Length", "1234") }))
	if res := g.send(t, "HEAD", "/api/media/1", nil); res.StatusCode != 200 || res.ContentLength != 1234 || res.body != "" {
		t.Errorf("HEAD returned %d, length %d, body %q", res.StatusCode, res.ContentLength, res.body)
	}
}

func TestPassThrough_NothingIsDecompressed(t *testing.T) {
	t.Parallel()
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	for range 8 {
		_, _ = w.Write(make([]byte, 1<<20))
	}
	_ = w.Close()
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(z.Bytes())
	}))
	res := g.get(t, "/api/media/1/download", "Accept-Encoding", "gzip")
	if res.body != z.String() || res.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("%d bytes became %d, Content-Encoding %q", z.Len(), len(res.body), res.Header.Get("Content-Encoding"))
	}
}

func TestPassThrough_Location(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	var location atomic.Value
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		w.Header().Set("Location", strings.ReplaceAll(location.Load().(string), "ENGINE", r.Host))
		status := http.StatusFound
		if r.Method == http.MethodPost {
			status = http.StatusCreated
		}
		w.WriteHeader(status)
	}))
	const same = "unchanged"
	locations := []struct{ sent, want string }{
		{"/login?next=%2F", same}, {"next/page?a=%zz", same}, {"?page=2", same}, {"../a b/c", same}, {"", ""},
		{"https://files.example/a?sig=b", same}, {"http://files.example:80", same}, {"//files.example/{a}", same},
		{"whatsapp://send?phone=1", same}, {"ftp://files.example/a", same}, {"http://[::1", same},
		{"http://ENGINE/a%20b?c=d#e", "/a%20b?c=d#e"}, {"http://ENGINE/a%2Fb/{c}'(d)", "/a%2Fb/{c}'(d)"},
		{"http://ENGINE", "/"}, {"http://ENGINE?a=b", "/?a=b"}, {"//ENGINE/a", "/a"}, {"https://ENGINE/a", "/a"},
		{"HTTP://ENGINE/a", "/a"}, {"http://user:key-a@ENGINE/a", "/a"}, {"http://ENGINE/%zz", ""},
	}
	for _, x := range locations {
		location.Store(x.sent)
		if x.want == same {
			x.want = x.sent
		}
		for _, method := range []string{"GET", "POST"} {
			if got := g.send(t, method, "/x", nil).Header.Get("Location"); got != x.want {
				t.Errorf("%s: %s came out as %q, want %q", method, x.sent, got, x.want)
			}
		}
	}
	if want := int64(2 * len(locations)); calls.Load() != want {
		t.Errorf("%d requests became %d calls", want, calls.Load())
	}
}

// A Location below the path of QRGATE_ENGINE_URL, and a Content-Location.
func TestPassThrough_LocationUnderAPrefix(t *testing.T) {
	t.Parallel()
	var location atomic.Value
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", strings.ReplaceAll(location.Load().(string), "ENGINE", r.Host))
		w.Header().Set("Content-Location", strings.ReplaceAll(location.Load().(string), "ENGINE", r.Host))
		w.Header().Set("Refresh", "5; url=http://"+r.Host+"/engine/a")
		w.Header()["Link"] = []string{"<http://" + r.Host + `/engine/p?page=2>; rel="next", </x>; rel=up`, "<https://files.example/a>"}
		w.WriteHeader(http.StatusFound)
	}), func(c *proxy.Config, _ *http.Server) {
		u := *c.Engine
		u.Path = "/engine/"
		c.Engine = &u
	})
	for sent, want := range map[string]string{
		"/engine/a?b": "/a?b", "/engine": "/", "/engine?a": "/?a", "/engines/a": "/engines/a", "/other": "/other",
		"http://ENGINE/engine/a%2fb": "/a%2fb", "http://ENGINE/engine": "/", "next": "next",
	} {
		location.Store(sent)
		h := g.get(t, "/x").Header
		if h.Get("Location") != want || h.Get("Content-Location") != want {
			t.Errorf("%s came out as %q and %q, want %q", sent, h.Get("Location"), h.Get("Content-Location"), want)
		}
		links := strings.Join(h["Link"], "; ")
		if links != `</p?page=2>; rel="next", </x>; rel=up; <https://files.example/a>` || h.Get("Refresh") != "5; url=/a" {
			t.Errorf("Link %s, Refresh %s", links, h.Get("Refresh"))
		}
	}
}

// An engine that redirects every request to https at its own address would send the client in a circle.
func TestPassThrough_RedirectToAnotherScheme(t *testing.T) {
	t.Parallel()
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://"+r.Host+r.RequestURI, http.StatusMovedPermanently)
	}))
	res := g.get(t, "/api/messages/unread?a=b")
	wantProblem(t, res, 503, "ENGINE_UNREACHABLE")
	if !strings.Contains(res.body, "QRGATE_ENGINE_URL") {
		t.Errorf("body %s", res.body)
	}
}

func TestPassThrough_NothingIsResent(t *testing.T) {
	t.Parallel()
	for name, wire := range map[string]string{
		"with a body":             "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
		"without one":             "POST /x HTTP/1.1\r\nHost: a\r\n\r\n",
		"with an idempotency key": "POST /x HTTP/1.1\r\nHost: a\r\nIdempotency-Key: i-1\r\nX-Idempotency-Key: i-1\r\n\r\n",
		"DELETE":                  "DELETE /x HTTP/1.1\r\nHost: a\r\nIdempotency-Key: i-1\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mutations atomic.Int64
			g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "GET" {
					return // leaves a connection that is kept alive, which a POST will use
				}
				mutations.Add(1)
				panic(http.ErrAbortHandler) // the call was executed and its response is lost
			}))
			g.get(t, "/warm")
			res := g.raw(t, wire)
			wantProblem(t, res, 502, "ENGINE_BAD_ANSWER")
			if n := mutations.Load(); n != 1 {
				t.Errorf("the engine executed it %d times", n)
			}
		})
	}
}

func TestPassThrough_RefusedExpectContinue(t *testing.T) {
	t.Parallel()
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(401) }))
	conn := g.dial(t)
	_, _ = io.WriteString(conn, "POST /upload HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n")
	if res := readResponse(conn, "POST"); res.StatusCode != 401 {
		t.Errorf("status %d, want the engine's 401 without a 100 before it", res.StatusCode)
	}
}

func TestPassThrough_ExpectContinue(t *testing.T) {
	t.Parallel()
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "got %s", body)
	}))
	conn := g.dial(t)
	_, _ = io.WriteString(conn, "POST /upload HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
	head := make([]byte, len("HTTP/1.1 100 Continue"))
	if _, err := io.ReadFull(conn, head); err != nil || string(head) != "HTTP/1.1 100 Continue" {
		t.Fatalf("qrgate sent %q, %v", head, err)
	}
	_, _ = io.WriteString(conn, "hello")
	rest, _ := readUntil(conn, "got hello")
	if !strings.Contains(rest, "HTTP/1.1 200") {
		t.Errorf("received %q", rest)
	}
}

// readUntil reads until the text was seen.
func readUntil(conn net.Conn, text string) (string, error) {
	var all []byte
	for buf := make([]byte, 4096); !bytes.Contains(all, []byte(text)); {
		n, err := conn.Read(buf)
		all = append(all, buf[:n]...)
		if err != nil {
			return string(all), err
		}
	}
	return string(all), nil
}

func TestPassThrough_ResponseTrailers(t *testing.T) {
	t.Parallel()
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, "hi")
		w.Header().Set("X-Sum", "7")
		w.Header().Set(http.TrailerPrefix+"X-Late", "8")
	}))
	res := g.get(t, "/x")
	if diff := cmp.Diff(http.Header{"X-Sum": {"7"}, "X-Late": {"8"}}, res.Trailer); diff != "" {
		t.Errorf("trailers (-want +got):\n%s", diff)
	}
}

func TestPassThrough_EarlyHints(t *testing.T) {
	t.Parallel()
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</a.css>")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusOK)
	}))
	conn := g.dial(t)
	_, _ = io.WriteString(conn, "GET /docs HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	all, _ := io.ReadAll(conn)
	if !strings.HasPrefix(string(all), "HTTP/1.1 103") || !strings.Contains(string(all), "\r\n\r\nHTTP/1.1 200") || !strings.Contains(string(all), "X-Request-Id") {
		t.Errorf("received %q", all)
	}
}

func TestPassThrough_ClientLeavesCancelsTheCall(t *testing.T) {
	t.Parallel()
	for name, wire := range map[string]string{
		"waiting":              "GET /x HTTP/1.1\r\nHost: a\r\n\r\n",
		"waiting after a body": "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
		"during the body":      "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			arrived, ended := make(chan struct{}), make(chan struct{})
			g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				close(arrived)
				_, _ = io.Copy(io.Discard, r.Body)
				<-r.Context().Done()
				close(ended)
			}))
			conn := g.dial(t)
			_, _ = io.WriteString(conn, wire)
			<-arrived
			_ = conn.Close()
			select {
			case <-ended:
			case <-time.After(5 * time.Second):
				t.Fatal("the engine still works for a client that left")
			}
			if e := g.exchange(t); !e.ClientGone || e.Status != proxy.StatusClientGone || e.Code != "" {
				t.Errorf("logged as %+v", e)
			}
		})
	}
}

// late is a transport that responds after the client has left.
type late struct {
	asked   chan struct{}
	respond func() *http.Response
}

func (l late) RoundTrip(r *http.Request) (*http.Response, error) {
	close(l.asked)
	<-r.Context().Done()
	res := l.respond()
	res.Request = r
	return res, nil
}

func TestPassThrough_ResponseAfterTheClientLeft(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		respond func() *http.Response
		status  int
	}{
		"a response": {func() *http.Response {
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("late"))}
		}, 200},
		"a panic": {func() *http.Response { panic(http.ErrAbortHandler) }, proxy.StatusClientGone},
	} {
		asked := make(chan struct{})
		g := start(t, http.NotFoundHandler(), func(c *proxy.Config, _ *http.Server) { c.Transport = late{asked, x.respond} })
		conn := g.dial(t)
		_, _ = io.WriteString(conn, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
		<-asked
		_ = conn.Close()
		if e := g.exchange(t); !e.ClientGone || e.Truncated || e.Status != x.status {
			t.Errorf("%s: logged as %+v", name, e)
		}
	}
}

func TestPassThrough_TruncatedResponseClosesConnection(t *testing.T) {
	t.Parallel()
	for name, length := range map[string]string{"of unknown length": "", "of known length": "10"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if length != "" {
					w.Header().Set("Content-Length", length)
				}
				_, _ = io.WriteString(w, "half")
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			}))
			r, _ := http.NewRequestWithContext(context.Background(), "GET", g.url+"/x", nil)
			res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if body, err := io.ReadAll(res.Body); err == nil || string(body) != "half" {
				t.Errorf("a truncated response was read as %q, %v", body, err)
			}
			if e := g.exchange(t); !e.Truncated || e.ClientGone || e.Status != 200 {
				t.Errorf("logged as %+v", e)
			}
		})
	}
}

const large = 100 << 20 // the documented upload (contract 1.3)

// zeros reads as n zero bytes, without having them.
func zeros(n int64) io.Reader { return io.LimitReader(zeroReader{}, n) }

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// allocated is how much do allocates, in all, wherever it was: client, front and engine are in one process.
func allocated(do func()) int64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

// Not parallel: nothing else may allocate meanwhile.
func TestPassThrough_LargeBodiesTakeLittleMemory(t *testing.T) {
	const ceiling = 8 << 20
	var received int64
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			received, _ = io.Copy(io.Discard, r.Body)
			return
		}
		if r.URL.RawQuery == "sized" {
			w.Header().Set("Content-Length", strconv.Itoa(large))
		}
		_, _ = io.Copy(w, zeros(large))
	}))

	var head bytes.Buffer
	form := multipart.NewWriter(&head)
	_, _ = form.CreateFormFile("file", "video.mp4")
	tail := "\r\n--" + form.Boundary() + "--\r\n"
	size := int64(head.Len()+len(tail)) + large
	for _, announced := range []int64{size, -1} {
		body := io.MultiReader(bytes.NewReader(head.Bytes()), zeros(large), bytes.NewReader([]byte(tail)))
		r, _ := http.NewRequest("POST", g.url+"/api/media/sessions/shop-1/upload", body)
		r.ContentLength = announced
		r.Header.Set("Content-Type", form.FormDataContentType())
		used := allocated(func() {
			if res := g.do(t, r); res.StatusCode != 200 || received != size {
				t.Errorf("status %d, the engine got %d of %d bytes", res.StatusCode, received, size)
			}
		})
		if used > ceiling {
			t.Errorf("an upload of 100 MiB (announced %v) allocated %d KiB", announced > 0, used>>10)
		}
		if e := g.exchange(t); e.BytesIn != size {
			t.Errorf("observed %d bytes in, want %d", e.BytesIn, size)
		}
	}

	for _, query := range []string{"sized", "chunked"} {
		used := allocated(func() {
			res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(mustGet(t, g.url+"/api/media/1/download?"+query))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if n, err := io.Copy(io.Discard, res.Body); n != large || err != nil {
				t.Errorf("downloaded %d bytes, %v", n, err)
			}
		})
		if used > ceiling {
			t.Errorf("a %s download of 100 MiB allocated %d KiB", query, used>>10)
		}
		if e := g.exchange(t); e.BytesOut != large {
			t.Errorf("observed %d bytes out", e.BytesOut)
		}
	}
}

func mustGet(t testing.TB, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
