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
