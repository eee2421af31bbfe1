package compat

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
)

// SendTracker watches whether a request left. Use one for each request.
type SendTracker struct{ asked, connected atomic.Bool }

// Watch returns ctx with hooks into the dial.
func (d *SendTracker) Watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { d.asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { d.connected.Store(true) },
	})
}

// NotSent reports whether the request certainly did not leave: a connection was wanted and there was none, be it
// for its name, its port or its TLS. A transport that tells nothing proves nothing.
func (d *SendTracker) NotSent() bool { return d.asked.Load() && !d.connected.Load() }

// Rejected reports whether a status proves that nothing was done. A time-out (408) and a client that left (499)
// do not: the work may have begun.
func Rejected(status int) bool {
	return status >= 400 && status < 500 && status != http.StatusRequestTimeout && status != 499
}
