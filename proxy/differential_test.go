package proxy_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// namedDifferences are what may differ between a request that is sent to the engine and one that passes through qrgate.
// docs/CONTRACT.md, 1.3.1 explains each under the same title.
var namedDifferences = []struct {
	title             string
	request, response []string // headers
	notModified       bool     // concerns a 304
}{
	{title: "Hop-by-hop headers", request: hopByHop, response: hopByHop},
	{title: "The client's address", request: []string{
		"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix", "Forwarded", "X-Real-Ip",
	}},
	{title: "The form of the target"},
	{title: "The request id", request: []string{"X-Request-Id"}, response: []string{"X-Request-Id"}},
	{title: "The loop marker", request: []string{"Cdn-Loop"}},
	{title: "Misleading request headers", request: []string{"Proxy", "X-Original-Url", "X-Http-Method-Override", "X_under_score"}},
	{title: "An empty body", request: []string{"Content-Length"}}, // a length above zero is compared as Length
	{title: "A missing Date", response: []string{"Date"}},
	{title: "The type of a 304", notModified: true},
	{title: "The engine's own address", response: []string{"Location", "Content-Location"}},
}

var hopByHop = []string{
	"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade", "X-Listed",
}

// recorded is a request as the engine received it.
type recorded struct {
	Method, Target, Body string
	Length               int64
	Header, Trailer      http.Header
}

// received is a response as the client received it.
type received struct {
	Informational   []string
	Status          int
	Header, Trailer http.Header
	Body            string
}

// recorder is an engine that records every request and sends the bytes that the case has.
type recorder struct {
	mu        sync.Mutex
	requests  map[string]recorded // by case
	responses map[string]string
}

func (e *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	name := r.Header.Get("X-Case")
	e.mu.Lock()
	e.requests[name] = recorded{r.Method, r.RequestURI, string(body), r.ContentLength, r.Header.Clone(), r.Trailer.Clone()}
	sent := e.responses[name]
	e.mu.Unlock()
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, sent)
	if r.Header.Get("Upgrade") == "websocket" {
		_, _ = io.CopyN(conn, rw, 11) // an echo
	}
}

// take returns the request of a case and forgets it.
func (e *recorder) take(name string) (recorded, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, ok := e.requests[name]
	delete(e.requests, name)
	return r, ok
}

// TestPassThrough_Differential sends 300 generated requests with as many responses to an engine, once directly and once
// through qrgate, and compares what both sides received.
func TestPassThrough_Differential(t *testing.T) {
	t.Parallel()
	engine := &recorder{requests: map[string]recorded{}, responses: map[string]string{}}
	g := start(t, engine)
	direct := &rig{addr: g.engine}
	for i := range 300 {
		name := strconv.Itoa(i)
		random := rand.New(rand.NewPCG(1, uint64(i)))
		wire := generateRequest(random, name)
		if wantsUpgrade(i) {
			wire = upgradeRequest(name)
		}
		method, _, _ := strings.Cut(wire, " ")
		sent := generateResponse(random, method, wantsUpgrade(i))
		engine.mu.Lock()
		engine.responses[name] = sent
		engine.mu.Unlock()
		wantResponse := direct.converse(t, wire, method)
		wantRequest, ok := engine.take(name)
		gotResponse := g.converse(t, wire, method)
		gotRequest, passed := engine.take(name)
		if !ok || !passed {
			t.Errorf("case %d reached the engine directly: %t, through qrgate: %t\n%.300q\n%+v", i, ok, passed, wire, gotResponse)
			continue
		}
		wantRequest.Target = strings.TrimPrefix(strings.TrimPrefix(wantRequest.Target, "http://gateway.example"), "HTTPS://gateway.example:8080")
		for _, d := range namedDifferences {
			drop(d.request, wantRequest.Header, gotRequest.Header)
			drop(d.response, wantResponse.Header, gotResponse.Header)
			if d.notModified && wantResponse.Status == http.StatusNotModified {
				drop([]string{"Content-Type", "Content-Length"}, wantResponse.Header, gotResponse.Header)
			}
		}
		if diff := cmp.Diff(wantRequest, gotRequest); diff != "" {
			t.Errorf("case %d: request at the engine (-direct +qrgate):\n%s\nsent %.500q", i, diff, wire)
		}
		if diff := cmp.Diff(wantResponse, gotResponse); diff != "" {
			t.Errorf("case %d: response (-direct +qrgate):\n%s\nsent %.500q", i, diff, sent)
		}
	}
}

func TestPassThrough_NamedDifferencesAreDocumented(t *testing.T) {
	t.Parallel()
	contract, err := os.ReadFile("../docs/CONTRACT.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range namedDifferences {
		if !strings.Contains(string(contract), "| "+d.title+" |") {
			t.Errorf("docs/CONTRACT.md does not explain %q", d.title)
		}
	}
}

