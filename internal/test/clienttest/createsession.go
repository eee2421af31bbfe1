package clienttest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

const imagePrefix = "data:image/png;base64,"

// CreateSession is session.create_session, the production server's side of the wizard (4.1). It asks for the QR three
// times, 0, 5 and 10 s after the connect.
func CreateSession(ctx context.Context, at Target) Result {
	u := newUser(at, "crm")
	return u.end(u.createSession(ctx))
}

func (u *user) createSession(ctx context.Context) error {
	const halfMinute = 30 * time.Second
	created := u.do(ctx, call{
		method: "POST", path: "/api/sessions", timeout: halfMinute,
		body:    `{"sessionId":` + quote(u.result.Session) + `,"sessionName":"CRM","fromFrappe":true}`,
		headers: []string{"X-Frappe-Origin", "true"},
	})
	if err := u.created(created, 200, 201); err != nil {
		return err
	}
	u.do(ctx, call{method: "POST", path: u.path("connect"), body: "{}", timeout: 10 * time.Second}) // whatever comes of it

	status := u.do(ctx, call{method: "GET", path: u.path("status"), timeout: halfMinute})
	if status.err != nil {
		return fmt.Errorf("%w: status: %w", ErrCrashed, status.err)
	}
	if status.status == 200 {
		d, err := status.json()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCrashed, err)
		}
		if _, ok := d.sub("data")["status"].(string); !ok {
			return fmt.Errorf("%w: the status is no text", ErrCrashed)
		}
	}
	return u.threeAttempts(ctx)
}

// threeAttempts is the table of 4.1: what each answer of /qr leads to. Nothing is waited for after the third.
func (u *user) threeAttempts(ctx context.Context) error {
	for attempt := range 3 {
		r := u.do(ctx, call{method: "GET", path: u.path("qr"), timeout: 15 * time.Second})
		if code := r.qr(); code != "" {
			_, bare, found := strings.Cut(code, "base64,")
			if !found {
				bare = code
			}
			u.show(bare)
			return nil
		}
		if r.status == 429 {
			return nil
		}
		if attempt < 2 && !sleep(ctx, pauseAfter(r)) {
			return ctx.Err()
		}
	}
	return nil
}

// pauseAfter is 5 s, but 3 s after what the client did not expect: an exception other than a time-out, or a body that
// it wanted to read and could not.
func pauseAfter(r reply) time.Duration {
	const usual, unexpected = 5 * time.Second, 3 * time.Second
	switch {
	case r.timeout:
		return usual
	case r.err != nil:
		return unexpected
	case r.status == 200 || r.status == 500 && r.text != "":
		if _, err := r.json(); err != nil {
			return unexpected
		}
	}
	return usual
}

// created checks a create's answer as every script does (C1, C2) and takes data.session.id.
func (u *user) created(r reply, statuses ...int) error {
	if r.err != nil {
		return fmt.Errorf("%w: create: %w", ErrCrashed, r.err)
	}
	if !slices.Contains(statuses, r.status) {
		return fmt.Errorf("%w: create answers %d", ErrAborted, r.status)
	}
	d, err := r.json()
	if err != nil {
		return fmt.Errorf("%w: create: %w", ErrCrashed, err)
	}
	id := d.sub("data").sub("session").id("id")
	if !d.yes("success") || id == "" {
		return fmt.Errorf("%w: create's answer has no data.session.id", ErrAborted)
	}
	u.result.ID = id
	return nil
}

// path is a route of the session, by its integer id.
func (u *user) path(route string) string { return "/api/sessions/" + u.result.ID + "/" + route }
