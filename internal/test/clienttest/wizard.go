package clienttest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Wizard is the production browser (4.2): create_session, and then two pollers in the page, through the server's
// get_qr_code and get_session_status (4.3). It ends when a phone is linked, when a state stops it, or after
// five minutes.
func Wizard(ctx context.Context, at Target) Result {
	u := newUser(at, "crm")
	if err := u.createSession(ctx); err != nil {
		return u.end(err)
	}
	w := &wizard{user: u}
	polling, stop := context.WithCancel(ctx)
	defer stop()
	w.stop = stop
	var pollers sync.WaitGroup
	if !u.result.GotQR { // a QR that came with the create is shown, and none is asked for
		pollers.Go(func() { poll(polling, 10, func() verdict { return w.askQR(ctx) }) })
	}
	pollers.Go(func() { poll(polling, 61, func() verdict { return w.askStatus(ctx) }) })
	pollers.Wait()
	return u.end(w.err)
}

type wizard struct {
	*user
	stop context.CancelFunc // ends both pollers; requests under way are still answered
	err  error              // under user.mu
}

// askQR shows the first QR that comes. The page puts its own prefix before whatever it gets, and a QR
// that is shown is never refreshed.
func (w *wizard) askQR(ctx context.Context) verdict {
	r := w.do(ctx, call{method: "GET", path: w.path("qr"), timeout: 30 * time.Second})
	if code := r.qr(); code != "" {
		w.show(code)
		w.mu.Lock()
		w.result.Broken = strings.HasPrefix(code, "data:")
		w.mu.Unlock()
		return stopPolling
	}
	return r.classifyText()
}

// classifyText is the page's reading of an error: its text holds the status and the whole body, and three digits anywhere in
// it pass for a rate limit.
func (r reply) classifyText() verdict {
	if d, err := r.json(); err == nil && r.status == 200 && d.yes("success") {
		return goOn
	}
	text := fmt.Sprint(r.status, " ", r.text)
	for _, sign := range []string{"429", "Demasiadas solicitudes", "rate limit"} {
		if strings.Contains(text, sign) {
			return slowDown
		}
	}
	return goOn
}

func (w *wizard) askStatus(ctx context.Context) verdict {
	r := w.do(ctx, call{method: "GET", path: w.path("status"), timeout: 30 * time.Second})
	var session document
	switch d, err := r.json(); {
	case r.status == 404 && r.err == nil:
		session = w.fromList(ctx)
	case err != nil || r.status != 200 || !d.yes("success"):
		return r.classifyText()
	default:
		session = d.sub("data")
	}
	if session["isConnected"] == true {
		w.linked()
		return stopPolling
	}
	switch strings.ToLower(session.text("status")) {
	case "connecting", "qr_code", "qr", "qr_required", "pending":
		return goOn
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = fmt.Errorf("%w: the state is %q", ErrAborted, session.text("status"))
	w.stop()
	return stopPolling
}

func (w *wizard) linked() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.result.Linked = true
	w.stop()
}

// fromList is what get_session_status does on a 404: it looks through the first page, and a session that is not on it
// is disconnected (4.3).
func (u *user) fromList(ctx context.Context) document {
	r := u.do(ctx, call{method: "GET", path: "/api/sessions", timeout: 10 * time.Second})
	d, err := r.json()
	if err == nil && r.status == 200 {
		if item := u.own(d); item != nil {
			return item
		}
	}
	return document{"status": "disconnected"}
}

// own finds the client's session in a list by its sessionId, or else by its id.
func (u *user) own(list document) document {
	items, _ := list.sub("data")["sessions"].([]any)
	for _, field := range []string{"sessionId", "id"} {
		want := u.result.Session
		if field == "id" {
			want = u.result.ID
		}
		for _, item := range items {
			if m, _ := item.(map[string]any); m != nil && document(m).id(field) == want {
				return m
			}
		}
	}
	return nil
}
