package qrgate_test

import (
	"errors"
	"testing"
	"time"

	"qrgate"
)

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func after(d time.Duration) time.Time { return t0.Add(d) }

func code(text string) qrgate.SessionReport {
	return qrgate.SessionReport{State: qrgate.AwaitingScan, Image: qrgate.NewSecret(text)}
}

func fault(k qrgate.ErrorKind) error { return &qrgate.EngineError{Op: qrgate.OpQR, Kind: k} }

// began is a session whose connect was accepted at t0.
func began() qrgate.Session {
	return qrgate.Session{Ref: qrgate.Ref{ID: 1}, CreatedHere: true}.AfterConnect(qrgate.Connect, t0)
}

func TestWhatALookMakesOfASession(t *testing.T) {
	t.Parallel()
	waiting := began().AfterPoll(code("one"), nil, after(time.Second))
	linked := began().AfterPoll(qrgate.SessionReport{State: qrgate.Connected}, nil, after(time.Second))
	for name, c := range map[string]struct {
		from  qrgate.Session
		o     qrgate.SessionReport
		err   error
		state qrgate.State
		code  string
		seq   int
		check func(s qrgate.Session) bool
	}{
		"not ready goes on": {from: began(), err: fault(qrgate.KindNotReady), state: qrgate.Connecting},
		"a code":            {from: began(), o: code("one"), state: qrgate.AwaitingScan, code: "one", seq: 1},
		"the same code is confirmed": {from: waiting, o: code("one"), state: qrgate.AwaitingScan, code: "one", seq: 1, check: func(s qrgate.Session) bool {
			return s.QR.Confirmed.Equal(after(20*time.Second)) && s.QR.Seen.Equal(after(time.Second))
		}},
		"a newer code replaces it":     {from: waiting, o: code("two"), state: qrgate.AwaitingScan, code: "two", seq: 2, check: func(s qrgate.Session) bool { return s.QR.Expires.Equal(after(40 * time.Second)) }},
		"an expired code is none":      {from: began(), o: withExpiry(code("old"), -time.Second), state: qrgate.Connecting},
		"the engine's expiry is taken": {from: began(), o: withExpiry(code("one"), 45*time.Second), state: qrgate.AwaitingScan, code: "one", seq: 1, check: func(s qrgate.Session) bool { return s.QR.Expires.Equal(after(65 * time.Second)) }},
		"an absurd expiry is bounded":  {from: began(), o: withExpiry(code("one"), 99*time.Hour), state: qrgate.AwaitingScan, code: "one", seq: 1, check: func(s qrgate.Session) bool { return s.QR.Expires.Before(after(time.Hour)) }},
		"a list says why beside no QR": {from: began(), o: qrgate.SessionReport{State: qrgate.Failed, Reason: "405 Connection Failure"}, err: &qrgate.EngineError{Op: qrgate.OpList, Kind: qrgate.KindNotReady}, state: qrgate.Connecting,
			check: func(s qrgate.Session) bool {
				return s.Reason == "405 Connection Failure" && s.Past.Named.Code == qrgate.ClientOutdated && s.StateConfirmedAt.Equal(after(20*time.Second))
			}},
		"a code the engine lost is dropped":   {from: waiting, err: fault(qrgate.KindNotReady), state: qrgate.Connecting, seq: 1},
		"trouble leaves the code":             {from: waiting, err: fault(qrgate.KindUnreachable), state: qrgate.AwaitingScan, code: "one", seq: 1},
		"linked":                              {from: waiting, o: qrgate.SessionReport{State: qrgate.Connected}, state: qrgate.Connected, seq: 1, check: func(s qrgate.Session) bool { return s.EverPaired && s.AcquiringSince.IsZero() }},
		"linked, said by an error":            {from: waiting, err: fault(qrgate.KindAlreadyPaired), state: qrgate.Connected, seq: 1},
		"no QR does not unlink":               {from: linked, err: fault(qrgate.KindNotReady), state: qrgate.Connected},
		"a state does":                        {from: linked, o: qrgate.SessionReport{State: qrgate.Disconnected}, state: qrgate.Disconnected},
		"disconnected is no news yet":         {from: began(), o: qrgate.SessionReport{State: qrgate.Disconnected}, state: qrgate.Connecting, check: func(s qrgate.Session) bool { return s.LostByEngine }},
		"a refused key ends everything":       {from: waiting, err: fault(qrgate.KindKeyRefused), state: qrgate.Unknown, seq: 1, check: func(s qrgate.Session) bool { return s.AuthorizedAt.IsZero() && s.AcquiringSince.IsZero() }},
		"404 on the status is no proof":       {from: began(), err: &qrgate.EngineError{Op: qrgate.OpStatus, Kind: qrgate.KindSessionNotFound}, state: qrgate.Connecting, check: func(s qrgate.Session) bool { return !s.LostByEngine }},
		"404 on the QR, later, is a restart":  {from: began(), err: fault(qrgate.KindSessionNotFound), state: qrgate.Connecting, check: func(s qrgate.Session) bool { return s.LostByEngine }},
		"an error that is no fault is one":    {from: began(), err: errors.New("?"), state: qrgate.Connecting, check: func(s qrgate.Session) bool { return s.Trouble.Kind == qrgate.KindServerError }},
		"a session nobody knows is given up":  {from: qrgate.Session{State: qrgate.Unknown}.RequestQR(t0), err: fault(qrgate.KindSessionNotFound), state: qrgate.Unknown, check: func(s qrgate.Session) bool { return s.AcquiringSince.IsZero() }},
		"one that was just created is waited": {from: qrgate.Session{CreatedHere: true}.RequestQR(t0), err: fault(qrgate.KindNotReady), state: qrgate.Connecting},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := c.from.AfterPoll(c.o, c.err, after(20*time.Second))
			if got.State != c.state || got.QR.Image.Reveal() != c.code || got.Sequence != c.seq {
				t.Errorf("%s, code %q, sequence %d; want %s, %q, %d", got.State, got.QR.Image.Reveal(), got.Sequence, c.state, c.code, c.seq)
			}
			if c.check != nil && !c.check(got) {
				t.Errorf("unexpected belief: %+v", got)
			}
		})
	}
}

