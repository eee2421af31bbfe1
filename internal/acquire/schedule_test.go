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

type change = func(*session.Session)

// newSession is one that was created and connected through qrgate at t0.
func newSession(changes ...change) session.Session {
	s := session.Session{Ref: session.Ref{ID: 1}, CreatedHere: true}.AfterConnect(t0)
	for _, c := range changes {
		c(&s)
	}
	return s
}

// polledAt is a session whose last poll told the state, the n-th of its schedule.
func polledAt(seconds float64, n int) change {
	return func(s *session.Session) {
		s.LastPolledAt, s.StateConfirmedAt, s.Polls, s.ScheduledPolls = at(seconds), at(seconds), n, n
	}
}

// stateUnknown is a session of which only the QR was asked for.
func stateUnknown(s *session.Session) { s.StateConfirmedAt = time.Time{} }

// codeShown is a session whose first code was seen at 1 s and lives for a minute.
func codeShown(s *session.Session) {
	s.QR = session.QR{Image: secret.NewSecret("x"), Sequence: 1, SeenAt: at(1), MadeAfter: at(0), ConfirmedAt: at(1), ExpiresAt: at(61)}
	s.State, s.Sequence, s.LastPolledAt = session.AwaitingScan, 1, at(1)
}

func reconnected(s *session.Session) { s.Recovery.ReconnectedAt = at(12) }

// A denial of the state alone refuses nobody: the engine may serve the session's QR (contract C18).
func TestAuthError_OnlyTheStateIsDenied(t *testing.T) {
	t.Parallel()
	for op, isRefused := range map[string]bool{session.OpStatus: false, session.OpQR: true, session.OpConnect: true} {
		s := session.Session{Failure: session.FailureStreak{Op: op, Kind: session.KindSessionNotFound, LastAt: at(2)}}
		if err := authError(&session.Snapshot{Session: s}, at(1)); (err != nil) != isRefused {
			t.Errorf("%s: %v", op, err)
		}
	}
}

