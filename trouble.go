package qrgate

import (
	"errors"
	"fmt"
	"time"
)

// troubled remembers a failure: the same kind goes on, another one begins. What the diagnosis needs beyond
// that goes into the session's past.
func (s Session) troubled(err error, now time.Time) Session {
	t := s.Trouble
	next := Trouble{Kind: KindOf(err), Since: now, Last: now, Times: 1}
	if f, ok := errors.AsType[*Fault](err); ok {
		next.Op, next.Status, next.Code, next.Text, next.Why, next.RetryAfter = f.Op, f.Status, f.Code, f.Text, f.Why, f.RetryAfter
	}
	s.Past = s.Past.heard(next.Text+" "+s.Reason, now)
	if next.Op == OpQR || next.Op == OpList {
		look := s.Past.Look
		s.Past.Look = next.after(look, look.Code == next.Code && !look.Last.Before(s.Since) && now.Sub(look.Last) < lookLife)
	}
	if next.Op == OpConnect {
		s.Past.Refusal = next.after(s.Past.Refusal, s.Pushed.Failed > 0)
	}
	if s.forgottenBy(next, now) {
		s.Past.Restarted = now
	}
	s.Trouble = next.after(t, t.Code == next.Code)
	return s
}

// after is t as the continuation of an earlier trouble, if it is one.
func (t Trouble) after(earlier Trouble, same bool) Trouble {
	if same && earlier.Kind == t.Kind {
		t.Since, t.Times = earlier.Since, earlier.Times+1
	}
	return t
}

// forgottenBy reports whether a failure shows that the engine has lost a session that it had begun: it comes
// back after an absence, or denies a session whose connect it accepted a while ago.
func (s Session) forgottenBy(t Trouble, now time.Time) bool {
	switch {
	case s.Connect.IsZero() || t.Op == OpStatus || t.Op == OpConnect:
		return false
	case s.Trouble.Kind == Unreachable && (t.Kind == NotReady || t.Kind == UnknownSession):
		return true
	}
	return t.Kind == UnknownSession && (s.Sequence > 0 || now.Sub(s.Connect) > forgetTime)
}

// Lasted is how long the present trouble has been going on at now; 0 without trouble.
func (t Trouble) Lasted(now time.Time) time.Duration {
	if t.Kind == "" {
		return 0
	}
	return now.Sub(t.Since)
}

// sign is the trouble as a sign of a cause. One failure is chance, two in a row are not.
func (t Trouble) sign(code Code, now time.Time) sign {
	return sign{code: code, since: t.Since, sure: t.Times >= 2, evidence: []string{t.line(now)}}
}

// Absence is the diagnosis of an engine that fails so, when nothing may be said of the session itself; None if the
// trouble is no failure of the engine.
func (t Trouble) Absence(now time.Time) Diagnosis {
	code, ok := absences[t.Kind]
	switch {
	case ok:
	case t.Kind == EngineError:
		code = EngineFailing
	case t.Kind == RateLimited:
		code = Throttled
	default:
		return Diagnosis{Code: None}
	}
	return About(code, t.line(now))
}

// line is the trouble as one sentence of evidence.
func (t Trouble) line(now time.Time) string {
	s := fmt.Sprintf("%s: %s", t.Op, t.Kind)
	if t.Status != 0 {
		s += fmt.Sprintf(", HTTP %d", t.Status)
	}
	if t.Code != "" {
		s += " " + t.Code
	}
	if t.Why != "" {
		s += " (" + t.Why + ")"
	}
	return fmt.Sprintf("%s, %d× in %s", s, t.Times, t.Lasted(now).Round(time.Second))
}
