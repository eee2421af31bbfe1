package clienttest

import (
	"context"
	"fmt"
	"time"
)

// DebugQRIssue looks at the status every 5 s for two minutes and asks for the QR whenever the status shows one.
func DebugQRIssue(ctx context.Context, at Target) Result {
	u := newUser(at, "debug")
	if err := u.createAndConnect(ctx); err != nil {
		return u.end(err)
	}
	for begin := time.Now(); time.Since(begin) < 2*time.Minute; {
		if showsQR(u.look(ctx), "qr_code", "pending") && u.take(ctx) {
			return u.end(nil)
		}
		if !sleep(ctx, 5*time.Second) {
			return u.end(ctx.Err())
		}
	}
	return u.end(nil)
}

// TestQRGenerationWait looks at the status every 5 s for a minute and leaves, without asking for the QR, as soon as
// the status shows one. It can only succeed while the status is wrong (C21).
func TestQRGenerationWait(ctx context.Context, at Target) Result {
	u := newUser(at, "wait")
	if err := u.createAndConnect(ctx); err != nil {
		return u.end(err)
	}
	for begin := time.Now(); time.Since(begin) < time.Minute; {
		if showsQR(u.look(ctx), "qr_code", "pending") {
			return u.end(nil) // it reports a time-out
		}
		if u.take(ctx) {
			return u.end(nil)
		}
		if !sleep(ctx, 5*time.Second) {
			return u.end(ctx.Err())
		}
	}
	return u.end(nil)
}

const scriptTimeout = 10 * time.Second

// createAndConnect is how the two scripts here begin.
func (u *user) createAndConnect(ctx context.Context) error {
	if err := u.create(ctx, scriptTimeout, 201); err != nil {
		return err
	}
	r := u.do(ctx, call{method: "POST", path: u.path("connect"), body: "{}", timeout: scriptTimeout})
	if r.err != nil || r.status != 200 {
		return fmt.Errorf("%w: connect answers %d", ErrAborted, r.status)
	}
	return nil
}

// look is the status's data, or nothing if the answer is anything but a 200.
func (u *user) look(ctx context.Context) document {
	r := u.do(ctx, call{method: "GET", path: u.path("status"), timeout: scriptTimeout})
	if d, err := r.json(); err == nil && r.status == 200 {
		return d.sub("data")
	}
	return nil
}

// take asks for the QR and keeps it. Whatever else comes, the script goes on.
func (u *user) take(ctx context.Context) bool {
	r := u.do(ctx, call{method: "GET", path: u.path("qr"), timeout: scriptTimeout})
	code := r.qr()
	if code != "" {
		u.show(code)
	}
	return code != ""
}