func TestNextAction(t *testing.T) {
	t.Parallel()
	pollAt := func(seconds float64) action { return action{kind: pollQR, at: at(seconds)} }
	statusAt := func(seconds float64) action { return action{kind: pollStatus, at: at(seconds)} }
	unknown := func(polls int) session.Session {
		return session.Session{Ref: session.Ref{ID: 1}, State: session.Unknown, LastPolledAt: at(5), Polls: polls}
	}
	paired := func(stateQueried, answered float64) session.Session {
		return session.Session{State: session.Connected, LastPolledAt: at(max(stateQueried, answered)),
			StateConfirmedAt: at(0), StateQueriedAt: at(stateQueried), AnsweredAt: at(answered)}
	}
	recoverAt := func(mode session.ConnectMode, seconds float64) action {
		return action{kind: recoverQR, mode: mode, at: at(seconds)}
	}
	for name, c := range map[string]struct {
		s     session.Session
		d     demand
		force bool // QRGATE_RECOVERY_FORCE
		now   float64
		want  action
	}{
		"the first poll": {s: newSession(), want: pollAt(0.25)},
		"the first where a poll may take two calls": {s: newSession(), d: demand{isSparse: true}, want: pollAt(0.5)},
		"its late poll of the state": {s: newSession(polledAt(6.1, 4), stateUnknown), d: demand{isSparse: true}, now: 6.1,
			want: statusAt(6.2)},
		"the first after a recovery step": {s: newSession(polledAt(0, 3), func(s *session.Session) { s.Recovery.ReconnectedAt = at(0) }),
			want: pollAt(0.5)},
		"the second":                    {s: newSession(polledAt(0.3, 1)), now: 0.3, want: pollAt(0.87)},
		"a late poll skips times":       {s: newSession(polledAt(3, 2)), now: 3, want: pollAt(3.63)},
		"rare polls after six seconds":  {s: newSession(polledAt(6, 9)), now: 6, want: pollAt(8.7)},
		"the limit of a silent session": {s: newSession(polledAt(8.7, 15)), d: demand{wantsQR: true, waitEndsAt: at(11)}, now: 9, want: action{kind: pollStatus, at: at(11), verify: true}},
		"the last poll of a wait, after ten": {s: newSession(polledAt(5.5, 10)), d: demand{wantsQR: true, waitEndsAt: at(9)}, now: 6,
			want: pollAt(8.7)},
		"connect again after 12 s":      {s: newSession(polledAt(11.5, 12)), now: 12, want: recoverAt(session.Connect, 12)},
		"but first a poll of the state": {s: newSession(polledAt(10.2, 11)), now: 10.5, want: action{kind: pollStatus, at: at(11), verify: true}},
		"and first of all one of the QR, if there was none for long": {s: newSession(polledAt(3, 4)), now: 11.5,
			want: action{kind: pollQR, at: at(10), verify: true}},
		"a state that cannot be told":            {s: newSession(polledAt(11.1, 12), stateUnknown, func(s *session.Session) { s.StateQueriedAt = at(11.1) }), now: 12, want: recoverAt(session.Connect, 12)},
		"restart after 30 s":                     {s: newSession(polledAt(29.5, 16), reconnected), now: 30, want: recoverAt(session.Restart, 30)},
		"force in between, if allowed":           {s: newSession(polledAt(19.5, 14), reconnected), force: true, now: 20, want: recoverAt(session.Force, 20)},
		"recovery before a poll that is overdue": {s: newSession(polledAt(29.5, 9), reconnected), now: 40, want: recoverAt(session.Restart, 30)},
		"at once when the engine lost it":        {s: newSession(polledAt(3, 5), func(s *session.Session) { s.LostByEngine = true }), now: 3, want: recoverAt(session.Connect, 3)},
		"but a restart takes its time": {s: newSession(polledAt(13, 9), reconnected, func(s *session.Session) { s.LostByEngine = true }), now: 14,
			want: pollAt(14.9)},
		"never one that was paired":               {s: newSession(polledAt(12.5, 12), func(s *session.Session) { s.EverPaired = true }), now: 12.6, want: pollAt(14.9)},
		"never one in the engine's queue":         {s: newSession(polledAt(12.5, 12), func(s *session.Session) { s.QueuePosition = 3 }), now: 12.6, want: pollAt(14.9)},
		"nor is it given up":                      {s: newSession(polledAt(59, 15), func(s *session.Session) { s.QueuePosition = 3 }), now: 60, want: pollAt(62)},
		"clients ask another replica":             {s: newSession(), d: demand{isElsewhere: true}, now: 1, want: action{kind: giveUp, at: at(60)}},
		"give up after a minute":                  {s: newSession(polledAt(59, 24)), now: 60, want: action{kind: giveUp, at: at(60)}},
		"a fresh code needs nothing":              {s: newSession(codeShown), d: demand{wantsQR: true}, now: 5, want: action{}},
		"an old one a poll":                       {s: newSession(codeShown), d: demand{wantsQR: true}, now: 20, want: pollAt(1.7)},
		"unless nobody asks":                      {s: newSession(codeShown), now: 20, want: action{}},
		"a suspect one as well":                   {s: newSession(codeShown, func(s *session.Session) { s.QR.SuspectSince = at(2) }), d: demand{wantsQR: true}, now: 3, want: pollAt(1.7)},
		"requested again: confirm it once":        {s: newSession(codeShown), d: demand{requestedAt: at(5)}, now: 5, want: pollAt(2.5)},
		"not twice":                               {s: newSession(codeShown, polledAt(6, 2)), d: demand{requestedAt: at(5)}, now: 6, want: action{}},
		"requested after its end, without a wait": {s: newSession(codeShown, polledAt(6, 2)), d: demand{requestedAt: at(70)}, now: 70, want: pollAt(7.5)},
		"and of a code that was confirmed": {s: newSession(codeShown, polledAt(20, 2), func(s *session.Session) { s.QR.ConfirmedAt = at(20) }),
			d: demand{requestedAt: at(70)}, now: 70, want: pollAt(21.5)},
		"not when it was confirmed":     {s: newSession(codeShown, func(s *session.Session) { s.QR.ConfirmedAt = at(2) }), d: demand{requestedAt: at(5)}, now: 5, want: action{}},
		"dead, and the engine keeps it": {s: newSession(codeShown, polledAt(70, 20)), d: demand{wantsQR: true}, now: 70, want: pollAt(71.5)},
		"expired, and the connect failed": {s: newSession(polledAt(33, 9), func(s *session.Session) {
			s.Sequence, s.Since, s.StateConfirmedAt = 1, at(20), at(32)
			s.Recovery.FailedConnects, s.Recovery.LastTriedAt = 3, at(32)
		}), now: 33, want: recoverAt(session.Connect, 34)},
		"a request for the state":                              {s: newSession(codeShown), d: demand{wantsState: true}, now: 5, want: statusAt(4)},
		"a follower asks for it too":                           {s: newSession(codeShown), d: demand{follows: true}, now: 5, want: statusAt(4)},
		"a follower of a session that was connected elsewhere": {s: unknown(1), d: demand{follows: true}, now: 5, want: pollAt(6.5)},
		"ever less often":                                      {s: unknown(9), d: demand{follows: true}, now: 5, want: pollAt(53)},
		"without a follower, never":                            {s: unknown(1), now: 5, want: action{}},
		"in turn with an old code": {s: newSession(codeShown, func(s *session.Session) { s.StateQueriedAt, s.LastPolledAt = at(14), at(14) }),
			d: demand{follows: true}, now: 15, want: pollAt(17)},
		"and with the state again": {s: newSession(codeShown, func(s *session.Session) {
			s.StateQueriedAt, s.LastPolledAt, s.QR.ConfirmedAt = at(14), at(17), at(17)
		}), d: demand{follows: true}, now: 18, want: statusAt(20)},
		"and for the code at its end": {s: newSession(codeShown, polledAt(59, 20)), d: demand{follows: true}, now: 60, want: pollAt(61)},
		"and after it":                {s: newSession(codeShown, polledAt(61, 20)), d: demand{follows: true}, now: 62, want: pollAt(62.5)},
		"elsewhere when it was denied": {s: newSession(codeShown, func(s *session.Session) {
			s.Failure = session.FailureStreak{Op: session.OpStatus, Kind: session.KindSessionNotFound}
		}), d: demand{wantsState: true}, now: 5, want: pollAt(4)},
		"the code vanished":             {s: newSession(polledAt(30, 9), func(s *session.Session) { s.Sequence, s.Since, s.StateConfirmedAt = 1, at(30), at(1) }), now: 30, want: statusAt(30.1)},
		"expired, by the engine's word": {s: newSession(polledAt(30.2, 9), func(s *session.Session) { s.Sequence, s.Since, s.History.DisconnectedAt = 1, at(30), at(30.2) }), now: 30.3, want: recoverAt(session.Connect, 30.2)},
		"expired: the state comes before dense polls of the QR": {s: newSession(polledAt(31, 9), func(s *session.Session) {
			s.Sequence, s.Since, s.StateConfirmedAt, s.StateQueriedAt = 1, at(30), at(30.1), at(30.1)
		}), d: demand{wantsQR: true}, now: 31, want: action{kind: pollStatus, at: at(31.1), verify: true}},
		"expired, without it":       {s: newSession(polledAt(31.5, 9), func(s *session.Session) { s.Sequence, s.Since = 1, at(30) }), now: 32, want: recoverAt(session.Connect, 32)},
		"no QR for long: why?":      {s: newSession(polledAt(5.2, 8), stateUnknown), now: 5.2, want: statusAt(5.5)},
		"once per connect":          {s: newSession(polledAt(5.7, 9), stateUnknown, func(s *session.Session) { s.StateQueriedAt = at(5.5) }), now: 5.7, want: pollAt(8.7)},
		"not when a list told it":   {s: newSession(polledAt(5.7, 9)), now: 5.7, want: pollAt(8.7)},
		"disconnected in the grace": {s: newSession(polledAt(9.1, 10), func(s *session.Session) { s.History.DisconnectedAt = at(9.1) }), now: 9.1, want: statusAt(10.02)},
		"the state tells of a code": {s: newSession(polledAt(5.7, 9), func(s *session.Session) { s.CodeReportedAt = at(5.7) }), now: 5.7, want: pollAt(5.8)},
		"the engine cannot be reached": {s: newSession(polledAt(7, 9), func(s *session.Session) {
			s.Failure.Kind, s.Failure.HasNoEffect = session.KindUnreachable, true
		}), now: 7, want: pollAt(8)},
		"no recovery while the engine is away": {s: newSession(polledAt(13, 12), func(s *session.Session) {
			s.Failure.Kind, s.Failure.HasNoEffect = session.KindUnreachable, true
		}), now: 13, want: pollAt(14)},
		"the engine closed the connection": {s: newSession(polledAt(7, 9), func(s *session.Session) {
			s.Failure.Kind = session.KindUnreachable
		}), now: 7, want: pollAt(8.7)},
		"a poll that timed out": {s: newSession(polledAt(5.2, 1), func(s *session.Session) {
			s.History.PollFailure = session.FailureStreak{Kind: session.KindTimeout, Times: 1, LastAt: at(5.2)}
		}), now: 5.2, want: pollAt(5.3)},
		"a final poll before a wait ends": {s: newSession(polledAt(7, 9)), d: demand{wantsQR: true, waitEndsAt: at(9)}, now: 8.5, want: pollAt(8.7)},
		"an authorization check":          {s: session.Session{State: session.Unknown}, d: demand{needsAuthCheck: true}, want: action{kind: pollQR, at: time.Time{}.Add(authCheckInterval)}},
		"of a pairing of a while ago":     {s: paired(0, 0), d: demand{wantsQR: true}, now: 11, want: statusAt(1)},
		"the QR, if the state is open":    {s: paired(11, 0), d: demand{wantsQR: true}, now: 11, want: pollAt(12)},
		"and the state in turn":           {s: paired(11, 12), d: demand{wantsQR: true}, now: 12, want: statusAt(13)},
		"that of a paired session":        {s: session.Session{State: session.Connected, LastPolledAt: at(0)}, d: demand{needsAuthCheck: true}, now: 1, want: statusAt(1)},
		"nothing for a resting session":   {s: session.Session{State: session.Failed}, now: 1, want: action{}},
	} {
		if got := nextAction(c.s, c.d, c.force, at(c.now)); got != c.want {
			t.Errorf("%s: %d %q at %v, want %d %q at %v", name, got.kind, got.mode, got.at.Sub(t0), c.want.kind, c.want.mode, c.want.at.Sub(t0))
		}
	}
}

