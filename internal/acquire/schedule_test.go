package acquire

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"qrgate/internal/secret"
	"qrgate/internal/session"
)

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func at(seconds float64) time.Time { return t0.Add(time.Duration(seconds * float64(time.Second))) }

// newSession is one whose connect the gate passed on at t0.
func newSession(changes ...func(*session.Session)) session.Session {
	s := session.Session{Ref: session.Ref{ID: 1}, CreatedHere: true}.AfterConnect(session.Connect, t0)
	for _, c := range changes {
		c(&s)
	}
	return s
}

func looked(seconds float64) func(*session.Session) {
	return func(s *session.Session) { s.LastPolledAt, s.StateConfirmedAt = at(seconds), at(seconds) }
}

// neverChecked is a session of which only the QR was asked for.
func neverChecked(s *session.Session) { s.StateConfirmedAt = time.Time{} }

func TestNext(t *testing.T) {
	t.Parallel()
	code := session.QR{Image: secret.NewSecret("x"), Sequence: 1, Seen: at(1), Confirmed: at(1), Expires: at(61)}
	shown := func(s *session.Session) {
		s.State, s.QR, s.Sequence, s.LastPolledAt = session.AwaitingScan, code, 1, at(1)
	}
	for name, c := range map[string]struct {
		s    session.Session
		i    interest
		r    policy
		now  float64
		want action
	}{
		"the first look":                 {s: newSession(), now: 0, want: action{do: pollQR, at: at(0.25)}},
		"the second":                     {s: newSession(looked(0.3)), now: 0.3, want: action{do: pollQR, at: at(0.87)}},
		"a late look skips teeth":        {s: newSession(looked(3)), now: 3, want: action{do: pollQR, at: at(3.63)}},
		"every second after the comb":    {s: newSession(looked(6)), now: 6, want: action{do: pollQR, at: at(7)}},
		"connect again after 12 s":       {s: newSession(looked(11.5)), now: 12, want: action{do: recoverSession, how: session.Connect, at: at(12)}},
		"but first a look at the state":  {s: newSession(looked(10.9)), now: 11.5, want: action{do: pollQR, at: at(11.9)}},
		"restart after 30 s":             {s: newSession(looked(29.5), func(s *session.Session) { s.Pushed.Again = at(12) }), now: 30, want: action{do: recoverSession, how: session.Restart, at: at(30)}},
		"force in between, with leave":   {s: newSession(looked(19.5), func(s *session.Session) { s.Pushed.Again = at(12) }), r: policy{force: true}, now: 20, want: action{do: recoverSession, how: session.Force, at: at(20)}},
		"at once when the engine forgot": {s: newSession(looked(3), func(s *session.Session) { s.LostByEngine = true }), now: 3, want: action{do: recoverSession, how: session.Connect, at: at(3)}},
		"never one that was linked":      {s: newSession(looked(12.5), func(s *session.Session) { s.EverPaired = true }), now: 12.6, want: action{do: pollQR, at: at(14.5)}},
		"never when several fail alike":  {s: newSession(looked(12.5)), r: policy{alike: 3}, now: 12.6, want: action{do: pollQR, at: at(14.5)}},
		"rest after a minute":            {s: newSession(looked(59)), now: 60, want: action{do: giveUpSession, at: at(60)}},
		"a fresh code needs nothing":     {s: newSession(shown), i: interest{code: true}, now: 5, want: action{}},
		"a doubtful one does":            {s: newSession(shown), i: interest{code: true}, now: 20, want: action{do: pollQR, at: at(1.7)}},
		"unless nobody asks":             {s: newSession(shown), now: 20, want: action{}},
		"a question for the state":       {s: newSession(shown), i: interest{state: true}, now: 5, want: action{do: pollStatus, at: at(4)}},
		"asked again elsewhere when it was denied": {s: newSession(shown, func(s *session.Session) {
			s.Trouble = session.FailureStreak{Op: session.OpStatus, Kind: session.KindSessionNotFound}
		}), i: interest{state: true}, now: 5, want: action{do: pollQR, at: at(4)}},
		"the code vanished: scanned or run out?":       {s: newSession(looked(30), func(s *session.Session) { s.Sequence, s.Since, s.StateConfirmedAt = 1, at(30), at(1) }), now: 30, want: action{do: pollStatus, at: at(30)}},
		"no QR after a while: does the state say why?": {s: newSession(looked(5.2), neverChecked), now: 5.2, want: action{do: pollStatus, at: at(5.5)}},
		"once per wish, whatever came of it":           {s: newSession(looked(5.7), neverChecked, func(s *session.Session) { s.StateQueriedAt = at(5.5) }), now: 5.7, want: action{do: pollQR, at: at(6.7)}},
		"nor when a list has told it":                  {s: newSession(looked(5.7)), now: 5.7, want: action{do: pollQR, at: at(6.7)}},
		"a last look before a hold ends":               {s: newSession(looked(8.5)), i: interest{code: true, until: at(9)}, now: 8.5, want: action{do: pollQR, at: at(8.7)}},
		"a proof":                                      {s: session.Session{State: session.Unknown}, i: interest{proof: true}, now: 0, want: action{do: pollQR, at: time.Time{}.Add(fastStep)}},
		"a linked session's proof":                     {s: session.Session{State: session.Connected, LastPolledAt: at(0)}, i: interest{proof: true}, now: 1, want: action{do: pollStatus, at: at(1)}},
		"nothing for a resting session":                {s: session.Session{State: session.Failed}, now: 1, want: action{}},
	} {
		if got := nextAction(c.s, c.i, c.r, at(c.now)); got != c.want {
			t.Errorf("%s: %d %q at %v, want %d %q at %v", name, got.do, got.how, got.at.Sub(t0), c.want.do, c.want.how, c.want.at.Sub(t0))
		}
	}
}

