package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"qrgate/internal/test/enginesim"
)

// upstream responds to every request at once with the same 200 bytes of JSON, at minimal cost: requests have no body, and
// it reads only to their blank line.
type upstream struct {
	listener net.Listener
	all      sync.WaitGroup
	cancel   context.CancelFunc
}

func startUpstream(ctx context.Context) (*upstream, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	u := &upstream{listener: l, cancel: cancel}
	u.all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			u.all.Go(func() { answerAll(ctx, conn) })
		}
	})
	return u, nil
}

func (u *upstream) url() string { return "http://" + u.listener.Addr().String() }

func (u *upstream) close() {
	u.cancel()
	_ = u.listener.Close()
	u.all.Wait()
}

// answerAll serves one connection until its end.
func answerAll(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	body := `{"success":true,"data":"` + strings.Repeat("x", 174) + `"}`
	answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	r := bufio.NewReader(conn)
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		if len(line) > len("\r\n") {
			continue
		}
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}

// collector receives spans, discards them and counts the batches. A real one runs on another machine, so this one only
// decodes them.
type collector struct {
	server   *http.Server
	listener net.Listener
	batches  atomic.Int64
	bytes    atomic.Int64
	ended    chan struct{}
}

func startCollector() (*collector, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &collector{listener: l, ended: make(chan struct{})}
	c.server = &http.Server{Handler: http.HandlerFunc(c.take), ReadHeaderTimeout: 5 * time.Second}
	go func() {
		defer close(c.ended)
		_ = c.server.Serve(l)
	}()
	return c, nil
}

func (c *collector) url() string { return "http://" + c.listener.Addr().String() }

func (c *collector) close() {
	_ = c.server.Close()
	<-c.ended
}

func (c *collector) take(w http.ResponseWriter, r *http.Request) {
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = unpacked
	}
	n, _ := io.Copy(io.Discard, body)
	c.batches.Add(1)
	c.bytes.Add(n)
	w.Header().Set("Content-Type", "application/x-protobuf")
	w.WriteHeader(http.StatusOK) // an empty message accepts all spans
}

// delay is the time from a connect to the code.
type delay = time.Duration

// onRelease is the delay of a session whose code exists once the engine is released.
const onRelease delay = -1

// engine is the simulated engine on a port. Each session has its own delay to the code, and /qr returns 500 until then.
// It has no rate limits and no latency.
type engine struct {
	sim    *enginesim.Engine
	server *http.Server
	port   net.Listener
	ended  chan struct{}
	delay  func(session string) delay

	calls    [6]atomic.Int64 // by the first digit of their status
	mu       sync.Mutex
	released chan struct{}
	ready    map[string]time.Time // :: sessionId -> when its code existed
}

// startEngine starts an engine with a delay for each session.
func startEngine(delays func(session string) delay) (*engine, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	e := &engine{port: l, delay: delays, ready: map[string]time.Time{}, ended: make(chan struct{}),
		released: make(chan struct{})}
	e.sim = &enginesim.Engine{QRTTL: time.Hour, Begin: e.begin}
	e.server = &http.Server{Handler: http.HandlerFunc(e.serve), ReadHeaderTimeout: 5 * time.Second}
	go func() {
		defer close(e.ended)
		_ = e.server.Serve(l)
	}()
	return e, nil
}

func (e *engine) url() string { return "http://" + e.port.Addr().String() }

func (e *engine) close() {
	_ = e.server.Close()
	<-e.ended
	e.sim.Close()
}

// begin shows a session's code after its delay.
func (e *engine) begin(ctx context.Context, session string, socket *enginesim.Socket) {
	var due <-chan time.Time
	e.mu.Lock()
	released := e.released
	e.mu.Unlock()
	if d := e.delay(session); d != onRelease {
		due, released = time.After(d), nil
	}
	select {
	case <-due:
	case <-released:
	case <-ctx.Done():
		return
	}
	e.mu.Lock()
	e.ready[session] = time.Now()
	e.mu.Unlock()
	socket.Show("2@" + session + ",noise,identity,adv," + strings.Repeat("a", 130))
}

// release makes the codes of the sessions that wait for it exist. Later connects wait for the next release.
func (e *engine) release() {
	e.mu.Lock()
	defer e.mu.Unlock()
	close(e.released)
	e.released = make(chan struct{})
}

// readyAt returns when a session's code existed; the zero time if it does not.
func (e *engine) readyAt(session string) time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.ready[session]
}

// serve counts the polls.
func (e *engine) serve(w http.ResponseWriter, r *http.Request) {
	seen := &status{ResponseWriter: w}
	e.sim.ServeHTTP(seen, r)
	if r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/api/sessions") {
		e.calls[min(max(seen.code/100, 0), len(e.calls)-1)].Add(1)
	}
}

// polls returns the number of requests for a code or a state, whatever the response.
func (e *engine) polls() int {
	n := 0
	for i := range e.calls {
		n += int(e.calls[i].Load())
	}
	return n
}

// status records the status of a response.
type status struct {
	http.ResponseWriter
	code int
}

// WriteHeader implements [http.ResponseWriter].
func (s *status) WriteHeader(code int) {
	s.code = code
	s.ResponseWriter.WriteHeader(code)
}

// Unwrap is for [http.ResponseController].
func (s *status) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// number returns the number at the end of a session's name, as in "bench-17"; 0 if there is none.
func number(session string) int {
	n, err := strconv.Atoi(session[strings.LastIndexByte(session, '-')+1:])
	if err != nil {
		return 0
	}
	return n
}

// errRefused means that the engine refused a create or a connect.
var errRefused = errors.New("the engine refused")
