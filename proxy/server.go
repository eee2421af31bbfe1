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
		DisableGeneralOptionsHandler: true, // "OPTIONS *" passes through
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			if g, ok := conn.(*guardedConn); ok {
				return context.WithValue(ctx, guardKey{}, g)
			}
			return ctx
		},
		ConnState: func(conn net.Conn, state http.ConnState) {
			if g, ok := conn.(*guardedConn); ok && state == http.StateIdle {
				g.sendDelayed()
			}
		},
	}
}

// delayingConn can delay a write until the next one. net/http has a buffer of 4 KiB, so it writes a QR in two parts; as
// one, they cost half as much here and at the client.
type delayingConn struct {
	net.Conn
	mu        sync.Mutex
	delayNext bool
	delayed   *[]byte // a delayed write; nil: none
}

// delayNextWrite delays the next write until the one after it or the end of the response.
func (c *delayingConn) delayNextWrite() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.delayNext = true
}

// delayBuffers are buffers for a delayed write, of net/http's buffer, and the rest of a QR.
var delayBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 8<<10); return &b }}

// Write implements [net.Conn].
func (c *delayingConn) Write(p []byte) (int, error) {
	earlier, isDelayed := c.delay(p)
	switch {
	case isDelayed:
		return len(p), nil
	case earlier == nil:
		return c.Conn.Write(p)
	}
	before := len(*earlier)
	*earlier = append(*earlier, p...)
	n, err := c.Conn.Write(*earlier)
	delayBuffers.Put(earlier)
	return max(n-before, 0), err
}

// delay keeps p if it must be delayed, else it returns the write that was delayed before.
func (c *delayingConn) delay(p []byte) (earlier *[]byte, isDelayed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.delayNext {
		earlier, c.delayed = c.delayed, nil
		return earlier, false
	}
	c.delayNext = false
	c.delayed, _ = delayBuffers.Get().(*[]byte)
	*c.delayed = append((*c.delayed)[:0], p...)
	return nil, true
}

// sendDelayed sends a delayed write.
func (c *delayingConn) sendDelayed() {
	c.mu.Lock()
	c.delayNext = false
	isDelayed := c.delayed != nil
	c.mu.Unlock()
	if isDelayed {
		_, _ = c.Write(nil) // a failure closes the connection at its next use
	}
}

// Close implements [net.Conn].
func (c *delayingConn) Close() error {
	c.sendDelayed()
	return c.Conn.Close()
}

// CloseWrite lets net/http finish a response before it closes the connection.
func (c *delayingConn) CloseWrite() error {
	c.sendDelayed()
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
