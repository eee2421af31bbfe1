package session_test

import (
	"testing"
	"time"

	"qrgate/internal/session"
)

// What happens to a session goes back to the request that began its pursuit, and to the journey's first.
func TestWhoseRequestAPursuitGoesBackTo(t *testing.T) {
	t.Parallel()
	by := func(name string) session.Request { return session.Request{ID: name, Trace: "trace of " + name} }
	created := session.Session{}.WithCreateRequest(by("create"))
	connected := created.ConnectedBy(by("connect")).AfterConnect(session.Connect, t0)
	wish := func(s session.Session, r session.Request, at time.Time) session.Session {
		return s.RequestQR(at).WithQRRequest(r, s)
	}
	for name, c := range map[string]struct {
		s           session.Session
		by, journey string
	}{
		"created":                        {created, "create", "create"},
		"its first connect":              {connected, "connect", "create"},
		"a wish that joins":              {wish(connected, by("qr"), after(time.Second)), "connect", "create"},
		"a wish after a rest":            {wish(connected.GiveUp(after(time.Minute)), by("qr"), after(2*time.Minute)), "qr", "create"},
		"a second connect":               {connected.ConnectedBy(by("again")).AfterConnect(session.Connect, after(time.Minute)), "again", "again"},
		"a connect of a strange session": {session.Session{}.ConnectedBy(by("connect")), "connect", "connect"},
		"a wish for a strange session":   {wish(session.Session{State: session.Unknown}, by("qr"), t0), "qr", "qr"},
	} {
		if want := "trace of " + c.journey; c.s.Request.ID != c.by || c.s.Traceparent != want {
			t.Errorf("%s: by %q, journey %q; want %q, %q", name, c.s.Request.ID, c.s.Traceparent, c.by, want)
		}
	}
}
