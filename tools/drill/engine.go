package main

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"qrgate/internal/test/enginesim"
)

// engine is the simulated engine behind a port that can be closed and opened again.
type engine struct {
	*enginesim.Engine
	addr     string
	outdated atomic.Bool // every request for a QR is answered as by a library that WhatsApp no longer takes

	mu     sync.Mutex
	server *http.Server // nil while it is down
}

// newEngine opens an engine on a free port, whose QRs come after a moment.
func newEngine() (*engine, error) {
	addr, err := freePort()
	if err != nil {
		return nil, err
	}
	e := &engine{Engine: &enginesim.Engine{QRDelay: 300 * time.Millisecond}, addr: addr}
	return e, e.up()
}

// ServeHTTP stands before the simulated engine.
func (e *engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if e.outdated.Load() && strings.HasSuffix(r.URL.Path, "/qr") {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = fmt.Fprint(w, `{"success":false,"error":"405 Connection Failure","message":"405 Connection Failure","code":"QR_GENERATION_ERROR"}`)
		return
	}
	e.Engine.ServeHTTP(w, r)
}

// up opens the port, if it is closed.
func (e *engine) up() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.server != nil {
		return nil
	}
	l, err := net.Listen("tcp", e.addr)
	if err != nil {
		return err
	}
	e.server = &http.Server{Handler: e, ReadHeaderTimeout: 5 * time.Second}
	go func(s *http.Server) { _ = s.Serve(l) }(e.server) // ends when down closes the port
	return nil
}

// down closes the port and every connection, as a process that is killed does.
func (e *engine) down() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.server == nil {
		return nil
	}
	err := e.server.Close()
	e.server = nil
	return err
}
