package proxy

import (
	"context"
	"net"
	"net/http"
	"time"
)

// Server makes the HTTP/1.1 server of a public listener: a request's header within 5 s and 32 KiB, 75 s between two
// requests of a connection. The Handler bounds bodies: what passes through may take as long as bytes move. The server
// does not listen; serve it on a listener wrapped by DetectSmuggling.
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
	}
}

const (
	dialTimeout     = 3 * time.Second
	maxIdleConns    = 256
	idleConnTimeout = 4 * time.Second // Node closes after 5 s, and a POST written while it closes is lost
)

// Transport makes the transport to an engine: HTTP/1.1 only, so that nothing is multiplexed or upgraded without
// validation; no decompression, so that a small response cannot grow in memory; response headers of up to 64 KiB;
// HTTP_PROXY and the like are ignored. It does not bound the wait for a response: session calls have a context with a
// deadline, and what passes through may be slow.
func Transport() *http.Transport {
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:    dialTimeout,
		Protocols:              http1(),
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConns:           maxIdleConns,
		MaxIdleConnsPerHost:    maxIdleConns,
		IdleConnTimeout:        idleConnTimeout,
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