// A connect that fails is tried again faster at first, with one look between two tries.
func TestInsist(t *testing.T) {
	t.Parallel()
	s := session.Session{Ref: session.Ref{ID: 1}}
	now := t0
	var pushes []time.Duration
	for range 9 {
		if len(pushes) == 0 {
			s = s.AfterConnectError(&session.EngineError{Op: session.OpConnect, Kind: session.KindServerError}, now)
			pushes = append(pushes, 0)
			continue
		}
		st := nextAction(s, interest{}, policy{}, now)
		now = st.at
		if st.do == recoverSession {
			s = s.AfterConnectError(&session.EngineError{Op: session.OpConnect, Kind: session.KindServerError}, now)
			pushes = append(pushes, now.Sub(t0))
		} else {
			s = s.AfterPoll(session.SessionReport{}, &session.EngineError{Op: session.OpQR, Kind: session.KindNotReady}, now)
		}
	}
	want := []time.Duration{0, 500 * time.Millisecond, 1500 * time.Millisecond, 3500 * time.Millisecond, 7500 * time.Millisecond}
	for i := range want {
		if i >= len(pushes) || pushes[i] != want[i] {
			t.Fatalf("tried at %v, want %v", pushes, want)
		}
	}
}

// Whatever the engine's answers are, two looks are never closer than the comb's first tooth, and none of
// eight within five seconds leaves a gap of more than 0.7 s.
func TestTheCombKeepsItsPromises(t *testing.T) {
	t.Parallel()
	if pollSchedule[len(pollSchedule)-1] < 5*time.Second || len(pollSchedule) != 8 {
		t.Errorf("eight looks reach until %v", pollSchedule[len(pollSchedule)-1])
	}
	for i, tooth := range pollSchedule {
		if i > 0 && tooth-pollSchedule[i-1] > 700*time.Millisecond {
			t.Errorf("a gap of %v", tooth-pollSchedule[i-1])
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		after := time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(rt, "after"))
		if next := nextPollAfter(after); next <= after || next-after > slowStep {
			rt.Fatalf("after %v comes %v", after, next)
		}
	})
}

func TestHoldFor(t *testing.T) {
	t.Parallel()
	c := WaitTimes{Initial: 9 * time.Second, Default: 4500 * time.Millisecond}
	for name, x := range map[string]struct {
		age   float64
		asked session.WaitPreference
		want  time.Duration
	}{
		"young":        {0, session.WaitPreference{}, 9 * time.Second},
		"older":        {5, session.WaitPreference{}, 4500 * time.Millisecond},
		"as asked":     {0, session.WaitPreference{Set: true, For: 20 * time.Second}, 20 * time.Second},
		"at once":      {0, session.WaitPreference{Set: true}, 0},
		"not for ever": {0, session.WaitPreference{Set: true, For: time.Hour}, session.MaxWait},
	} {
		if got := waitFor(newSession(), x.asked, c, at(x.age)); got != x.want {
			t.Errorf("%s: %v, want %v", name, got, x.want)
		}
	}
}
