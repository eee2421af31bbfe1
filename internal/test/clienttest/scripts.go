package clienttest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// oneShot is a script that requests the QR once: create, connect, wait, request.
type oneShot struct {
	prefix         string
	creates        []int // the accepted statuses of a create
	timeout        time.Duration
	wait           time.Duration // between connect and QR request
	ignoresConnect bool          // requests the QR even if the connect failed
	nullOK         bool          // success without a code is a success
	nullCrashes    bool          // success without a code crashes it
	anyOK          bool          // 200 is enough
	readsBody      bool          // reads error and code of a failure, so a body that is no JSON crashes it
}

// SimRapidoFinal requests the QR at once, with a timeout of 10 s.
func SimRapidoFinal(ctx context.Context, at Target) Result {
	return oneShot{prefix: "rapido", creates: []int{201}, timeout: 10 * time.Second}.run(ctx, at)
}

// QuickTestBaileysFix requests the QR after 2 s, with a timeout of 10 s.
func QuickTestBaileysFix(ctx context.Context, at Target) Result {
	return oneShot{prefix: "quick", creates: []int{201}, timeout: 10 * time.Second, wait: 2 * time.Second}.run(ctx, at)
}

// TestCorrectQRFlow is the flow of the incident report: it requests the QR after 3 s, with a timeout of 30 s.
func TestCorrectQRFlow(ctx context.Context, at Target) Result {
	s := oneShot{prefix: "flow", creates: []int{201}, timeout: 30 * time.Second, wait: 3 * time.Second, readsBody: true}
	return s.run(ctx, at)
}

// TestSessionFlowUpdated requests the QR after 3 s even if the connect failed, and crashes on a null code.
func TestSessionFlowUpdated(ctx context.Context, at Target) Result {
	s := oneShot{
		prefix: "updated", creates: []int{200, 201}, timeout: 30 * time.Second, wait: 3 * time.Second,
		ignoresConnect: true, nullCrashes: true,
	}
	return s.run(ctx, at)
}

// BaileysIssueAnalysis requests the QR at once and accepts every response.
func BaileysIssueAnalysis(ctx context.Context, at Target) Result {
	s := oneShot{
		prefix: "analysis", creates: []int{200, 201}, timeout: 30 * time.Second, ignoresConnect: true, anyOK: true,
	}
	return s.run(ctx, at)
}

func (s oneShot) run(ctx context.Context, at Target) Result {
	u := newUser(at, s.prefix)
	if err := s.prepare(ctx, u); err != nil {
		return u.finish(err)
	}
	return u.finish(s.requestQR(ctx, u, s.timeout))
}

// prepare creates, connects and waits.
func (s oneShot) prepare(ctx context.Context, u *user) error {
	if err := u.create(ctx, s.timeout, s.creates...); err != nil {
		return err
	}
	r := u.do(ctx, call{method: "POST", path: u.path("connect"), body: "{}", timeout: s.timeout})
	if !s.ignoresConnect && (r.err != nil || r.status != 200) {
		return fmt.Errorf("%w: connect returned %d", ErrAborted, r.status)
	}
	if s.wait > 0 && !sleep(ctx, s.wait) {
		return ctx.Err()
	}
	return nil
}

func (s oneShot) requestQR(ctx context.Context, u *user, timeout time.Duration) error {
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
	case r.status == 200 && d.isTrue("success") && d.codeAbsent() && s.nullCrashes:
		return fmt.Errorf("%w: the code is null", ErrCrashed)
	}
	u.result.Claims = r.status == 200 && (s.anyOK || s.nullOK && d.isTrue("success"))
	return nil
}

// create is the create request of the scripts.
func (u *user) create(ctx context.Context, timeout time.Duration, statuses ...int) error {
	body := `{"sessionId":` + quote(u.result.Session) + `,"sessionName":"Test"}`
	return u.readCreated(u.do(ctx, call{method: "POST", path: "/api/sessions", body: body, timeout: timeout}), statuses...)
}

