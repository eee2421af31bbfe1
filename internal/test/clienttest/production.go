package clienttest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

const imagePrefix = "data:image/png;base64,"

// CreateSession is session.create_session, the server's side of the production wizard (4.1). It requests the QR three
// times, 0, 5 and 10 s after the connect.
func CreateSession(ctx context.Context, at Target) Result {
	u := newUser(at, "crm")
	return u.finish(u.createSession(ctx))
}

func (u *user) createSession(ctx context.Context) error {
	const halfMinute = 30 * time.Second
	created := u.do(ctx, call{
		method: "POST", path: "/api/sessions", timeout: halfMinute,
		body:    `{"sessionId":` + quote(u.result.Session) + `,"sessionName":"CRM","fromFrappe":true}`,
		headers: []string{"X-Frappe-Origin", "true"},
	})
	if err := u.readCreated(created, 200, 201); err != nil {
		return err
	}
	// The result does not matter.
	u.do(ctx, call{method: "POST", path: u.path("connect"), body: "{}", timeout: 10 * time.Second})

	status := u.do(ctx, call{method: "GET", path: u.path("status"), timeout: halfMinute})
	if status.err != nil {
		return fmt.Errorf("%w: status: %w", ErrCrashed, status.err)
	}
	if status.status == 200 {
		d, err := status.json()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCrashed, err)
		}
		if _, ok := d.object("data")["status"].(string); !ok {
			return fmt.Errorf("%w: the status is no text", ErrCrashed)
		}
	}
	return u.requestQRThreeTimes(ctx)
}

