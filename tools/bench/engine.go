package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"qrgate/internal/test/enginesim"
)

// never is how long a session takes that never gets to its code.
const never = -1

// engine is the simulated engine on a port. Each session's code comes in a time of its own, and /qr
// answers 500 until then. It has no rate limits and answers at once.
type engine struct {
	sim    *enginesim.Engine
	server *http.Server
	port   net.Listener
	ended  chan struct{}
	delay  func(session string) time.Duration

	calls [6]atomic.Int64 // by hundreds of their status
	mu    sync.Mutex
	ready map[string]time.Time // :: sessionId -> when its code was there
}

// startEngine starts an engine whose sessions take as long as delay says, or never.
func startEngine(delay func(session string) time.Duration) (*engine, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	e := &engine{port: l, delay: delay, ready: map[string]time.Time{}, ended: make(chan struct{})}
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

// begin shows a session's code when it is time.
func (e *engine) begin(ctx context.Context, session string, socket *enginesim.Socket) {
	wait := e.delay(session)
	if wait == never {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return
	}
	e.mu.Lock()
	e.ready[session] = time.Now()
	e.mu.Unlock()
	socket.Show("2@" + session + strings.Repeat("a", 150))
}

// readyAt is when a session's code was there; the zero time if it is not.
func (e *engine) readyAt(session string) time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.ready[session]
}

// serve counts the calls that ask for a code or a state.
func (e *engine) serve(w http.ResponseWriter, r *http.Request) {
	seen := &status{ResponseWriter: w}
	e.sim.ServeHTTP(seen, r)
	if r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/api/sessions") {
		e.calls[min(max(seen.code/100, 0), len(e.calls)-1)].Add(1)
	}
}

// looks is how many calls asked for a code or a state, whatever the answer.
func (e *engine) looks() int {
	n := 0
	for i := range e.calls {
		n += int(e.calls[i].Load())
	}
	return n
}

// status remembers the status of an answer.
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

// number is the number at the end of a session's name, as in "bench-17"; 0 if there is none.
func number(session string) int {
	n, err := strconv.Atoi(session[strings.LastIndexByte(session, '-')+1:])
	if err != nil {
		return 0
	}
	return n
}

// errRefused says that a create or a connect was not accepted.
var errRefused = errors.New("the engine refused")