// A connect that fails is retried faster at first, with one poll between two tries.
func TestRetryConnect_BacksOff(t *testing.T) {
	t.Parallel()
	s := session.Session{Ref: session.Ref{ID: 1}}
	now := t0
	var tries []time.Duration
	for range 9 {
		if len(tries) == 0 {
			s = s.AfterConnectError(&session.EngineError{Op: session.OpConnect, Kind: session.KindServerError}, now)
			tries = append(tries, 0)
			continue
		}
		a := nextAction(s, demand{}, false, now)
		now = a.at
		if a.kind == recoverQR {
			s = s.AfterConnectError(&session.EngineError{Op: session.OpConnect, Kind: session.KindServerError}, now)
			tries = append(tries, now.Sub(t0))
		} else {
			s = s.AfterPoll(session.SessionReport{}, &session.EngineError{Op: session.OpQR, Kind: session.KindNotReady}, now)
		}
	}
	want := []time.Duration{0, 500 * time.Millisecond, 1500 * time.Millisecond, 3500 * time.Millisecond, 7500 * time.Millisecond}
	for i := range want {
		if i >= len(tries) || tries[i] != want[i] {
			t.Fatalf("tried at %v, want %v", tries, want)
		}
	}
}

// A connect that the rate limit holds back is not given up before it may be sent.
func TestRetryConnect_HeldByRateLimitIsNotGivenUp(t *testing.T) {
	t.Parallel()
	held := &session.EngineError{Op: session.OpConnect, Kind: session.KindRateLimited, RetryAfter: 59 * time.Second}
	s := session.Session{Ref: session.Ref{ID: 1}}.StartAcquiring(t0).AfterConnectError(held, t0)
	if a := nextAction(s, demand{}, false, at(58)); a != (action{kind: recoverQR, mode: session.Connect, at: at(59)}) {
		t.Errorf("%d at %v", a.kind, a.at.Sub(t0))
	}
	s = s.AfterConnect(at(59))
	if a := nextAction(s, demand{}, false, at(59)); a.kind != pollQR {
		t.Errorf("after the connect: %d at %v", a.kind, a.at.Sub(t0))
	}
}

