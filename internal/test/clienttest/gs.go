package clienttest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// bearer is what the documented class sends besides the key (C16). It means nothing.
func bearer() []string { return []string{"Authorization", "Bearer token", "User-Agent", "node"} }

// GSClass is the documented JavaScript class: create, connect and ask for the QR at once, by the string id, without
// time-outs. It believes data.success whatever the status says, and its errors come from message.
func GSClass(ctx context.Context, at Target) Result {
	u := newUser(at, "gs")
	if err := u.gsStart(ctx); err != nil {
		return u.end(err)
	}
	d, err := u.gsCall(ctx, "GET", u.named("qr"), "")
	if err != nil {
		return u.end(err)
	}
	u.show(d.sub("data").text("qrCode"))
	return u.end(nil)
}

// GSMonitor starts a session as [GSClass] does and watches its status every 5 s until it is connected, error or
// disconnected. Without a phone it goes on until ctx ends.
func GSMonitor(ctx context.Context, at Target) Result {
	u := newUser(at, "monitor")
	if err := u.gsStart(ctx); err != nil {
		return u.end(err)
	}
	for sleep(ctx, 5*time.Second) {
		d, err := u.gsCall(ctx, "GET", u.named("status"), "")
		if err != nil {
			continue
		}
		status := d.sub("data").text("status")
		if slices.Contains([]string{"connected", "error", "disconnected"}, status) {
			u.result.Linked, u.result.Claims = status == "connected", true
			return u.end(nil)
		}
	}
	return u.end(ctx.Err())
}

// GSDashboard starts a session and lists every 10 s until an item of the state pending brings a code, which it shows
// behind a prefix of its own (C7). Against an engine that says qr_code it goes on until ctx ends.
func GSDashboard(ctx context.Context, at Target) Result {
	u := newUser(at, "dashboard")
	if err := u.gsStart(ctx); err != nil {
		return u.end(err)
	}
	for sleep(ctx, 10*time.Second) {
		d, err := u.gsCall(ctx, "GET", "/api/sessions", "")
		if err != nil {
			continue
		}
		if item := u.own(d); item.text("status") == "pending" && item.text("qrCode") != "" {
			u.show(item.text("qrCode"))
			u.result.Broken = strings.HasPrefix(u.result.QR, imagePrefix)
			return u.end(nil)
		}
	}
	return u.end(ctx.Err())
}

func (u *user) gsStart(ctx context.Context) error {
	body := `{"sessionId":` + quote(u.result.Session) + `,"name":"CRM","description":"A session"}`
	if _, err := u.gsCall(ctx, "POST", "/api/sessions", body); err != nil {
		return err
	}
	_, err := u.gsCall(ctx, "POST", u.named("connect"), "")
	return err
}

func (u *user) gsCall(ctx context.Context, method, path, body string) (document, error) {
	r := u.do(ctx, call{method: method, path: path, body: body, headers: bearer()})
	d, err := r.json()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCrashed, err)
	}
	if !d.yes("success") {
		return nil, fmt.Errorf("%w: %s", ErrAborted, d.text("message"))
	}
	return d, nil
}

// named is a route of the session, by its string id.
func (u *user) named(route string) string { return "/api/sessions/" + u.result.Session + "/" + route }
