package session_test

import (
	"errors"
	"testing"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/secret"
	"qrgate/internal/session"
)

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func after(d time.Duration) time.Time { return t0.Add(d) }

func code(text string) session.SessionReport {
	return session.SessionReport{State: session.AwaitingScan, Image: secret.NewSecret(text)}
}

func failure(k session.ErrorKind) error { return &session.EngineError{Op: session.OpQR, Kind: k} }

// began is a session whose connect was accepted at t0.
func began() session.Session {
	return session.Session{Ref: session.Ref{ID: 1}, CreatedHere: true}.AfterConnect(t0)
}

func TestAfterPoll(t *testing.T) {
	t.Parallel()
	waiting := began().AfterPoll(code("one"), nil, after(time.Second))
	pairedError := waiting.AfterPoll(session.SessionReport{}, failure(session.KindAlreadyPaired), after(18*time.Second))
	pairedErrorQueried := pairedError
	pairedErrorQueried.StateQueriedAt = after(19 * time.Second)
	paired := began().AfterPoll(session.SessionReport{State: session.Connected}, nil, after(time.Second))
	scanned := waiting.AfterPoll(session.SessionReport{State: session.Connected}, nil, after(2*time.Second))
	for name, c := range map[string]struct {
		from  session.Session
		o     session.SessionReport
		err   error
		state session.State
		code  string
		seq   int
		check func(s session.Session) bool
	}{
		"not ready":  {from: began(), err: failure(session.KindNotReady), state: session.Connecting},
		"first code": {from: began(), o: code("one"), state: session.AwaitingScan, code: "one", seq: 1},
		"same code": {from: waiting, o: code("one"), state: session.AwaitingScan, code: "one", seq: 1, check: func(s session.Session) bool {
			return s.QR.ConfirmedAt.Equal(after(20*time.Second)) && s.QR.SeenAt.Equal(after(time.Second))
		}},
		"new code":                {from: waiting, o: code("two"), state: session.AwaitingScan, code: "two", seq: 2, check: func(s session.Session) bool { return s.QR.ExpiresAt.Equal(after(40 * time.Second)) }},
		"expired code":            {from: began(), o: withExpiry(code("old"), -time.Second), state: session.Connecting},
		"expiry of the engine":    {from: began(), o: withExpiry(code("one"), 45*time.Second), state: session.AwaitingScan, code: "one", seq: 1, check: func(s session.Session) bool { return s.QR.ExpiresAt.Equal(after(65 * time.Second)) }},
		"expiry beyond the bound": {from: began(), o: withExpiry(code("one"), 99*time.Hour), state: session.AwaitingScan, code: "one", seq: 1, check: func(s session.Session) bool { return s.QR.ExpiresAt.Before(after(time.Hour)) }},
		"reason in a list without QR": {from: began(), o: session.SessionReport{State: session.Failed, Reason: "405 Connection Failure"}, err: &session.EngineError{Op: session.OpList, Kind: session.KindNotReady}, state: session.Connecting,
			check: func(s session.Session) bool {
				return s.Reason == "405 Connection Failure" && s.History.Named.Code == diagnosis.ClientOutdated && s.StateConfirmedAt.Equal(after(20*time.Second))
			}},
		"code lost by the engine":       {from: waiting, err: failure(session.KindNotReady), state: session.Connecting, seq: 1},
		"unreachable keeps the code":    {from: waiting, err: failure(session.KindUnreachable), state: session.AwaitingScan, code: "one", seq: 1},
		"paired":                        {from: waiting, o: session.SessionReport{State: session.Connected}, state: session.Connected, seq: 1, check: func(s session.Session) bool { return s.EverPaired && s.AcquiringSince.IsZero() }},
		"paired, reported by an error":  {from: waiting, err: failure(session.KindAlreadyPaired), state: session.AwaitingScan, code: "one", seq: 1, check: func(s session.Session) bool { return s.NeedsPairingCheck() }},
		"again, without a state":        {from: pairedErrorQueried, err: failure(session.KindAlreadyPaired), state: session.Connected, seq: 1},
		"or being another one":          {from: pairedError.AfterPoll(session.SessionReport{State: session.AwaitingScan}, nil, after(19*time.Second)), err: failure(session.KindAlreadyPaired), state: session.AwaitingScan, code: "one", seq: 1, check: func(s session.Session) bool { return !s.NeedsPairingCheck() }},
		"a code ends the pairing":       {from: paired, o: session.SessionReport{State: session.AwaitingScan}, state: session.Connecting},
		"another code ends the pairing": {from: scanned, o: code("two"), state: session.AwaitingScan, code: "two", seq: 2},
		"the scanned code does not":     {from: scanned, o: code("one"), state: session.Connected, seq: 1},
		"not ready keeps the pairing":   {from: paired, err: failure(session.KindNotReady), state: session.Connected},
		"state ends the pairing":        {from: paired, o: session.SessionReport{State: session.Disconnected}, state: session.Disconnected},
		"no pairing beside an unknown state": {from: paired, o: session.SessionReport{State: session.Unknown, IsUnpaired: true}, state: session.Disconnected,
			check: func(s session.Session) bool { return s.StateConfirmedAt.Equal(after(20 * time.Second)) }},
		"no pairing beside an error":         {from: paired, o: session.SessionReport{IsUnpaired: true}, err: failure(session.KindServerError), state: session.Disconnected},
		"no pairing beside a code":           {from: waiting, o: session.SessionReport{State: session.Unknown, IsUnpaired: true}, state: session.AwaitingScan, code: "one", seq: 1},
		"no pairing beside a paired state":   {from: paired, o: session.SessionReport{State: session.Connected, IsUnpaired: true}, state: session.Connected},
		"an unknown state keeps the pairing": {from: paired, o: session.SessionReport{State: session.Unknown}, state: session.Connected},
		"disconnected, late":                 {from: began(), o: session.SessionReport{State: session.Disconnected}, state: session.Connecting, check: func(s session.Session) bool { return s.LostByEngine }},
		"refused key":                        {from: waiting, err: failure(session.KindKeyRefused), state: session.Unknown, seq: 1, check: func(s session.Session) bool { return s.AuthorizedAt.IsZero() && s.AcquiringSince.IsZero() }},
		"404 of the status":                  {from: began(), err: &session.EngineError{Op: session.OpStatus, Kind: session.KindSessionNotFound}, state: session.Connecting, check: func(s session.Session) bool { return !s.LostByEngine }},
		"404 of the QR after the grace":      {from: began(), err: failure(session.KindSessionNotFound), state: session.Connecting, check: func(s session.Session) bool { return !s.LostByEngine }},
		"twice in a row":                     {from: began().AfterPoll(session.SessionReport{}, failure(session.KindSessionNotFound), after(19*time.Second)), err: failure(session.KindSessionNotFound), state: session.Connecting, check: func(s session.Session) bool { return s.LostByEngine }},
		"error of another type":              {from: began(), err: errors.New("?"), state: session.Connecting, check: func(s session.Session) bool { return s.Failure.Kind == session.KindServerError }},
		"unknown session":                    {from: session.Session{State: session.Unknown}.RequestQR(t0), err: failure(session.KindSessionNotFound), state: session.Unknown, check: func(s session.Session) bool { return s.AcquiringSince.IsZero() }},
		"created and not connected":          {from: session.Session{CreatedHere: true}.RequestQR(t0), err: failure(session.KindNotReady), state: session.Connecting},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := c.from.AfterPoll(c.o, c.err, after(20*time.Second))
			if got.State != c.state || got.QR.Image.Reveal() != c.code || got.Sequence != c.seq {
				t.Errorf("%s, code %q, sequence %d; want %s, %q, %d", got.State, got.QR.Image.Reveal(), got.Sequence, c.state, c.code, c.seq)
			}
			if c.check != nil && !c.check(got) {
				t.Errorf("unexpected session: %+v", got)
			}
		})
	}
}

