package enginetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"qrgate/internal/test/enginesim"
)

// headerStatus sets the status of a response below otherRoot.
const headerStatus = "X-Sim-Status"

// otherRoot begins the paths of routes that have no meaning for qrgate.
const otherRoot = "/other"

// withOtherRoutes adds routes to an engine: an echo of what arrived, a stream of events, and a websocket.
func withOtherRoutes(engine http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", engine)
	mux.HandleFunc(otherRoot+"/", echo)
	mux.HandleFunc(otherRoot+"/events", events)
	mux.HandleFunc(otherRoot+"/ws", echoMessages)
	return mux
}

func echo(w http.ResponseWriter, r *http.Request) {
	body := sha256.New()
	length, err := io.Copy(body, r.Body)
	status, _ := strconv.Atoi(r.Header.Get(headerStatus))
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Location", "/elsewhere?a=b%20c")
	h.Add("Set-Cookie", "a=1")
	h.Add("Set-Cookie", "b=2")
	w.WriteHeader(max(status, http.StatusOK))
	if status == http.StatusNoContent {
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{
		"method": r.Method, "target": r.RequestURI, "length": length, "body": body.Sum(nil), "complete": err == nil,
		"headers": []string{r.Header.Get("X-Custom"), r.Header.Get("Accept"), r.Header.Get("Content-Type"),
			r.Header.Get("Authorization"), r.Header.Get("Token"), r.Header.Get("Apikey"), r.Header.Get("X-Api-Key")},
	})
}

const (
	eventCount    = 5
	eventInterval = 20 * time.Second // longer than any timeout of a call
)

func events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for i := range eventCount {
		fmt.Fprintf(w, "id: %d\ndata: event\n\n", i)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-time.After(eventInterval):
		case <-r.Context().Done():
			return
		}
	}
}

func echoMessages(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // Accept has responded
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(1 << 20)
	for {
		kind, message, err := conn.Read(r.Context())
		if err != nil || conn.Write(r.Context(), kind, message) != nil {
			return
		}
	}
}

func checkOtherRoutesIdentical(t *testing.T, r nativeRig) {
	r.start(t, "shop-1")
	for _, request := range append(variants(r.Others), r.Others...) {
		alone, through := r.do(t, r.direct, request, "key-a"), r.through(t, request)
		through.header.Del("X-Request-Id")
		if alone.status != through.status || !bytes.Equal(alone.body, through.body) {
			t.Errorf("%s: direct %d %s, through %d %s", request.URL, alone.status, alone.body, through.status, through.body)
		}
		if !maps.EqualFunc(alone.header, through.header, slices.Equal) {
			t.Errorf("%s: direct %v, through %v", request.URL, alone.header, through.header)
		}
	}
}

// checkStreams sends what does not fit into memory or does not end at once: each part arrives when it is sent.
func checkStreams(t *testing.T, r nativeRig) {
	upload := Request(http.MethodPost, otherRoot+"/upload", strings.Repeat("0123456789abcdef", 1<<16))
	alone, through := r.do(t, r.direct, upload, "key-a"), r.through(t, upload)
	if alone.status != through.status || !bytes.Equal(alone.body, through.body) {
		t.Errorf("an upload: direct %d %s, through %d %s", alone.status, alone.body, through.status, through.body)
	}
	stream := Request(http.MethodGet, otherRoot+"/events", "")
	direct, front := r.readEvents(t, r.direct, stream), r.readEvents(t, r.front, stream)
	if !slices.Equal(direct, front) || len(direct) != eventCount {
		t.Errorf("events: direct %v, through %v", direct, front)
	}
	for _, size := range []int{0, 1, 200, 70_000} {
		message := bytes.Repeat([]byte{'a'}, size)
		for _, wire := range []*enginesim.Wire{r.direct, r.front} {
			if got := r.exchange(t, wire, message); !bytes.Equal(got, message) {
				t.Errorf("a message of %d bytes comes back with %d", size, len(got))
			}
		}
	}
}

// readEvents reads a stream of events: what arrived, and when.
func (r nativeRig) readEvents(t *testing.T, wire *enginesim.Wire, request *http.Request) (arrived []string) {
	t.Helper()
	out, _ := http.NewRequestWithContext(t.Context(), request.Method, r.urlOf(wire)+request.URL.Path, nil)
	r.Authorize(out, "key-a")
	startedAt := time.Now()
	res, err := wire.Client().Do(out)
	if err != nil {
		t.Error(err)
		return nil
	}
	defer func() { _ = res.Body.Close() }()
	buffer := make([]byte, 1<<10)
	for {
		n, err := res.Body.Read(buffer)
		if n > 0 {
			arrived = append(arrived, fmt.Sprintf("%v %q", time.Since(startedAt), buffer[:n]))
		}
		if err != nil {
			return arrived
		}
	}
}

// exchange sends a message on a websocket and returns the one that comes back.
func (r nativeRig) exchange(t *testing.T, wire *enginesim.Wire, message []byte) []byte {
	t.Helper()
	authorized := Request(http.MethodGet, otherRoot+"/ws", "")
	r.Authorize(authorized, "key-a")
	conn, _, err := websocket.Dial(t.Context(), r.urlOf(wire)+otherRoot+"/ws", &websocket.DialOptions{
		HTTPClient: wire.Client(), HTTPHeader: authorized.Header,
	})
	if err != nil {
		t.Error(err)
		return nil
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(1 << 20)
	if err := conn.Write(t.Context(), websocket.MessageBinary, message); err != nil {
		t.Error(err)
	}
	_, got, err := conn.Read(t.Context())
	if err != nil {
		t.Error(err)
	}
	return got
}

// variants are sixty requests like the given ones, with other methods, queries, headers and bodies.
func variants(requests []*http.Request) (all []*http.Request) {
	for i := range 60 {
		r := requests[i%len(requests)].Clone(context.Background())
		r.Method = []string{"GET", "POST", "PUT", "PATCH", "DELETE"}[i%5]
		r.URL.Path = "/other" + r.URL.Path
		r.URL.RawQuery = []string{"", "a=1&b=%20&c", "wait=3", "q=%C3%B1&x=a+b"}[i%4]
		r.Header.Set("X-Custom", fmt.Sprint(i))
		r.Header.Set(headerStatus, []string{"200", "201", "204", "302", "400", "404", "422", "500", "503"}[i%9])
		r.Header.Set("Accept", []string{"*/*", "application/json", "text/event-stream"}[i%3])
		body := strings.Repeat("body ", i*i*20)
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		all = append(all, r)
	}
	return all
}
