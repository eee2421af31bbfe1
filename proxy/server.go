package proxy

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// Server makes the HTTP/1.1 server of a public listener. It does not listen; serve it on a listener wrapped by
// DetectSmuggling. The Handler bounds bodies.
func Server(listenAddr string, handler http.Handler) *http.Server {
	return &http.Server{
		Addr:                         listenAddr,
		Handler:                      handler,
		Protocols:                    http1(),
		ReadHeaderTimeout:            5 * time.Second,
		IdleTimeout:                  75 * time.Second,
		MaxHeaderBytes:               32 << 10,
		DisableGeneralOptionsHandler: true, // "OPTIONS *" is refused like every target that is no path
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			if g, ok := conn.(*guardedConn); ok {
				return context.WithValue(ctx, guardKey{}, g)
			}
			return ctx
		},
		ConnState: func(conn net.Conn, state http.ConnState) {
			if g, ok := conn.(*guardedConn); ok && state == http.StateIdle {
				g.sendHeld()
			}
		},
	}
}

// heldConn can hold a write back until the next one. net/http has a buffer of 4 KiB, so it writes a QR in two parts;
// as one, they cost half as much here and at the client.
type heldConn struct {
	net.Conn
	mu       sync.Mutex
	holdNext bool
	held     *[]byte // what is held back; nil: nothing
}

// holdNextWrite holds the next write back until the one after it or the end of the response.
func (c *heldConn) holdNextWrite() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.holdNext = true
}

// heldBuffers are buffers for what is held back: net/http's buffer and the rest of a QR.
var heldBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 8<<10); return &b }}

// Write implements [net.Conn].
func (c *heldConn) Write(p []byte) (int, error) {
	held, isHeld := c.hold(p)
	switch {
	case isHeld:
		return len(p), nil
	case held == nil:
		return c.Conn.Write(p)
	}
	before := len(*held)
	*held = append(*held, p...)
	n, err := c.Conn.Write(*held)
	heldBuffers.Put(held)
	return max(n-before, 0), err
}

// hold holds p back if it must be, or else returns what was held back before it.
func (c *heldConn) hold(p []byte) (before *[]byte, isHeld bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.holdNext {
		before, c.held = c.held, nil
		return before, false
	}
	c.holdNext = false
	c.held, _ = heldBuffers.Get().(*[]byte)
	*c.held = append((*c.held)[:0], p...)
	return nil, true
}

// sendHeld sends what is held back.
func (c *heldConn) sendHeld() {
	c.mu.Lock()
	c.holdNext = false
	isHeld := c.held != nil
	c.mu.Unlock()
	if isHeld {
		_, _ = c.Write(nil) // a failure closes the connection at its next use
	}
}

// Close implements [net.Conn].
func (c *heldConn) Close() error {
	c.sendHeld()
	return c.Conn.Close()
}

// CloseWrite lets net/http finish a response before it closes the connection.
func (c *heldConn) CloseWrite() error {
	c.sendHeld()
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

// Transport makes the transport to an engine: HTTP/1.1 only, so that nothing is multiplexed or upgraded without
// validation; no decompression, so that a small response cannot grow in memory; HTTP_PROXY and the like are ignored. It
// does not bound the wait for a response: what passes through may be slow.
func Transport() *http.Transport {
	const dialTimeout = 3 * time.Second
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:    dialTimeout,
		Protocols:              http1(),
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConns:           256,
		MaxIdleConnsPerHost:    256,
		IdleConnTimeout:        4 * time.Second, // Node closes after 5 s, and a POST written while it closes is lost
		ExpectContinueTimeout:  time.Second,
		ReadBufferSize:         16 << 10,
		WriteBufferSize:        16 << 10,
	}
}

func http1() *http.Protocols {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return protocols
}
