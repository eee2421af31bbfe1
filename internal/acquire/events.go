package acquire

import (
	"errors"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// event is an event about session s, with the engine's present failure.
func (t *tracker) event(kind session.EventKind, s session.Session, now time.Time) session.Event {
	f := s.Failure
	return session.Event{Kind: kind, At: now, Traffic: t.tenant.caller.Traffic, Session: s.Ref.String(),
		AcquisitionID: session.AcquisitionID(t.tenant.caller.Tenant, s.Ref.CacheKey()),
		Attempt:       s.Polls, RequestID: s.Request.ID, Traceparent: s.Traceparent,
		Op: f.Op, ErrorKind: f.Kind, Status: f.Status, Code: f.Code, Reason: f.Reason}
}

// emitChanges reports what a change from before to the present session means, and another cause why a session that is
// waited for has no QR.
func (t *tracker) emitChanges(before session.Session, now time.Time) {
	after, cause := t.session, t.state.Load().Diagnosis.Code
	ev := t.event(session.EventState, after, now)
	ev.From, ev.To = before.State, after.State
	if before.State != after.State || after.State == session.Connecting && cause != t.lastReportedCause {
		if before.State == after.State {
			ev.Kind = session.EventCause
		}
		if !before.Since.IsZero() {
			ev.Duration = now.Sub(before.Since)
		}
		ev.Diagnosis, t.lastReportedCause = cause, cause
		t.m.cfg.OnEvent(ev)
	}
	if after.QR.Present() && !after.QR.Image.Equal(before.QR.Image) {
		ev.Kind, ev.Sequence, ev.Duration = session.EventQR, after.QR.Sequence, now.Sub(after.AcquiringSince)
		t.m.cfg.OnEvent(ev)
	}
	t.emitAcquisition(ev, before, now)
}

// emitAcquisition reports the end of an acquisition, if the change from before is one.
func (t *tracker) emitAcquisition(ev session.Event, before session.Session, now time.Time) {
	if ev.Outcome, ev.Diagnosis = t.acquisitionOutcome(before, now); ev.Outcome != "" {
		ev.Kind, ev.Duration = session.EventAcquisition, now.Sub(before.AcquiringSince)
		t.m.cfg.OnEvent(ev)
	}
}

// acquisitionOutcome is how an acquisition ended, if the change from before ended one: with the first code of a
// connect, without one, with a session that turned out to be paired, or with the session's end.
func (t *tracker) acquisitionOutcome(before session.Session, now time.Time) (session.Outcome, diagnosis.Code) {
	after := t.session
	switch {
	case before.State != session.Connecting || before.AcquiringSince.IsZero() || before.Sequence > 0:
	case after.QR.Present():
		return session.Success, diagnosis.None
	case after.State == session.Connected:
		return session.Abandoned, diagnosis.AlreadyPaired
	case after.State == session.Disconnected:
		return session.Abandoned, diagnosis.ClientGone
	case after.State == session.Failed && after.AcquiringSince.IsZero():
		env, _ := t.environment(before, now)
		if d := session.Diagnose(before, env, now); !d.Healthy() {
			return session.Failure, d.Code
		}
		return session.Failure, diagnosis.Undetermined
	}
	return "", ""
}

// emitCall reports one call to the engine.
func (t *tracker) emitCall(op string, err error, startedAt time.Time) {
	snap := t.state.Load()
	if snap == nil {
		return
	}
	now := time.Now()
	s := snap.Session
	s.Failure = session.FailureStreak{Op: op, Kind: session.KindOf(err)}
	if e, ok := errors.AsType[*session.EngineError](err); ok {
		s.Failure.Status, s.Failure.Code, s.Failure.Reason = e.Status, e.Code, e.Reason
	}
	ev := t.event(session.EventEngineCall, s, now)
	ev.Duration, ev.Attempt = now.Sub(startedAt), s.Polls+1
	t.m.cfg.OnEvent(ev)
}

// reportTTL is how long after a connect qrgate polls for the scan although no client asks: no code of it lives longer.
const reportTTL = 3 * time.Minute

// isReported reports whether a code is shown whose scan must be reported.
func (t *tracker) isReported(now time.Time) bool {
	s := &t.session
	return t.m.cfg.OnChange != nil && t.tenant.caller.Traffic == session.UserTraffic && s.State.Acquiring() &&
		s.Sequence > 0 && now.Sub(latest(s.ConnectedAt, s.AcquiringSince)) < reportTTL
}

// reportChange reports a change of a user's session. It comes before the session is stored, so that a process that ends
// in between reports it again. cause is why there is no QR.
func (t *tracker) reportChange(before session.Session, cause diagnosis.Code, now time.Time) {
	if t.m.cfg.OnChange == nil || t.tenant.caller.Traffic != session.UserTraffic {
		return
	}
	t.m.cfg.OnChange(session.Change{
		ID: session.AcquisitionID(t.tenant.caller.Tenant, t.session.Ref.CacheKey()), Version: t.version,
		Before: before, After: t.session, Cause: cause, At: now,
	})
}
