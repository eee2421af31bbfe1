package clienttest

import (
	"context"
	"fmt"
	"strings"
	"time"
)

const diagnosePatience = 30 * time.Second // of each request, and for the status to show a code

// DiagnoseQRIssue lists four times in a row, creates, connects, watches the status for 30 s, and only then asks for the
// QR, up to five times 10 s apart. A 404 of /qr, the state error, a 401, and a 429 on one of the last
// three lists make it give up.
func DiagnoseQRIssue(ctx context.Context, at Target) Result {
	u := newUser(at, "diagnose")
	for i := range 4 {
		r := u.do(ctx, call{method: "GET", path: "/api/sessions", timeout: diagnosePatience})
		if r.status == 401 || r.status == 429 && i > 0 {
			return u.end(fmt.Errorf("%w: list answers %d", ErrAborted, r.status))
		}
	}
	if err := u.create(ctx, diagnosePatience, 200, 201); err != nil {
		return u.end(err)
	}
	r := u.do(ctx, call{method: "POST", path: u.path("connect"), body: "{}", timeout: diagnosePatience})
	if r.err != nil || r.status != 200 {
		return u.end(fmt.Errorf("%w: connect answers %d", ErrAborted, r.status))
	}
	if err := u.diagnoseStatus(ctx); err != nil {
		return u.end(err)
	}
	return u.end(u.diagnoseQR(ctx))
}

// diagnoseStatus waits until the status shows a code.
func (u *user) diagnoseStatus(ctx context.Context) error {
	for begin := time.Now(); time.Since(begin) < diagnosePatience; {
		r := u.do(ctx, call{method: "GET", path: u.path("status"), timeout: diagnosePatience})
		d, err := r.json()
		if err == nil && r.status == 200 {
			data := d.sub("data")
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
		r := u.do(ctx, call{method: "GET", path: u.path("qr"), timeout: diagnosePatience})
		if code := r.qr(); code != "" {
			u.show(code)
			return nil
		}
		if r.status == 404 || r.status == 401 {
			return fmt.Errorf("%w: qr answers %d", ErrAborted, r.status)
		}
		if attempt < 4 && !sleep(ctx, 10*time.Second) {
			return ctx.Err()
		}
	}
	return nil
}