func withExpiry(o qrgate.SessionReport, in time.Duration) qrgate.SessionReport {
	o.Expiry = qrgate.Expiry{Known: true, In: in}
	return o
}

func TestAnEngineThatComesBackHasForgotten(t *testing.T) {
	t.Parallel()
	s := began().AfterPoll(qrgate.SessionReport{}, fault(qrgate.KindUnreachable), after(time.Second))
	if s.LostByEngine {
		t.Error("an engine that is away has not forgotten yet")
	}
	if s = s.AfterPoll(qrgate.SessionReport{}, fault(qrgate.KindNotReady), after(2*time.Second)); !s.LostByEngine {
		t.Error("an engine that came back without a code must be asked to connect again")
	}
	if s = s.AfterConnect(qrgate.Connect, after(3*time.Second)); s.LostByEngine {
		t.Error("a new connect heals it")
	}
}

func TestFreshCodes(t *testing.T) {
	t.Parallel()
	first := qrgate.QR{Image: qrgate.NewSecret("x"), Seen: t0, Confirmed: t0, Expires: after(60 * time.Second)}
	later := qrgate.QR{Image: qrgate.NewSecret("x"), Seen: t0, Confirmed: t0, Expires: after(20 * time.Second)}
	confirmed := first
	confirmed.Confirmed = after(39 * time.Second)
	for name, c := range map[string]struct {
		qr    qrgate.QR
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
		"none":                          {qrgate.QR{}, 0, false},
	} {
		if got := c.qr.Fresh(after(c.at)); got != c.fresh {
			t.Errorf("%s: fresh is %t", name, got)
		}
	}
}

func withConfirmed(q qrgate.QR, at time.Duration) qrgate.QR {
	q.Confirmed = after(at)
	return q
}

func TestParseRef(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]qrgate.Ref{"81": {ID: 81}, "crm-1": {Name: "crm-1"}, "081": {Name: "081"}, "0": {Name: "0"}, "99999999999999999999": {Name: "99999999999999999999"}, "-1": {Name: "-1"}} {
		if got, ok := qrgate.ParseRef(id); !ok || got != want {
			t.Errorf("%q: %+v, %t", id, got, ok)
		}
	}
	for _, id := range []string{"", "a b", "a/b", "ä", "a.b", "*", string(make([]byte, 101))} {
		if got, ok := qrgate.ParseRef(id); ok {
			t.Errorf("%q is accepted as %+v", id, got)
		}
	}
}

func TestShiftMovesAllTimes(t *testing.T) {
	t.Parallel()
	s := began().AfterPoll(qrgate.SessionReport{}, fault(qrgate.KindNotReady), after(time.Second))
	moved := s.Shifted(time.Hour)
	if !moved.ConnectedAt.Equal(s.ConnectedAt.Add(time.Hour)) || !moved.LastPolledAt.Equal(s.LastPolledAt.Add(time.Hour)) || !moved.Trouble.Since.Equal(s.Trouble.Since.Add(time.Hour)) {
		t.Errorf("%+v", moved)
	}
	if !moved.LastRequestedAt.IsZero() || s.Shifted(time.Millisecond) != s {
		t.Error("a zero time or a small difference was moved")
	}
}
