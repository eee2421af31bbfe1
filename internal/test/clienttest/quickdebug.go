package clienttest

import (
	"context"
	"fmt"
	"time"
)

// QuickQRDebug waits 10 s, then asks for the status and for the QR, each with 5 s of patience and without catching
// anything. A success without a code counts for it. That its create and connect have 10 s is assumed.
func QuickQRDebug(ctx context.Context, at Target) Result {
	const short = 5 * time.Second
	s := oneShot{
		prefix: "qrdebug", creates: []int{201}, timeout: 10 * time.Second, wait: 10 * time.Second,
		nullOK: true, readsBody: true,
	}
	u := newUser(at, s.prefix)
	if err := s.prepare(ctx, u); err != nil {
		return u.end(err)
	}
	r := u.do(ctx, call{method: "GET", path: u.path("status"), timeout: short})
	if r.err != nil {
		return u.end(fmt.Errorf("%w: status: %w", ErrCrashed, r.err))
	}
	if _, err := r.json(); err != nil && r.text != "" {
		return u.end(fmt.Errorf("%w: %w", ErrCrashed, err))
	}
	return u.end(s.ask(ctx, u, short))
}
