package main

import (
	"cmp"
	"context"
	cryptorand "crypto/rand"
	"encoding/json"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"qrgate/internal/test/enginesim"
)

// engine is the simulated engine behind a port that can be closed. It records which code belongs to which session, and
// each POST of a client that arrives twice.
type engine struct {
	*enginesim.Engine
	addr          string
	losesPosts    atomic.Bool  // it executes POSTs and closes the connection instead of responding
	isStalled     atomic.Bool  // it accepts requests and does not respond
	responseDelay atomic.Int64 // nanoseconds

	mu         sync.Mutex
	server     *http.Server     // nil while the port is closed
	codes      map[string]owner // by image
	posts      map[string]int   // by the client's request id
	duplicates int
}

// owner is whose session a code is, and until when the engine said that it lives.
type owner struct {
	key, session string
	expiresAt    time.Time
}

// qrDelay is the time from a connect to the code: between this and twice this.
const qrDelay = 2 * time.Second

func newEngine() (*engine, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	e := &engine{addr: l.Addr().String(), codes: map[string]owner{}, posts: map[string]int{}}
	e.Engine = &enginesim.Engine{
		Limits: enginesim.RecordedLimits(),
		Begin: func(ctx context.Context, _ string, s *enginesim.Socket) {
			if sleep(ctx, qrDelay+rand.N(qrDelay)) {
				s.Show("https://wa.me/settings/linked_devices#2@" + cryptorand.Text() + cryptorand.Text())
			}
		},
	}
	e.serve(l)
	return e, nil
}

// serve opens the port; the caller holds mu, or is the only one that knows the engine.
func (e *engine) serve(l net.Listener) {
	e.server = &http.Server{Handler: e, ReadHeaderTimeout: 5 * time.Second}
	go func(s *http.Server) { _ = s.Serve(l) }(e.server)
}

// up opens the port.
func (e *engine) up() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.server != nil {
		return nil
	}
	l, err := net.Listen("tcp", e.addr)
	if err == nil {
		e.serve(l)
	}
	return err
}

// down closes the port and all connections; with loss, all sessions are disconnected as after the end of a process.
func (e *engine) down(loss bool) {
	e.mu.Lock()
	if e.server != nil {
		_ = e.server.Close()
		e.server = nil
	}
	e.mu.Unlock()
	if loss {
		e.Restart()
	}
}

// ServeHTTP implements [http.Handler].
func (e *engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for e.isStalled.Load() {
		if !sleep(r.Context(), 50*time.Millisecond) {
			return
		}
	}
	if d := time.Duration(e.responseDelay.Load()); d > 0 && !sleep(r.Context(), d) {
		return
	}
	if id := r.Header.Get("X-Request-Id"); r.Method == http.MethodPost && id != "" {
		e.mu.Lock()
		if e.posts[id]++; e.posts[id] > 1 {
			e.duplicates++
		}
		e.mu.Unlock()
	}
	rec := httptest.NewRecorder()
	e.Engine.ServeHTTP(rec, r)
	e.recordCodes(r, rec.Body.Bytes())
	if r.Method == http.MethodPost && e.losesPosts.Load() {
		panic(http.ErrAbortHandler)
	}
	for name, values := range rec.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(rec.Code)
	_, _ = w.Write(rec.Body.Bytes())
}

// shown is a session in a response of the engine that has a code.
type shown struct {
	QRCode          string
	SessionID       string
	ExpiresAt       string // of the QR's own route
	QRCodeExpiresAt string // of lists
}

func (e *engine) recordCodes(r *http.Request, body []byte) {
	var response struct {
		Data struct {
			shown
			Sessions []shown
		} `json:"data"`
	}
	if !strings.Contains(string(body), `"qrCode"`) || json.Unmarshal(body, &response) != nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range append(response.Data.Sessions, response.Data.shown) {
		if s.QRCode != "" {
			expiresAt, _ := time.Parse(time.RFC3339, cmp.Or(s.ExpiresAt, s.QRCodeExpiresAt))
			e.codes[s.QRCode] = owner{r.Header.Get("X-API-Key"), s.SessionID, expiresAt}
		}
	}
}

// ownerOf returns whose code an image is; the zero owner if the engine never sent it.
func (e *engine) ownerOf(image string) owner {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.codes[image]
}

// close ends the engine.
func (e *engine) close() {
	e.down(false)
	e.Close()
}

// sleep is false when ctx ended meanwhile.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