func withExpiry(o session.SessionReport, in time.Duration) session.SessionReport {
	o.Expiry = session.Expiry{Known: true, In: in}
	return o
}

func TestAfterPoll_RestartedEngineLostTheSession(t *testing.T) {
	t.Parallel()
	s := began().AfterPoll(session.SessionReport{}, failure(session.KindUnreachable), after(time.Second))
	if s.LostByEngine {
		t.Error("an unreachable engine has not lost the session yet")
	}
	if s = s.AfterPoll(session.SessionReport{}, failure(session.KindNotReady), after(2*time.Second)); !s.LostByEngine {
		t.Error("a restarted engine without a code has lost the session")
	}
	if s = s.AfterConnect(after(3 * time.Second)); s.LostByEngine {
		t.Error("a new connect clears LostByEngine")
	}
}

func TestQR_Fresh(t *testing.T) {
	t.Parallel()
	first := session.QR{Image: secret.NewSecret("x"), SeenAt: t0, MadeAfter: t0, ConfirmedAt: t0, ExpiresAt: after(60 * time.Second)}
	later := session.QR{Image: secret.NewSecret("x"), SeenAt: t0, MadeAfter: t0, ConfirmedAt: t0, ExpiresAt: after(20 * time.Second)}
	lateSeen := first
	lateSeen.MadeAfter = after(-20 * time.Second)
	confirmed := first
	confirmed.ConfirmedAt = after(39 * time.Second)
	for name, c := range map[string]struct {
		qr    session.QR
		at    time.Duration
		fresh bool
	}{
		"young":                         {first, time.Second, true},
		"old and not confirmed":         {first, 16 * time.Second, false},
		"old and confirmed":             {confirmed, 40 * time.Second, true},
		"confirmed too long ago":        {confirmed, 45 * time.Second, false},
		"ten seconds before its end":    {withConfirmed(first, 49*time.Second), 50 * time.Second, true},
		"nearer to its end":             {withConfirmed(first, 50*time.Second), 51 * time.Second, false},
		"a short one at a quarter":      {later, 15 * time.Second, true},
		"a short one nearer to its end": {withConfirmed(later, 15*time.Second), 16 * time.Second, false},
		"expired":                       {withConfirmed(first, 60*time.Second), 61 * time.Second, false},
		"first seen late":               {lateSeen, 5 * time.Second, false},
		"none":                          {session.QR{}, 0, false},
	} {
		if got := c.qr.Fresh(after(c.at)); got != c.fresh {
			t.Errorf("%s: fresh is %t", name, got)
		}
	}
}

