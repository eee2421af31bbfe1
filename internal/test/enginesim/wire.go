package enginesim

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// Wire connects an HTTP server and its clients in memory. Everything above the connection is net/http's own, so
// timeouts, closed connections and websockets work, also in a testing/synctest bubble.
//
//	wire := enginesim.NewWire(engine)
//	go wire.Run()
//	defer wire.Close()
//	response, err := wire.Client().Get(wire.URL() + "/health")
type Wire struct {
	server    *http.Server
	transport *http.Transport
	listener  *memListener
}

// NewWire returns a wire to h. It starts nothing.
func NewWire(h http.Handler) *Wire {
	return NewServerWire(&http.Server{Handler: h, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)})
}

// NewServerWire returns a wire to a server that does not run yet.
func NewServerWire(server *http.Server) *Wire {
	l := &memListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	return &Wire{
		server:    server,
		transport: &http.Transport{DialContext: l.dial, MaxIdleConnsPerHost: 100},
		listener:  l,
	}
}

// Run serves until Close and then returns nil.
func (w *Wire) Run() error {
	if err := w.server.Serve(w.listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// URL is the base of every URL on the wire. No resolver sees the host.
func (w *Wire) URL() string { return "http://wire.test" }

// Dial opens a connection to the server.
func (w *Wire) Dial(ctx context.Context) (net.Conn, error) { return w.listener.dial(ctx, "", "") }

// Client returns a client that sends every request over the wire, whatever host its URL names. It follows no redirect
// and has no timeout.
func (w *Wire) Client() *http.Client {
	return &http.Client{
		Transport:     w.transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Close ends all connections and Run. A second call does nothing.
func (w *Wire) Close() {
	_ = w.server.Close()   // its only errors are the listener's, which has none
	_ = w.listener.Close() // Run may not have served it
	w.transport.CloseIdleConnections()
}

// memListener is a [net.Listener] whose other end dials.
type memListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *memListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements [net.Listener].
func (l *memListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (l *memListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements [net.Listener].
func (l *memListener) Addr() net.Addr { return memory{} }

type memory struct{}

// Network implements [net.Addr].
func (memory) Network() string { return "memory" }

// String implements [net.Addr].
func (memory) String() string { return "wire.test:80" }