// QuickQRDebug waits 10 s, then requests the status and the QR, each with a timeout of 5 s, and catches no error. It
// accepts a success without a code. The timeout of 10 s of its create and connect is assumed.
func QuickQRDebug(ctx context.Context, at Target) Result {
	const short = 5 * time.Second
	s := oneShot{
		prefix: "qrdebug", creates: []int{201}, timeout: 10 * time.Second, wait: 10 * time.Second,
		nullOK: true, readsBody: true,
	}
	u := newUser(at, s.prefix)
	if err := s.prepare(ctx, u); err != nil {
		return u.finish(err)
	}
	r := u.do(ctx, call{method: "GET", path: u.path("status"), timeout: short})
	if r.err != nil {
		return u.finish(fmt.Errorf("%w: status: %w", ErrCrashed, r.err))
	}
	if _, err := r.json(); err != nil && r.text != "" {
		return u.finish(fmt.Errorf("%w: %w", ErrCrashed, err))
	}
	return u.finish(s.requestQR(ctx, u, short))
}

// DebugQRIssue polls the status every 5 s for two minutes and requests the QR whenever the status shows one.
func DebugQRIssue(ctx context.Context, at Target) Result {
	u := newUser(at, "debug")
	if err := u.createAndConnect(ctx); err != nil {
		return u.finish(err)
	}
	for begin := time.Now(); time.Since(begin) < 2*time.Minute; {
		if showsQR(u.pollStatus(ctx), "qr_code", "pending") && u.requestQR(ctx) {
			return u.finish(nil)
		}
		if !sleep(ctx, 5*time.Second) {
			return u.finish(ctx.Err())
		}
	}
	return u.finish(nil)
}

// TestQRGenerationWait polls the status every 5 s for a minute and ends, without requesting the QR, as soon as the
// status shows one. It can only succeed while the status is wrong (C21).
func TestQRGenerationWait(ctx context.Context, at Target) Result {
	u := newUser(at, "wait")
	if err := u.createAndConnect(ctx); err != nil {
		return u.finish(err)
	}
	for begin := time.Now(); time.Since(begin) < time.Minute; {
		if showsQR(u.pollStatus(ctx), "qr_code", "pending") {
			return u.finish(nil) // it reports a timeout
		}
		if u.requestQR(ctx) {
			return u.finish(nil)
		}
		if !sleep(ctx, 5*time.Second) {
			return u.finish(ctx.Err())
		}
	}
	return u.finish(nil)
}

const scriptTimeout = 10 * time.Second

// createAndConnect is the start of DebugQRIssue and TestQRGenerationWait.
func (u *user) createAndConnect(ctx context.Context) error {
	if err := u.create(ctx, scriptTimeout, 201); err != nil {
		return err
	}
	r := u.do(ctx, call{method: "POST", path: u.path("connect"), body: "{}", timeout: scriptTimeout})
	if r.err != nil || r.status != 200 {
		return fmt.Errorf("%w: connect returned %d", ErrAborted, r.status)
	}
	return nil
}

// pollStatus returns the data of the status, or nil if the response is not 200.
func (u *user) pollStatus(ctx context.Context) document {
	r := u.do(ctx, call{method: "GET", path: u.path("status"), timeout: scriptTimeout})
	if d, err := r.json(); err == nil && r.status == 200 {
		return d.object("data")
	}
	return nil
}

// requestQR requests the QR and stores it. The script continues after any other response.
func (u *user) requestQR(ctx context.Context) bool {
	r := u.do(ctx, call{method: "GET", path: u.path("qr"), timeout: scriptTimeout})
	code := r.qr()
	if code != "" {
		u.show(code)
	}
	return code != ""
}

const diagnoseTimeout = 30 * time.Second // of each request, and for the status to show a code

// DiagnoseQRIssue lists four times, creates, connects, polls the status for 30 s, and only then requests the QR, up to
// five times 10 s apart. It gives up on a 404 of /qr, the state error, a 401, and a 429 of one of the last three lists.
func DiagnoseQRIssue(ctx context.Context, at Target) Result {
	u := newUser(at, "diagnose")
	for i := range 4 {
		r := u.do(ctx, call{method: "GET", path: "/api/sessions", timeout: diagnoseTimeout})
		if r.status == 401 || r.status == 429 && i > 0 {
			return u.finish(fmt.Errorf("%w: list returned %d", ErrAborted, r.status))
		}
	}
	if err := u.create(ctx, diagnoseTimeout, 200, 201); err != nil {
		return u.finish(err)
	}
	r := u.do(ctx, call{method: "POST", path: u.path("connect"), body: "{}", timeout: diagnoseTimeout})
	if r.err != nil || r.status != 200 {
		return u.finish(fmt.Errorf("%w: connect returned %d", ErrAborted, r.status))
	}
	if err := u.diagnoseStatus(ctx); err != nil {
		return u.finish(err)
	}
	return u.finish(u.diagnoseQR(ctx))
}

