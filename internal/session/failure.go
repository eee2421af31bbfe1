package session

import (
	"errors"
	"fmt"
	"time"

	"qrgate/internal/diagnosis"
)

// recordFailure remembers a failure: the same kind continues the streak, another one begins a new one. What the diagnosis needs beyond
// that goes into the session's history.
func (s Session) recordFailure(err error, now time.Time) Session {
	t := s.Failure
	next := FailureStreak{Kind: KindOf(err), Since: now, LastAt: now, Times: 1}
	if f, ok := errors.AsType[*EngineError](err); ok {
		next.Op, next.Status, next.Code, next.Text, next.Reason, next.RetryAfter = f.Op, f.Status, f.Code, f.Text, f.Reason, f.RetryAfter
	}
	s.History = s.History.recordCause(next.Text+" "+s.Reason, now)
	if next.Op == OpQR || next.Op == OpList {
		before := s.History.PollFailure
		isSame := before.Code == next.Code && !before.LastAt.Before(s.Since) && now.Sub(before.LastAt) < pollErrorTTL
		s.History.PollFailure = next.continueStreak(before, isSame)
	}
	if next.Op == OpConnect {
		s.History.ConnectFailure = next.continueStreak(s.History.ConnectFailure, s.Recovery.FailedConnects > 0)
	}
	if s.lostSession(next, now) {
		s.History.RestartedAt = now
	}
	s.Failure = next.continueStreak(t, t.Code == next.Code)
	return s
}

// continueStreak is t as the continuation of an earlier streak, if it is the same failure.
func (t FailureStreak) continueStreak(earlier FailureStreak, same bool) FailureStreak {
	if same && earlier.Kind == t.Kind {
		t.Since, t.Times = earlier.Since, earlier.Times+1
	}
	return t
}

// lostSession reports whether a failure shows that the engine has lost a session that it had begun: it comes
// back after an absence, or denies a session whose connect it accepted a while ago.
func (s Session) lostSession(t FailureStreak, now time.Time) bool {
	switch {
	case s.ConnectedAt.IsZero() || t.Op == OpStatus || t.Op == OpConnect:
		return false
	case s.Failure.Kind == KindUnreachable && (t.Kind == KindNotReady || t.Kind == KindSessionNotFound):
		return true
	}
	return t.Kind == KindSessionNotFound && (s.Sequence > 0 || now.Sub(s.ConnectedAt) > lostGrace)
}

// Duration is how long the present trouble has been going on at now; 0 without trouble.
func (t FailureStreak) Duration(now time.Time) time.Duration {
	if t.Kind == "" {
		return 0
	}
	return now.Sub(t.Since)
}

// findingFor is the trouble as a sign of a cause. One failure is chance, two in a row are not.
func (t FailureStreak) findingFor(code diagnosis.Code, now time.Time) finding {
	return finding{code: code, since: t.Since, confirmed: t.Times >= 2, evidence: []string{t.String(now)}}
}

// Err is the streak's last failure as an engine returns it.
func (t FailureStreak) Err() *EngineError {
	return &EngineError{Op: t.Op, Kind: t.Kind, Status: t.Status, Code: t.Code, Text: t.Text, RetryAfter: t.RetryAfter}
}

// EngineDiagnosis is the diagnosis of an engine that fails this way, without anything about the session itself. It is
// None if the failure is not the engine's.
func (t FailureStreak) EngineDiagnosis(now time.Time) diagnosis.Diagnosis {
	code, ok := unreachableKinds[t.Kind]
	switch {
	case ok:
	case t.Kind == KindServerError:
		code = diagnosis.Engine5xx
	case t.Kind == KindRateLimited:
		code = diagnosis.RateLimited
	default:
		return diagnosis.Diagnosis{Code: diagnosis.None}
	}
	return diagnosis.New(code, t.String(now))
}

// String is the trouble as one sentence of evidence.
func (t FailureStreak) String(now time.Time) string {
	e := EngineError{Op: t.Op, Kind: t.Kind, Status: t.Status, Code: t.Code, Reason: t.Reason}
	return fmt.Sprintf("%s, %d× in %s", e.String(), t.Times, t.Duration(now).Round(time.Second))
}
