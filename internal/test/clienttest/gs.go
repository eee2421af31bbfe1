package clienttest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// bearer returns the headers that the documented class sends besides the key (C16). The engine ignores them.
func bearer() []string { return []string{"Authorization", "Bearer token", "User-Agent", "node"} }

// GSClass is the documented JavaScript class: create, connect and request the QR at once, by the string id, without
// timeouts. It reads success whatever the status is, and takes its errors from message.
func GSClass(ctx context.Context, at Target) Result {
	u := newUser(at, "gs")
	if err := u.gsStart(ctx); err != nil {
		return u.finish(err)
	}
	d, err := u.gsCall(ctx, "GET", u.namePath("qr"), "")
	if err != nil {
		return u.finish(err)
	}
	u.show(d.object("data").text("qrCode"))
	return u.finish(nil)
}

// GSMonitor starts a session as [GSClass] does and polls its status every 5 s until it is connected, error or
// disconnected. Without a phone it polls until ctx ends.
func GSMonitor(ctx context.Context, at Target) Result {
	u := newUser(at, "monitor")
	if err := u.gsStart(ctx); err != nil {
		return u.finish(err)
	}
	for sleep(ctx, 5*time.Second) {
		d, err := u.gsCall(ctx, "GET", u.namePath("status"), "")
		if err != nil {
			continue
		}
		status := d.object("data").text("status")
		if slices.Contains([]string{"connected", "error", "disconnected"}, status) {
			u.result.Linked, u.result.Claims = status == "connected", true
			return u.finish(nil)
		}
	}
	return u.finish(ctx.Err())
}

// GSDashboard starts a session and lists every 10 s until an item in state pending has a code, which it shows with a
// second prefix (C7). With an engine that spells the state qr_code it lists until ctx ends.
func GSDashboard(ctx context.Context, at Target) Result {
	u := newUser(at, "dashboard")
	if err := u.gsStart(ctx); err != nil {
		return u.finish(err)
	}
	for sleep(ctx, 10*time.Second) {
		d, err := u.gsCall(ctx, "GET", "/api/sessions", "")
		if err != nil {
			continue
		}
		if item := u.findSession(d); item.text("status") == "pending" && item.text("qrCode") != "" {
			u.show(item.text("qrCode"))
			u.result.Broken = strings.HasPrefix(u.result.QR, imagePrefix)
			return u.finish(nil)
		}
	}
	return u.finish(ctx.Err())
}

func (u *user) gsStart(ctx context.Context) error {
	body := `{"sessionId":` + quote(u.result.Session) + `,"name":"CRM","description":"A session"}`
	if _, err := u.gsCall(ctx, "POST", "/api/sessions", body); err != nil {
		return err
	}
	_, err := u.gsCall(ctx, "POST", u.namePath("connect"), "")
	return err
}

func (u *user) gsCall(ctx context.Context, method, path, body string) (document, error) {
	r := u.do(ctx, call{method: method, path: path, body: body, headers: bearer()})
	d, err := r.json()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCrashed, err)
	}
	if !d.isTrue("success") {
		return nil, fmt.Errorf("%w: %s", ErrAborted, d.text("message"))
	}
	return d, nil
}

// namePath returns the path of a route of the session, by its string id.
func (u *user) namePath(route string) string {
	return "/api/sessions/" + u.result.Session + "/" + route
}