// diagnoseStatus waits until the status shows a code.
func (u *user) diagnoseStatus(ctx context.Context) error {
	for begin := time.Now(); time.Since(begin) < diagnoseTimeout; {
		r := u.do(ctx, call{method: "GET", path: u.path("status"), timeout: diagnoseTimeout})
		d, err := r.json()
		if err == nil && r.status == 200 {
			data := d.object("data")
			if showsQR(data, "qr_code", "connected") {
				return nil
			}
			if strings.EqualFold(data.text("status"), "error") {
				return fmt.Errorf("%w: the state is error", ErrAborted)
			}
		}
		if !sleep(ctx, 5*time.Second) {
			return ctx.Err()
		}
	}
	return fmt.Errorf("%w: no code within 30 s", ErrAborted)
}

func (u *user) diagnoseQR(ctx context.Context) error {
	for attempt := range 5 {
		r := u.do(ctx, call{method: "GET", path: u.path("qr"), timeout: diagnoseTimeout})
		if code := r.qr(); code != "" {
			u.show(code)
			return nil
		}
		if r.status == 404 || r.status == 401 {
			return fmt.Errorf("%w: qr returned %d", ErrAborted, r.status)
		}
		if attempt < 4 && !sleep(ctx, 10*time.Second) {
			return ctx.Err()
		}
	}
	return nil
}

// FixQRGeneration deletes up to five sessions in state error or disconnected, creates, tries three kinds of connect
// until one succeeds, and polls the status for two minutes: five times 5 s apart, five times 10 s, then every 15 s.
// It requests the QR when the status shows one, and gives up on the state error.
func FixQRGeneration(ctx context.Context, at Target) Result {
	u := newUser(at, "fix")
	u.deleteStale(ctx)
	body := `{"sessionId":` + quote(u.result.Session) + `,"sessionName":"Fix","autoReconnect":true}`
	r := u.do(ctx, call{method: "POST", path: "/api/sessions", body: body, timeout: scriptTimeout})
	if err := u.readCreated(r, 200, 201); err != nil {
		return u.finish(err)
	}
	if !u.connectByAnyMethod(ctx) {
		return u.finish(fmt.Errorf("%w: no kind of connect succeeds", ErrAborted))
	}
	return u.finish(u.watchStatus(ctx))
}

func (u *user) deleteStale(ctx context.Context) {
	r := u.do(ctx, call{method: "GET", path: "/api/sessions", timeout: scriptTimeout})
	d, err := r.json()
	if err != nil {
		return
	}
	items, _ := d.object("data")["sessions"].([]any)
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

func (u *user) connectByAnyMethod(ctx context.Context) bool {
	for _, c := range []call{
		{path: u.path("connect"), body: "{}"},
		{path: u.path("connect"), body: `{"force":true}`},
		{path: u.path("restart"), body: "{}"},
	} {
		c.method, c.timeout = "POST", scriptTimeout
		r := u.do(ctx, c)
		if d, err := r.json(); err == nil && r.status == 200 && d.isTrue("success") {
			return true
		}
	}
	return false
}

func (u *user) watchStatus(ctx context.Context) error {
	begin := time.Now()
	for attempt := 0; time.Since(begin) < 2*time.Minute; attempt++ {
		if !sleep(ctx, fixInterval(attempt)) {
			return ctx.Err()
		}
		data := u.pollStatus(ctx)
		if strings.EqualFold(data.text("status"), "error") {
			return fmt.Errorf("%w: the state is error", ErrAborted)
		}
		if showsQR(data, "qr_code", "pending") && u.requestQR(ctx) {
			return nil
		}
	}
	return nil
}

func fixInterval(attempt int) time.Duration {
	switch {
	case attempt < 5:
		return 5 * time.Second
	case attempt < 10:
		return 10 * time.Second
	}
	return 15 * time.Second
}
