package whatsappsim

import (
	"context"
	"net"
	"net/http"
	"sync"
	"syscall"
)

// Pipe is a net.Listener in memory: with it a whole client and its server live in one testing/synctest bubble
// and run on fake time. The zero value is ready.
type Pipe struct {
	once   sync.Once
	conns  chan net.Conn
	closed chan struct{}
	close  sync.Once
}

func (p *Pipe) init() {
	p.once.Do(func() { p.conns, p.closed = make(chan net.Conn), make(chan struct{}) })
}

// Accept implements net.Listener. It returns net.ErrClosed after Close.
func (p *Pipe) Accept() (net.Conn, error) {
	p.init()
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. Whoever dials from then on is refused.
func (p *Pipe) Close() error {
	p.init()
	p.close.Do(func() { close(p.closed) })
	return nil
}

// Addr implements net.Listener with a made-up address.
func (p *Pipe) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// DialContext connects to whoever accepts; network and address are not looked at. It waits for an Accept and
// returns an ECONNREFUSED after Close.
func (p *Pipe) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	p.init()
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.closed:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: p.Addr(), Err: syscall.ECONNREFUSED}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// HTTPClient is like Server.HTTPClient, with the pipe as the only address.
func (p *Pipe) HTTPClient() *http.Client { return plainClient(p.DialContext) }
