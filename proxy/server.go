package proxy

import (
	"context"
	"net"
	"net/http"
	"time"
)

// Server is an HTTP/1.1 server with the bounds that a public listener needs (reliability 2.3, row 12): the
// head of a request within 5 s and 32 KiB, 75 s between two requests of a connection. Bodies are bounded
// per request by the Front: what passes through may take as long as bytes keep coming. It listens to
// nothing yet; serve it on a listener wrapped in Guard.
func Server(listenAddr string, handler http.Handler) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Server{
		Addr:                         listenAddr,
		Handler:                      handler,
		Protocols:                    protocols,
		ReadHeaderTimeout:            5 * time.Second,
		IdleTimeout:                  75 * time.Second,
		MaxHeaderBytes:               32 << 10,
		DisableGeneralOptionsHandler: true, // the gate answers "OPTIONS *" as it answers every odd target
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			if g, ok := conn.(*guardedConn); ok {
				return context.WithValue(ctx, guardKey{}, g)
			}
			return ctx
		},
	}
}

// TransportOptions are what may differ between engines. The zero value suits most.
type TransportOptions struct {
	// ProxyFromEnvironment makes calls to the engine go through HTTP_PROXY and its kin. Default: they do not.
	ProxyFromEnvironment bool
	// Dial bounds the opening of a connection. Default: 3 s.
	Dial time.Duration
	// KeepAlive is how many idle connections are kept, at most. Default: 256.
	KeepAlive int
	// IdleConn is how long an idle connection is kept. It must be shorter than the engine keeps it, or a
	// POST may be written to a connection that the engine closes at that moment, and is then lost: it is
	// never sent twice. Default: 4 s, because Node closes after 5 s.
	IdleConn time.Duration
}

// Transport is the hardened way to the engine: HTTP/1.1 only, so that nothing is multiplexed or upgraded
// past the gate; no decompression, so that a small answer cannot grow in memory; answer headers bounded to
// 64 KiB. Being a transport, it follows no redirect. It does not bound the wait for an answer: session
// calls are bound by their context, and what passes through may be slow.
func Transport(o TransportOptions) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	keep := o.KeepAlive
	if keep <= 0 {
		keep = 256
	}
	dial := positive(o.Dial, 3*time.Second)
	t := &http.Transport{
		DialContext:            (&net.Dialer{Timeout: dial, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:    dial,
		Protocols:              protocols,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConns:           keep,
		MaxIdleConnsPerHost:    keep,
		IdleConnTimeout:        positive(o.IdleConn, 4*time.Second),
		ExpectContinueTimeout:  time.Second,
		ReadBufferSize:         16 << 10,
		WriteBufferSize:        16 << 10,
	}
	if o.ProxyFromEnvironment {
		t.Proxy = http.ProxyFromEnvironment
	}
	return t
}
