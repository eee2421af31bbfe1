package embedded

import (
	"context"
	"net/http/httptrace"
	"sync"
)

// upgrade knows whether a dial is past its HTTP part.
type upgrade struct {
	mu   sync.Mutex
	done bool
}

// watch returns ctx with a hook that sees the server's answer.
func (u *upgrade) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotFirstResponseByte: func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.done = true
	}})
}

// unlessDone calls end if the server has not answered yet.
func (u *upgrade) unlessDone(end func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.done {
		end()
	}
}
