package session_test

import (
	"testing"
	"time"

	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// What a client that follows a session may show.
func TestSession_QRLiveAndWasScanned(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	at := func(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }
	code := session.SessionReport{
		State: session.AwaitingScan, Image: secret.NewSecret("x"), Expiry: session.Expiry{Known: true, In: time.Minute},
	}
	gone := session.SessionReport{State: session.Connecting}
	notReady := &session.EngineError{Op: session.OpQR, Kind: session.KindNotReady}
	shown := session.Session{}.AfterConnect(at(0)).AfterPoll(code, nil, at(1))
	for name, tt := range map[string]struct {
		s             session.Session
		now           float64
		live, scanned bool
	}{
		"a code":                         {shown, 2, true, false},
		"near its end":                   {shown, 60.9, true, false},
		"at its end":                     {shown, 61, false, false},
		"the engine was unreachable":     {shown.SuspectQR(at(3)), 4, false, false},
		"it vanished early":              {shown.AfterPoll(gone, notReady, at(20)), 21, false, true},
		"it would have ended":            {shown.AfterPoll(gone, notReady, at(20)), 62, false, false},
		"it vanished at its end":         {shown.AfterPoll(gone, notReady, at(60.5)), 60.6, false, false},
		"the next code":                  {shown.AfterPoll(gone, notReady, at(20)).AfterPoll(session.SessionReport{State: session.AwaitingScan, Image: secret.NewSecret("y")}, nil, at(21)), 22, true, false},
		"the engine reports why it left": {shown.AfterPoll(session.SessionReport{State: session.Connecting, Reason: "lost"}, notReady, at(20)), 21, false, false},
		"the phone is linked":            {shown.AfterPoll(session.SessionReport{State: session.Connected}, nil, at(20)), 21, false, false},
	} {
		if live, scanned := tt.s.QRLive(at(tt.now)), tt.s.WasScanned(at(tt.now)); live != tt.live || scanned != tt.scanned {
			t.Errorf("%s: live %v, scanned %v; want %v, %v", name, live, scanned, tt.live, tt.scanned)
		}
	}
	linked := shown.AfterPoll(session.SessionReport{State: session.Connected}, nil, at(20))
	again := linked.AfterPoll(session.SessionReport{State: session.Connected}, nil, at(30))
	if !linked.PairedAt.Equal(at(20)) || !again.PairedAt.Equal(at(20)) {
		t.Errorf("paired at %v, then at %v", linked.PairedAt, again.PairedAt)
	}
}

// An engine whose codes ran out may respond to every poll with an error of its own instead of "no QR", with a page, or
// not in time.
func TestSession_ErrorDropsAnEndedCode(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	at := func(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }
	code := session.SessionReport{Image: secret.NewSecret("x"), Expiry: session.Expiry{Known: true, In: 20 * time.Second}}
	shown := session.Session{}.AfterConnect(at(0)).AfterPoll(code, nil, at(1))
	for name, c := range map[string]struct {
		kind session.ErrorKind
		op   string
		at   float64
		want session.State
	}{
		"the code lives":        {session.KindServerError, session.OpQR, 20, session.AwaitingScan},
		"the code ended":        {session.KindServerError, session.OpQR, 22, session.Connecting},
		"the state fails":       {session.KindServerError, session.OpStatus, 22, session.AwaitingScan},
		"no response":           {session.KindTimeout, session.OpQR, 22, session.Connecting},
		"another server's page": {session.KindBadResponse, session.OpQR, 22, session.Connecting},
		"no connection":         {session.KindUnreachable, session.OpQR, 22, session.AwaitingScan},
		"a rate limit":          {session.KindRateLimited, session.OpQR, 22, session.AwaitingScan},
	} {
		s := shown.AfterPoll(session.SessionReport{}, &session.EngineError{Op: c.op, Kind: c.kind}, at(c.at))
		if s.State != c.want || s.QR.Present() != (c.want == session.AwaitingScan) {
			t.Errorf("%s: %s, a code: %v", name, s.State, s.QR.Present())
		}
	}
	failed := shown.AfterConnectError(&session.EngineError{Op: session.OpConnect, Kind: session.KindServerError}, at(5))
	if again := failed.AfterPoll(code, nil, at(6)); failed.State != session.Connecting || !again.QRUsable(at(6)) || again.State != session.AwaitingScan {
		t.Errorf("the same code after a connect that failed: %s, then %s", failed.State, again.State)
	}
}