// requestQRThreeTimes implements the table of 4.1: the client's next step after each response of /qr.
func (u *user) requestQRThreeTimes(ctx context.Context) error {
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

// pauseAfter returns 5 s, but 3 s after an unexpected response: an exception other than a timeout, or an unreadable
// body.
func pauseAfter(r response) time.Duration {
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

// readCreated checks the response to a create as every script does (C1, C2) and reads data.session.id.
func (u *user) readCreated(r response, statuses ...int) error {
	if r.err != nil {
		return fmt.Errorf("%w: create: %w", ErrCrashed, r.err)
	}
	if !slices.Contains(statuses, r.status) {
		return fmt.Errorf("%w: create returned %d", ErrAborted, r.status)
	}
	d, err := r.json()
	if err != nil {
		return fmt.Errorf("%w: create: %w", ErrCrashed, err)
	}
	id := d.object("data").object("session").id("id")
	if !d.isTrue("success") || id == "" {
		return fmt.Errorf("%w: the response to the create has no data.session.id", ErrAborted)
	}
	u.result.ID = id
	return nil
}

// path returns the path of a route of the session, by its integer id.
func (u *user) path(route string) string { return "/api/sessions/" + u.result.ID + "/" + route }

// Wizard is the production browser (4.2): create_session, then two pollers in the page, through the server's
// get_qr_code and get_session_status (4.3). It ends when a phone is linked, when a state stops it, or after five
// minutes.
func Wizard(ctx context.Context, at Target) Result {
	u := newUser(at, "crm")
	if err := u.createSession(ctx); err != nil {
		return u.finish(err)
	}
	w := &wizard{user: u}
	polling, stop := context.WithCancel(ctx)
	defer stop()
	w.stop = stop
	var pollers sync.WaitGroup
	if !u.result.GotQR { // a QR from create_session is shown, and the page does not poll
		pollers.Go(func() { poll(polling, 10, func() decision { return w.pollQR(ctx) }) })
	}
	pollers.Go(func() { poll(polling, 61, func() decision { return w.pollStatus(ctx) }) })
	pollers.Wait()
	return u.finish(w.err)
}

type wizard struct {
	*user
	stop context.CancelFunc // ends both pollers; running requests complete
	err  error              // under user.mu
}

// pollQR shows the first QR. The page adds its own prefix to every code, and never replaces a QR that it
// shows.
func (w *wizard) pollQR(ctx context.Context) decision {
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

// classifyText reads an error as the page does: its text contains the status and the whole body, and 429 anywhere in
// it counts as a rate limit.
func (r response) classifyText() decision {
	if d, err := r.json(); err == nil && r.status == 200 && d.isTrue("success") {
		return keepPolling
	}
	text := fmt.Sprint(r.status, " ", r.text)
	for _, sign := range []string{"429", "Demasiadas solicitudes", "rate limit"} {
		if strings.Contains(text, sign) {
			return slowDown
		}
	}
	return keepPolling
}

func (w *wizard) pollStatus(ctx context.Context) decision {
	r := w.do(ctx, call{method: "GET", path: w.path("status"), timeout: 30 * time.Second})
	var session document
	switch d, err := r.json(); {
	case r.status == 404 && r.err == nil:
		session = w.fromList(ctx)
	case err != nil || r.status != 200 || !d.isTrue("success"):
		return r.classifyText()
	default:
		session = d.object("data")
	}
	if session["isConnected"] == true {
		w.linked()
		return stopPolling
	}
	switch strings.ToLower(session.text("status")) {
	case "connecting", "qr_code", "qr", "qr_required", "pending":
		return keepPolling
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

// fromList is the reaction of get_session_status to a 404: it reads the first page of the list, and a session that is
// not on it counts as disconnected (4.3).
func (u *user) fromList(ctx context.Context) document {
	r := u.do(ctx, call{method: "GET", path: "/api/sessions", timeout: 10 * time.Second})
	d, err := r.json()
	if err == nil && r.status == 200 {
		if item := u.findSession(d); item != nil {
			return item
		}
	}
	return document{"status": "disconnected"}
}

// findSession returns the client's session in a list, by its sessionId or else by its id.
func (u *user) findSession(list document) document {
	items, _ := list.object("data")["sessions"].([]any)
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

const (
	pollInterval    = 5 * time.Second
	maxPollInterval = 30 * time.Second
	wizardTimeout   = 300 * time.Second // of the whole wizard
)

// decision is the reaction of a poller to a response.
type decision int

const (
	keepPolling decision = iota
	slowDown
	stopPolling
)

// poll sends requests as the browser's setInterval does: on every tick, also while an earlier request runs, and at most
// as many as times. It returns when it is stopped, timed out or ctx ended, and after every response.
//
// On slowDown the interval doubles, and the next request follows after twice the new interval: the page waits once
// before it sets the new interval, and the interval waits again (4.2: 0, 20, 60, 120, 180, 240 s).
func poll(ctx context.Context, times int, request func() decision) {
	var running sync.WaitGroup
	defer running.Wait()
	decisions := make(chan decision, times)
	begin := time.Now()
	giveUp := time.NewTimer(wizardTimeout + time.Millisecond) // the tick at 300 s still sends a request
	defer giveUp.Stop()
	pause := pollInterval
	tick := time.NewTimer(0)
	defer tick.Stop()
	for sent := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-giveUp.C:
			return
		case <-tick.C:
			if pause > pollInterval && time.Since(begin) >= wizardTimeout {
				return // a longer interval fires after the page's deadline
			}
			sent++
			running.Go(func() { decisions <- request() })
			if sent == times {
				return
			}
			tick.Reset(pause)
		case v := <-decisions:
			if v == stopPolling {
				return
			}
			if v == slowDown {
				pause = min(2*pause, maxPollInterval)
				tick.Reset(2 * pause)
			}
		}
	}
}

// SessionStatus is session_status.get_session_status, which runs before every sync and every send: it finds the session
// in a list of 200 through the base client, and crashes if the session is not in it or its lastActivity is null (4.3).
// Here it first creates the session.
func SessionStatus(ctx context.Context, at Target) Result {
	u := newUser(at, "sync")
	body := `{"sessionId":` + quote(u.result.Session) + `,"sessionName":"Sync"}`
	created := u.sendWithRetries(ctx, call{method: "POST", path: "/api/sessions", body: body})
	if err := u.readCreated(created, 200, 201); err != nil {
		return u.finish(err)
	}
	r := u.sendWithRetries(ctx, call{method: "GET", path: "/api/sessions?page=1&limit=200"})
	d, err := r.json()
	if err != nil || r.status != 200 {
		return u.finish(fmt.Errorf("%w: the list returned %d", ErrAborted, r.status))
	}
	item := u.findSession(d)
	if item == nil {
		return u.finish(fmt.Errorf("%w: the session is not in the list", ErrCrashed))
	}
	if item["lastActivity"] == nil && item["lastSeen"] == nil {
		return u.finish(fmt.Errorf("%w: lastActivity is null", ErrCrashed))
	}
	u.result.Claims, u.result.Linked = true, item.text("status") == "connected"
	return u.finish(nil)
}

// Send is the base client that sends a message to a session, because of its three attempts up to three times.
func Send(ctx context.Context, at Target) Result {
	u := newUser(at, "send")
	r := u.sendWithRetries(ctx, call{
		method: "POST", path: "/api/messages/" + u.result.Session + "/send", body: `{"to":"5550100","message":"hola"}`,
	})
	u.result.Claims = r.err == nil && (r.status == 200 || r.status == 201)
	return u.finish(nil)
}

// sendWithRetries is the request of WhatsAppAPIClient: three attempts. Only 200 and 201 are successes; a 4xx other
// than 429 is final; after 5xx and 429 it retries without a pause, after other results with pauses of 1 and 2 s. The
// latter is assumed for timeouts and closed connections.
func (u *user) sendWithRetries(ctx context.Context, c call) response {
	c.timeout = 30 * time.Second
	var r response
	for attempt := range 3 {
		r = u.do(ctx, c)
		switch {
		case r.err == nil && (r.status == 200 || r.status == 201):
			return r
		case r.err == nil && r.status >= 400 && r.status < 500 && r.status != 429:
			return r
		case r.err == nil && (r.status >= 500 || r.status == 429):
			continue
		}
		if attempt < 2 && !sleep(ctx, time.Duration(1<<attempt)*time.Second) {
			return r
		}
	}
	return r
}