// Eight polls reach over five seconds and leave no gap of more than 0.7 s; later gaps, and those of the sparse
// schedule, are at most 4 s.
func TestPollSchedule(t *testing.T) {
	t.Parallel()
	if pollSchedule[densePolls-1] < 5*time.Second {
		t.Errorf("eight polls reach until %v", pollSchedule[densePolls-1])
	}
	for i := 1; i < densePolls; i++ {
		if gap := pollSchedule[i] - pollSchedule[i-1]; gap > 700*time.Millisecond {
			t.Errorf("a gap of %v", gap)
		}
	}
	for _, schedule := range [][]time.Duration{pollSchedule, sparsePollSchedule} {
		rapid.Check(t, func(rt *rapid.T) {
			after := time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(rt, "after"))
			if next := nextPollAfter(after, schedule); next <= after || next-after > 4*time.Second {
				rt.Fatalf("after %v comes %v", after, next)
			}
		})
	}
}

func TestWaitFor(t *testing.T) {
	t.Parallel()
	w := WaitTimes{Initial: 9 * time.Second, Default: 4500 * time.Millisecond}
	for name, c := range map[string]struct {
		age       float64
		preferred session.WaitPreference
		want      time.Duration
	}{
		"a fresh connect": {0, session.WaitPreference{}, 9 * time.Second},
		"an older one":    {5, session.WaitPreference{}, 4500 * time.Millisecond},
		"as preferred":    {0, session.WaitPreference{Set: true, For: 20 * time.Second}, 20 * time.Second},
		"not at all":      {0, session.WaitPreference{Set: true}, 0},
		"at most":         {0, session.WaitPreference{Set: true, For: time.Hour}, session.MaxWait},
	} {
		s := newSession()
		if got := waitFor(&s, c.preferred, w, at(c.age)); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