func drop(names []string, headers ...http.Header) {
	for _, h := range headers {
		for _, name := range names {
			delete(h, name)
		}
	}
}

func wantsUpgrade(i int) bool { return i%25 == 7 }

func upgradeRequest(name string) string {
	return "GET /ws?case=" + name + " HTTP/1.1\r\nHost: gateway.example\r\nX-Case: " + name + "\r\nConnection: Upgrade\r\n" +
		"Upgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
}

// converse sends a request on a connection of its own and reads the responses.
func (g *rig) converse(t *testing.T, wire, method string) (r received) {
	t.Helper()
	conn, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(3 * time.Second))
	go func() { _, _ = io.WriteString(conn, wire) }()
	in := bufio.NewReader(conn)
	for {
		res, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			return received{Body: err.Error()}
		}
		if res.StatusCode < 200 && res.StatusCode != http.StatusSwitchingProtocols {
			r.Informational = append(r.Informational, fmt.Sprint(res.StatusCode, res.Header))
			continue
		}
		body, err := io.ReadAll(res.Body)
		if res.StatusCode == http.StatusSwitchingProtocols {
			_, _ = io.WriteString(conn, "hello world")
			body = make([]byte, 11)
			_, err = io.ReadFull(in, body)
		}
		_ = res.Body.Close()
		r.Status, r.Header, r.Trailer, r.Body = res.StatusCode, res.Header, res.Trailer, string(body)
		if err != nil {
			r.Body += " " + err.Error()
		}
		return r
	}
}

func pick(random *rand.Rand, choices ...string) string { return choices[random.IntN(len(choices))] }

// generateRequest makes a request that no session route serves.
func generateRequest(random *rand.Rand, name string) string {
	var w bytes.Buffer
	target := pick(random, "", "", "", "http://gateway.example", "HTTPS://gateway.example:8080")
	for range 1 + random.IntN(4) {
		target += "/" + pick(random, "api", "messages", "a%20b", "521%40s.whatsapp.net", "%3A%2B%2c%26", "!$&'()*+,=:@~", "caf%C3%A9",
			"%E9", "a;v=1", "100%25", "a%2Fb", "x.y", "-_", "%7B%7d", "{}|^`\"<>", "a%5cb", "%2561")
	}
	target += pick(random, "", "", "/") + pick(random, "", "?", "?a=b&a=c", "?q=%zz;%20+", "?a[]=1&b={}", "?caf\xc3\xa9", "?url=http://x/?y")
	method := pick(random, "GET", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "M-SEARCH", "lower")
	fmt.Fprintf(&w, "%s %s HTTP/1.1\r\nHost: gateway.example\r\nX-Case: %s\r\n", method, target, name)
	for _, header := range []string{
		"X-API-Key: key-a", "Authorization: Bearer t", "X-Tenant-ID: t-1", "Cookie: a=b; c=d", "cookie: e=f",
		"Accept: text/event-stream", "Accept-Encoding: gzip, br;q=0.5", "Range: bytes=0-9,20-", "If-None-Match: W/\"a\", \"b\"",
		"If-Modified-Since: Thu, 06 Nov 2025 12:00:00 GMT", "X-Empty:", "X-Many: 1\r\nX-Many: 2, 3", "x-lower: \t padded \t",
		"X-Utf8: caf\xc3\xa9", "X-Latin1: caf\xe9", "User-Agent: odd/1 (x)", "Idempotency-Key: i-1", "Via: 1.1 other", "Max-Forwards: 9",
		"Connection: X-Listed\r\nX-Listed: 1", "TE: trailers", "Keep-Alive: 5", "Proxy: http://evil.example", "X_Under_Score: 1",
		"X-Original-URL: /other", "X-HTTP-Method-Override: DELETE", "X-Forwarded-For: 6.6.6.6", "Forwarded: for=6.6.6.6", "X-Real-IP: 6.6.6.6",
		"X-Request-Id: order-7", "CDN-Loop: cdn.example", "Origin: https://shop.example", "X-Long: " + strings.Repeat("x", 4000), "X!#$%&'*+.^`|~: token",
	} {
		if random.IntN(4) == 0 && !(method == "OPTIONS" && strings.HasPrefix(header, "Max-")) {
			w.WriteString(header + "\r\n")
		}
	}
	body := strings.Repeat(pick(random, "{}", "\x00\xff\r\n", "a=b&", "--b\r\n"), random.IntN(200))
	if random.IntN(20) == 0 {
		body = strings.Repeat("0123456789abcdef", 20000)
	}
	kind := "Content-Type: " + pick(random, "application/json", "multipart/form-data; boundary=b", "Application/X-WWW-Form-URLEncoded", "x/y") + "\r\n"
	switch random.IntN(4) {
	case 0:
		fmt.Fprintf(&w, "%sContent-Length: %d\r\n\r\n%s", kind, len(body), body)
	case 1:
		w.WriteString(kind + "Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n")
		for rest := body; rest != ""; {
			n := min(len(rest), 1+random.IntN(5000))
			fmt.Fprintf(&w, "%x\r\n%s\r\n", n, rest[:n])
			rest = rest[n:]
		}
		w.WriteString("0\r\nX-Sum: 7\r\n\r\n")
	case 2:
		w.WriteString("Content-Length: 0\r\n\r\n")
	default:
		w.WriteString("\r\n")
	}
	return w.String()
}

