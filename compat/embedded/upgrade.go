package embedded

import (
	"context"
	"net"
	"net/http/httptrace"
	"sync"
)

// dialTrace watches the HTTP part of a dial: how far it is, and which connection it uses.
type dialTrace struct {
	mu   sync.Mutex
	done bool
	conn net.Conn
}

// watch returns ctx with hooks into the dial.
func (u *dialTrace) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			u.mu.Lock()
			defer u.mu.Unlock()
			u.conn = info.Conn
		},
		GotFirstResponseByte: func() {
			u.mu.Lock()
			defer u.mu.Unlock()
			u.done = true
		},
	})
}

// cancelIfPending calls end if the server has not answered yet.
func (u *dialTrace) cancelIfPending(end func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.done {
		end()
	}
}

// cut closes the connection as a network does.
func (u *dialTrace) cut() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.conn != nil {
		_ = u.conn.Close()
	}
}
