package acquire

import (
	"errors"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// event is an event about the session, with what all kinds share.
func (t *tracker) event(kind session.EventKind, s session.Session, now time.Time) session.Event {
	return session.Event{Kind: kind, At: now, Traffic: t.tenant.caller.Traffic, Session: s.Ref.String(),
		AcquisitionID: session.AcquisitionID(t.tenant.caller.Tenant, s.Ref.CacheKey()),
		Attempt:       s.Polls, RequestID: s.Request.ID, Traceparent: s.Traceparent}
}

// emitChanges reports what a change from before to the present session means.
func (t *tracker) emitChanges(before session.Session, now time.Time) {
	after := t.session
	ev := t.event(session.EventState, after, now)
	ev.From, ev.To = before.State, after.State
	ev = withFailure(ev, after.Failure)
	cause := t.state.Load().snapshot.Diagnosis.Code
	switch {
	case before.State != after.State:
		ev.Duration, ev.Diagnosis = now.Sub(before.Since), cause
		if before.Since.IsZero() {
			ev.Duration = 0
		}
		t.lastReportedCause = cause
		t.m.cfg.OnEvent(ev)
	default:
		t.emitCause(now)
	}
	if after.QR.Present() && !after.QR.Image.Equal(before.QR.Image) {
		ev.Kind, ev.Sequence, ev.Duration = session.EventQR, after.QR.Sequence, now.Sub(after.AcquiringSince)
		t.m.cfg.OnEvent(ev)
	}
	if outcome, why := t.acquisitionOutcome(before, now); outcome != "" {
		ev.Kind, ev.Outcome, ev.Diagnosis = session.EventAcquisition, outcome, why
		ev.Duration = now.Sub(before.AcquiringSince)
		t.m.cfg.OnEvent(ev)
	}
}

// withFailure adds the engine's present failure to an event.
func withFailure(ev session.Event, f session.FailureStreak) session.Event {
	ev.Op, ev.ErrorKind, ev.Status, ev.Code, ev.Reason = f.Op, f.Kind, f.Status, f.Code, f.Reason
	return ev
}

// emitCause reports the cause why a session that is waited for has no QR, when it is another one than reported.
func (t *tracker) emitCause(now time.Time) {
	s, cause := t.session, t.state.Load().snapshot.Diagnosis.Code
	if s.State != session.Connecting || cause == t.lastReportedCause {
		return
	}
	ev := t.event(session.EventCause, s, now)
	ev.From, ev.To, ev.Duration, ev.Diagnosis = s.State, s.State, now.Sub(s.Since), cause
	ev = withFailure(ev, s.Failure)
	t.lastReportedCause = cause
	t.m.cfg.OnEvent(ev)
}

// acquisitionOutcome is how an acquisition ended, if the change from before ended one: with the first code of a
// connect, without one, or with a session that turned out to be paired. A later code of the same connect ends none.
func (t *tracker) acquisitionOutcome(before session.Session, now time.Time) (session.Outcome, diagnosis.Code) {
	after := t.session
	switch {
	case before.State != session.Connecting || before.AcquiringSince.IsZero() || before.Sequence > 0:
	case after.QR.Present():
		return session.Success, diagnosis.None
	case after.State == session.Connected:
		return session.Abandoned, diagnosis.AlreadyPaired
	case after.State == session.Failed && after.AcquiringSince.IsZero():
		env := t.m.health.environment(t, before, now)
		env.Connectivity = t.m.cfg.Connectivity()
		q := t.tenant.queueState(t, before, now)
		env.PeerSuccesses = q.peerSuccesses
		if d := session.Diagnose(before, env, now); !d.Healthy() {
			return session.Failure, d.Code
		}
		return session.Failure, diagnosis.Undetermined
	}
	return "", ""
}

// emitAbandoned reports an acquisition that its session's end cut short.
func (t *tracker) emitAbandoned(now time.Time) {
	s := t.session
	if s.State != session.Connecting || s.AcquiringSince.IsZero() || s.Sequence > 0 {
		return
	}
	ev := t.event(session.EventAcquisition, s, now)
	ev.Duration, ev.From = now.Sub(s.AcquiringSince), s.State
	ev.Outcome, ev.Diagnosis = session.Abandoned, diagnosis.ClientGone
	t.m.cfg.OnEvent(ev)
}

// emitCall reports one call to the engine.
func (t *tracker) emitCall(op string, err error, startedAt time.Time) {
	p := t.state.Load()
	if p == nil {
		return
	}
	now := time.Now()
	ev := t.event(session.EventEngineCall, p.snapshot.Session, now)
	ev.Duration, ev.Op, ev.ErrorKind, ev.Attempt = now.Sub(startedAt), op, session.KindOf(err), p.snapshot.Session.Polls+1
	if e, ok := errors.AsType[*session.EngineError](err); ok {
		ev.Status, ev.Code, ev.Reason = e.Status, e.Code, e.Reason
	}
	t.m.cfg.OnEvent(ev)
}