// generateResponse makes the response of an engine, which may be odd and is always valid.
func generateResponse(random *rand.Rand, method string, upgrade bool) string {
	if upgrade {
		return "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\nX-A: b\r\n\r\n"
	}
	var w bytes.Buffer
	for range random.IntN(3) / 2 {
		w.WriteString(pick(random, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nLink: </b.js>\r\n\r\n",
			"HTTP/1.1 102 Processing\r\n\r\n", "HTTP/1.1 199 Odd\r\nX-Odd: 1\r\n\r\n"))
	}
	status := pick(random, "200 OK", "200 Very Fine", "201 Created", "202 Accepted", "203 x", "204 No Content", "206 Partial Content",
		"207 Multi", "226 IM Used", "299 Odd", "300 x", "301 x", "302 Found", "303 x", "304 Not Modified", "307 x", "308 x", "400 x", "401 x",
		"402 x", "403 x", "404 Not Found", "405 x", "409 x", "410 x", "416 x", "418 x", "421 x", "422 x", "425 x", "426 x", "428 x", "429 x",
		"431 x", "451 x", "500 x", "501 x", "502 x", "503 x", "504 x", "507 x", "511 x", "599 x", "799 x")
	fmt.Fprintf(&w, "HTTP/1.1 %s\r\n", status)
	for _, header := range []string{
		"ETag: W/\"a\"", "Set-Cookie: a=b; Path=/\r\nSet-Cookie: c=d", "Cache-Control: max-age=5, private", "Vary: Origin", "X-Empty:",
		"x-lower: 1", "X-Utf8: caf\xc3\xa9", "Content-Language: es", "Content-Encoding: gzip", "Content-Range: bytes 0-9/100", "Server: odd/1",
		"Date: Thu, 06 Nov 2025 12:00:00 GMT", "Retry-After: 7", "X-Request-Id: engine", "Location: /next?a=%zz", "Access-Control-Allow-Origin: *",
		"WWW-Authenticate: Basic realm=\"a\"", "Link: <http://other.example/>; rel=next", "Keep-Alive: timeout=5", "Connection: X-Listed\r\nX-Listed: 1",
		"X-RateLimit-Limit: 30", "Age: 3", "Accept-Ranges: bytes", "Last-Modified: Thu, 06 Nov 2025 12:00:00 GMT", "Content-Disposition: attachment; filename*=UTF-8''a",
		"X-Content-Type-Options: nosniff", "Strict-Transport-Security: max-age=1", "X-Long: " + strings.Repeat("x", 9000),
	} {
		if random.IntN(4) == 0 {
			w.WriteString(header + "\r\n")
		}
	}
	w.WriteString("Connection: close\r\n") // else qrgate could send the next request on a connection that just ends
	w.WriteString(pick(random, "", "Content-Type: application/json\r\n", "Content-Type: text/event-stream\r\n", "Content-Type: x\r\n", "Content-Type: image/png\r\n"))
	if method == "HEAD" {
		return w.String() + pick(random, "", "Content-Length: 123\r\n", "Transfer-Encoding: chunked\r\n") + "\r\n"
	}
	body := strings.Repeat(pick(random, "data: 1\n\n", "\x1f\x8b\x08", "{\"a\":1}", "plain text "), random.IntN(400))
	code, _ := strconv.Atoi(status[:3])
	switch framing := random.IntN(3); {
	case code == 204 || code == 304:
		w.WriteString("\r\n")
	case framing == 0:
		fmt.Fprintf(&w, "Content-Length: %d\r\n\r\n%s", len(body), body)
	case framing == 1:
		w.WriteString("Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n")
		if body != "" {
			fmt.Fprintf(&w, "%x\r\n%s\r\n", len(body), body)
		}
		w.WriteString("0\r\nX-Sum: 7\r\n\r\n")
	default:
		w.WriteString("\r\n" + body)
	}
	return w.String()
}
