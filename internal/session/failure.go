package session

import (
	"fmt"
	"time"

	"qrgate/internal/diagnosis"
)

// FailureStreak is a failure of the engine: its kind, since when, how often in a row.
type FailureStreak struct {
	Kind       ErrorKind     `json:"kind"`
	Op         string        `json:"op"`
	Status     int           `json:"status"`
	Code       string        `json:"code"`
	Text       string        `json:"text"`
	Reason     string        `json:"reason"` // why there was no response
	Since      time.Time     `json:"since"`
	LastAt     time.Time     `json:"last_at"`
	Times      int           `json:"times"`
	RetryAfter time.Duration `json:"retry_after"`

	HasNoEffect bool `json:"has_no_effect"` // the engine certainly did nothing
}

// recordFailure records a failure: one of the same kind continues the streak, another begins a new one. The history
// gets what the diagnosis needs beyond that.
func (s Session) recordFailure(e *EngineError, now time.Time) Session {
	next := newStreak(e, now)
	if p, ok := diagnosis.MatchError(e.Text); ok {
		s.History = s.History.recordCause(p, now)
	} else if p, ok := diagnosis.MatchCause(s.Reason); ok {
		s.History = s.History.recordCause(p, now)
	}
	if e.Op == OpQR || e.Op == OpList {
		before := s.History.PollFailure
		isSame := before.Code == e.Code && !before.LastAt.Before(s.Since) && now.Sub(before.LastAt) < pollErrorTTL
		s.History.PollFailure = next.continueStreak(before, isSame)
	}
	if e.Op == OpConnect {
		s.History.ConnectFailure = next.continueStreak(s.History.ConnectFailure, s.Recovery.FailedConnects > 0)
	}
	s.Failure = next.continueStreak(s.Failure, s.Failure.Code == e.Code)
	hasBrokenOff := e.Status != 0 && e.Status < 500                         // after the status
	if e.Kind == KindUnreachable && !hasBrokenOff && s.Failure.Times == 2 { // one failed call is no outage
		s.History.Outages = s.History.Outages.add(now)
	}
	if e.Op == OpQR && (e.Kind == KindSessionNotFound || e.Kind == KindNotReady) {
		s.History = s.History.recordDenial(e.Kind == KindSessionNotFound, s.ConnectedAt, now)
	}
	return s
}

func newStreak(e *EngineError, now time.Time) FailureStreak {
	return FailureStreak{
		Kind: e.Kind, Op: e.Op, Status: e.Status, Code: e.Code, Text: e.Text, Reason: e.Reason, RetryAfter: e.RetryAfter,
		Since: now, LastAt: now, Times: 1, HasNoEffect: e.HasNoEffect,
	}
}

// continueStreak returns t as the continuation of an earlier streak, if it is the same failure.
func (t FailureStreak) continueStreak(earlier FailureStreak, isSame bool) FailureStreak {
	if isSame && earlier.Kind == t.Kind {
		t.Since, t.Times = earlier.Since, earlier.Times+1
	}
	return t
}

// Duration is how long the streak has lasted at now; 0 without a failure.
func (t FailureStreak) Duration(now time.Time) time.Duration {
	if t.Kind == "" {
		return 0
	}
	return now.Sub(t.Since)
}

// Err is the streak's last failure as an engine returns it.
func (t FailureStreak) Err() *EngineError {
	return &EngineError{
		Op: t.Op, Kind: t.Kind, Status: t.Status, Code: t.Code, Text: t.Text, Reason: t.Reason, RetryAfter: t.RetryAfter,
		HasNoEffect: t.HasNoEffect,
	}
}

// String is one line of evidence.
func (t FailureStreak) String(now time.Time) string {
	return fmt.Sprintf("%s, %d× in %s", t.Err().String(), t.Times, t.Duration(now).Round(time.Second))
}

// causesOfKinds are the causes of errors that say nothing about the session itself.
var causesOfKinds = map[ErrorKind]diagnosis.Code{
	KindUnreachable: diagnosis.EngineUnreachable,
	KindTimeout:     diagnosis.EngineTimeout,
	KindBadResponse: diagnosis.EngineBadResponse,
	KindServerError: diagnosis.Engine5xx,
	KindRateLimited: diagnosis.RateLimited,
}

// isUnreachable reports whether there was no response, or not of the engine.
func (t FailureStreak) isUnreachable() bool {
	return t.Kind == KindUnreachable || t.Kind == KindTimeout || t.Kind == KindBadResponse
}

// EngineDiagnosis is the diagnosis of an engine that fails this way, without anything about the session itself. It is
// None if the failure is not the engine's.
func (t FailureStreak) EngineDiagnosis(now time.Time) diagnosis.Diagnosis {
	found := t.finding(now)
	if p, ok := diagnosis.MatchError(t.Text + " " + t.Code); ok && t.Kind == KindServerError {
		found = namedCause(p, t.Text, &input{now: now})
	}
	if found.code == "" {
		return diagnosis.Diagnosis{Code: diagnosis.None}
	}
	return diagnosis.New(found.code, found.evidence...)
}

// findingFor is the streak as a finding. It is confirmed from the second failure on.
func (t FailureStreak) findingFor(code diagnosis.Code, now time.Time) finding {
	return finding{code: code, since: t.Since, confirmed: t.Times >= 2, evidence: []string{t.String(now)}}
}

// finding is the streak as a finding of its kind; a connect that the engine refuses has a cause of its own, and an
// error that may be about anything but the engine itself none. The finding is zero for other kinds.
func (t FailureStreak) finding(now time.Time) finding {
	code, words := causesOfKinds[t.Kind], diagnosis.ConnectionWords(t.Text)
	switch {
	case t.Kind == KindServerError && words != "":
		return t.findingFor(diagnosis.Undetermined, now).with("its error is about a connection: %s", words)
	case t.Kind == KindServerError && !diagnosis.IsOwnFault(t.Text):
		return t.findingFor(diagnosis.Undetermined, now).with("its error does not show what failed; see the engine's log")
	case t.Kind == KindServerError && t.Op == OpConnect:
		code = diagnosis.ConnectFailing
	}
	return t.findingFor(code, now)
}
