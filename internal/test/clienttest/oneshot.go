package clienttest

import (
	"context"
	"fmt"
	"time"
)

// oneShot is a script that asks for the QR once: create, connect, wait, ask.
type oneShot struct {
	prefix    string
	creates   []int // the statuses of a create that it takes
	timeout   time.Duration
	wait      time.Duration // between connect and question
	stubborn  bool          // asks even if the connect failed
	nullOK    bool          // success without a code counts
	nullRaise bool          // success without a code crashes it
	anyOK     bool          // 200 is enough
	readsBody bool          // reads error and code of a refusal, so anything but JSON crashes it
}

// SimRapidoFinal asks at once, with 10 s of patience.
func SimRapidoFinal(ctx context.Context, at Target) Result {
	return oneShot{prefix: "rapido", creates: []int{201}, timeout: 10 * time.Second}.run(ctx, at)
}

// QuickTestBaileysFix asks after 2 s, with 10 s of patience.
func QuickTestBaileysFix(ctx context.Context, at Target) Result {
	return oneShot{prefix: "quick", creates: []int{201}, timeout: 10 * time.Second, wait: 2 * time.Second}.run(ctx, at)
}

// TestCorrectQRFlow is the flow of the incident report: it asks after 3 s, with 30 s of patience.
func TestCorrectQRFlow(ctx context.Context, at Target) Result {
	s := oneShot{prefix: "flow", creates: []int{201}, timeout: 30 * time.Second, wait: 3 * time.Second, readsBody: true}
	return s.run(ctx, at)
}

// TestSessionFlowUpdated asks after 3 s even if the connect failed, and measures a code that may be null.
func TestSessionFlowUpdated(ctx context.Context, at Target) Result {
	s := oneShot{
		prefix: "updated", creates: []int{200, 201}, timeout: 30 * time.Second, wait: 3 * time.Second,
		stubborn: true, nullRaise: true,
	}
	return s.run(ctx, at)
}

// BaileysIssueAnalysis asks at once and records whatever comes.
func BaileysIssueAnalysis(ctx context.Context, at Target) Result {
	s := oneShot{prefix: "analysis", creates: []int{200, 201}, timeout: 30 * time.Second, stubborn: true, anyOK: true}
	return s.run(ctx, at)
}

func (s oneShot) run(ctx context.Context, at Target) Result {
	u := newUser(at, s.prefix)
	if err := s.prepare(ctx, u); err != nil {
		return u.end(err)
	}
	return u.end(s.ask(ctx, u, s.timeout))
}

// prepare creates, connects and waits.
func (s oneShot) prepare(ctx context.Context, u *user) error {
	if err := u.create(ctx, s.timeout, s.creates...); err != nil {
		return err
	}
	r := u.do(ctx, call{method: "POST", path: u.path("connect"), body: "{}", timeout: s.timeout})
	if !s.stubborn && (r.err != nil || r.status != 200) {
		return fmt.Errorf("%w: connect answers %d", ErrAborted, r.status)
	}
	if s.wait > 0 && !sleep(ctx, s.wait) {
		return ctx.Err()
	}
	return nil
}

func (s oneShot) ask(ctx context.Context, u *user, timeout time.Duration) error {
	r := u.do(ctx, call{method: "GET", path: u.path("qr"), timeout: timeout})
	if r.err != nil {
		return fmt.Errorf("%w: qr: %w", ErrCrashed, r.err)
	}
	if code := r.qr(); code != "" {
		u.show(code)
		return nil
	}
	d, err := r.json()
	switch {
	case r.status != 200 && (!s.readsBody || r.text == ""):
		return nil
	case err != nil:
		return fmt.Errorf("%w: %w", ErrCrashed, err)
	case r.status == 200 && d.yes("success") && d.codeAbsent() && s.nullRaise:
		return fmt.Errorf("%w: the code is null", ErrCrashed)
	}
	u.result.Claims = r.status == 200 && (s.anyOK || s.nullOK && d.yes("success"))
	return nil
}

// create is the plain create of the scripts.
func (u *user) create(ctx context.Context, timeout time.Duration, statuses ...int) error {
	body := `{"sessionId":` + quote(u.result.Session) + `,"sessionName":"Test"}`
	return u.created(u.do(ctx, call{method: "POST", path: "/api/sessions", body: body, timeout: timeout}), statuses...)
}
