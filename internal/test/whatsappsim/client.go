package whatsappsim

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"sync"
	"syscall"
)

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// HTTPClient returns the client with which whatsmeow connects to the server at addr (host:port). Pass it to both
// SetPreLoginHTTPClient and SetWebsocketHTTPClient; else the reconnect after a pairing goes to the internet. Every dial
// goes to addr, in plain text, whatever the URL is. Without a ResponseHeaderTimeout in its *http.Transport, which the
// caller sets, a server that never responds to the upgrade blocks Connect forever.
func (s *Server) HTTPClient(addr string) *http.Client { return plainClient(dialTo(addr)) }

// HTTPSClient is HTTPClient with real TLS. It accepts the server's certificate if roots contains s.CAPEM(), and not
// with nil roots, which are those of the system.
func (s *Server) HTTPSClient(addr string, roots *x509.CertPool) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:       dialTo(addr),
		TLSClientConfig:   &tls.Config{RootCAs: roots, NextProtos: []string{"http/1.1"}},
		DisableKeepAlives: true,
	}}
}

func dialTo(addr string) dialFunc {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	}
}

// plainClient dials wss:// without TLS: net/http assumes that DialTLSContext has done the TLS handshake.
func plainClient(dial dialFunc) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: dial, DialTLSContext: dial, DisableKeepAlives: true}}
}

// Pipe is a net.Listener in memory, with which a client and its server run in one testing/synctest bubble, on fake
// time. The zero value is ready.
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

// Close implements net.Listener. Later dials are refused.
func (p *Pipe) Close() error {
	p.init()
	p.close.Do(func() { close(p.closed) })
	return nil
}

// Addr implements net.Listener with a fixed address.
func (p *Pipe) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// DialContext connects to Accept, whatever the network and the address are. It waits for an Accept, and returns
// ECONNREFUSED after Close.
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

// HTTPClient is Server.HTTPClient for the pipe.
func (p *Pipe) HTTPClient() *http.Client { return plainClient(p.DialContext) }