func withConfirmed(q session.QR, at time.Duration) session.QR {
	q.ConfirmedAt = after(at)
	return q
}

func TestParseRef(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]session.Ref{"81": {ID: 81}, "crm-1": {Name: "crm-1"}, "081": {Name: "081"}, "0": {Name: "0"}, "99999999999999999999": {Name: "99999999999999999999"}, "-1": {Name: "-1"}} {
		if got, ok := session.ParseRef(id); !ok || got != want {
			t.Errorf("%q: %+v, %t", id, got, ok)
		}
	}
	for _, id := range []string{"", "a b", "a/b", "ä", "a.b", "*", string(make([]byte, 101))} {
		if got, ok := session.ParseRef(id); ok {
			t.Errorf("%q is accepted as %+v", id, got)
		}
	}
}

// A session that the engine lost has no code: its next one was made after the poll that showed the loss, and needs no
// further poll although it is seen long after the connect.
func TestAfterPoll_CodeOfALostSessionIsMadeAfterTheLoss(t *testing.T) {
	t.Parallel()
	failed := func(kind session.ErrorKind) error { return &session.EngineError{Op: session.OpQR, Kind: kind} }
	s := session.Session{CreatedHere: true}.AfterConnect(t0)
	s = s.AfterPoll(session.SessionReport{}, failed(session.KindUnreachable), after(2*time.Second))
	s = s.AfterPoll(session.SessionReport{}, failed(session.KindSessionNotFound), after(20*time.Second))
	if !s.LostByEngine {
		t.Fatal("the loss is not known")
	}
	s = s.AfterConnect(after(21 * time.Second))
	s = s.AfterPoll(session.SessionReport{Image: secret.NewSecret("code")}, nil, after(24*time.Second))
	if !s.QR.MadeAfter.Equal(after(20*time.Second)) || s.QR.NeedsRevalidation(after(30*time.Second)) {
		t.Errorf("made after %v", s.QR.MadeAfter.Sub(t0))
	}
}
