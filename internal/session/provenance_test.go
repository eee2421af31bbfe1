package session_test

import (
	"testing"
	"time"

	"qrgate/internal/session"
)

// What happens to a session goes back to the request that began its acquisition; its trace is the first of them.
func TestSession_NamesTheRequestOfItsAcquisition(t *testing.T) {
	t.Parallel()
	by := func(name string) session.Request { return session.Request{ID: name, Trace: "trace of " + name} }
	created := session.Session{}.WithCreateRequest(by("create"))
	connected := created.ConnectedBy(by("connect")).AfterConnect(t0)
	request := func(s session.Session, r session.Request, at time.Time) session.Session {
		return s.RequestQR(at).WithQRRequest(r, s)
	}
	for name, c := range map[string]struct {
		s         session.Session
		by, trace string
	}{
		"created":                          {created, "create", "create"},
		"its first connect":                {connected, "connect", "create"},
		"a request that joins":             {request(connected, by("qr"), after(time.Second)), "connect", "create"},
		"a request after a pause":          {request(connected.GiveUp(after(time.Minute)), by("qr"), after(2*time.Minute)), "qr", "create"},
		"a second connect":                 {connected.ConnectedBy(by("again")).AfterConnect(after(time.Minute)), "again", "again"},
		"a connect of an unknown session":  {session.Session{}.ConnectedBy(by("connect")), "connect", "connect"},
		"a request for an unknown session": {request(session.Session{State: session.Unknown}, by("qr"), t0), "qr", "qr"},
	} {
		if want := "trace of " + c.trace; c.s.Request.ID != c.by || c.s.Traceparent != want {
			t.Errorf("%s: by %q, trace %q; want %q, %q", name, c.s.Request.ID, c.s.Traceparent, c.by, want)
		}
	}
}
