package clienttest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// FixQRGeneration deletes up to five sessions in state error or disconnected, creates, connects by three means
// in turn until one works, and looks at the status for two minutes: five times 5 s apart, five times 10 s,
// then every 15 s. It asks for the QR when the status shows one, and gives up on the state error.
func FixQRGeneration(ctx context.Context, at Target) Result {
	u := newUser(at, "fix")
	u.sweep(ctx)
	body := `{"sessionId":` + quote(u.result.Session) + `,"sessionName":"Fix","autoReconnect":true}`
	r := u.do(ctx, call{method: "POST", path: "/api/sessions", body: body, timeout: scriptTimeout})
	if err := u.created(r, 200, 201); err != nil {
		return u.end(err)
	}
	if !u.connectSomehow(ctx) {
		return u.end(fmt.Errorf("%w: no way of connecting works", ErrAborted))
	}
	return u.end(u.watch(ctx))
}

func (u *user) sweep(ctx context.Context) {
	r := u.do(ctx, call{method: "GET", path: "/api/sessions", timeout: scriptTimeout})
	d, err := r.json()
	if err != nil {
		return
	}
	items, _ := d.sub("data")["sessions"].([]any)
	deleted := 0
	for _, item := range items {
		m, _ := item.(map[string]any)
		stale := slices.Contains([]string{"error", "disconnected"}, strings.ToLower(document(m).text("status")))
		if stale && deleted < 5 {
			deleted++
			u.do(ctx, call{method: "DELETE", path: "/api/sessions/" + document(m).id("id"), timeout: scriptTimeout})
		}
	}
}

func (u *user) connectSomehow(ctx context.Context) bool {
	for _, way := range []call{
		{path: u.path("connect"), body: "{}"},
		{path: u.path("connect"), body: `{"force":true}`},
		{path: u.path("restart"), body: "{}"},
	} {
		way.method, way.timeout = "POST", scriptTimeout
		r := u.do(ctx, way)
		if d, err := r.json(); err == nil && r.status == 200 && d.yes("success") {
			return true
		}
	}
	return false
}

func (u *user) watch(ctx context.Context) error {
	begin := time.Now()
	for attempt := 0; time.Since(begin) < 2*time.Minute; attempt++ {
		if !sleep(ctx, fixPause(attempt)) {
			return ctx.Err()
		}
		data := u.look(ctx)
		if strings.EqualFold(data.text("status"), "error") {
			return fmt.Errorf("%w: the state is error", ErrAborted)
		}
		if showsQR(data, "qr_code", "pending") && u.take(ctx) {
			return nil
		}
	}
	return nil
}

func fixPause(attempt int) time.Duration {
	switch {
	case attempt < 5:
		return 5 * time.Second
	case attempt < 10:
		return 10 * time.Second
	}
	return 15 * time.Second
}
