package acquire

import (
	"cmp"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// publish makes a snapshot of the session for readers. changed reports that the session may have changed; otherwise
// only time has passed, and waiters are woken only if their response differs.
func (t *tracker) publish(now time.Time, changed bool) { t.publishSnapshot(t.evaluate(now), changed) }

func (t *tracker) publishSnapshot(snap *session.Snapshot, changed bool) {
	old := t.state.Swap(snap)
	differs := old == nil || t.hasEnded(snap) || differsForWaiters(old, snap)
	t.tenant.mu.Lock()
	defer t.tenant.mu.Unlock()
	for w := range t.waiters {
		if differs || changed && w.interest == inPolls {
			w.wake.set()
		}
	}
}

// differsForWaiters reports whether a waiting client might get another response.
func differsForWaiters(a, b *session.Snapshot) bool {
	x, y := &a.Session, &b.Session
	return a.Changed(b) || a.Authorized != b.Authorized || !x.QR.ConfirmedAt.Equal(y.QR.ConfirmedAt) ||
		x.Failure.Kind != y.Failure.Kind || !b.Authorized && !x.Failure.LastAt.Equal(y.Failure.LastAt)
}

// evaluate makes a snapshot: the session, its diagnosis, its place in the queue.
func (t *tracker) evaluate(now time.Time) *session.Snapshot {
	s := t.session
	env, q := t.environment(s, now)
	env.RateLimitWait, s.QR.IsPushed = q.wait, q.isPushed
	d, until := session.DiagnoseUntil(s, env, now)
	if t.successor.Load() == nil {
		t.m.health.setFailing(t, failingCause(s, d, now))
	}
	return &session.Snapshot{Session: s, Diagnosis: d, Authorized: isAuthorized(&s, now),
		QueuePosition: cmp.Or(q.position, s.QueuePosition),
		RateLimitWait: q.wait, RemainingCalls: q.remaining, At: now, Ready: s.QRUsable(now),
		ValidUntil: validUntil(s, until, q.wait, now), Body: t.bodyFor(s)}
}

// environment is what the diagnosis of session s needs beyond it, and what the rate limit means for it.
func (t *tracker) environment(s session.Session, now time.Time) (session.Environment, queueState) {
	env := t.m.health.environment(t, s, now)
	env.Connectivity = t.m.cfg.Connectivity()
	q := t.tenant.queueState(t, s, now)
	env.PeerSuccesses = q.peerSuccesses
	return env, q
}

// bodyFor is the cache of the response body; snapshots with the same code share it.
func (t *tracker) bodyFor(s session.Session) *session.BodyCache {
	if !s.QR.Present() {
		return nil
	}
	if old := t.state.Load(); old != nil && old.Body != nil && old.Session.Ref == s.Ref &&
		old.Session.QR.SeenAt.Equal(s.QR.SeenAt) && old.Session.QR.ExpiresAt.Equal(s.QR.ExpiresAt) &&
		old.Session.QR.Image.Equal(s.QR.Image) {
		return old.Body
	}
	return new(session.BodyCache)
}

// validUntil is when a snapshot's response may change with time alone; until is when its diagnosis may.
func validUntil(s session.Session, until time.Time, wait time.Duration, now time.Time) time.Time {
	if until.IsZero() {
		until = now.Add(idleWake)
	}
	times := []time.Time{s.AuthorizedAt.Add(authTTL), s.QR.ExpiresAt, s.QR.UsableUntil()}
	if s.State == session.Connecting {
		times = append(times, now.Add(environmentTTL), s.AcquiringSince.Add(session.SymptomDelay))
	}
	if wait > 0 {
		times = append(times, now.Add(wait), now.Add(time.Second))
	}
	for _, at := range times {
		if at.After(now) && at.Before(until) {
			until = at
		}
	}
	return until.Add(time.Microsecond) // strictly later
}

// failingCause is the cause for which s counts as failing; empty if it does not.
func failingCause(s session.Session, d diagnosis.Diagnosis, now time.Time) diagnosis.Code {
	if s.State != session.Connecting || s.QueuePosition > 0 || s.AcquiringSince.IsZero() ||
		now.Sub(s.AcquiringSince) <= session.SymptomDelay {
		return ""
	}
	if d.Healthy() {
		return diagnosis.QRNotEmitted
	}
	return d.Code
}

// isAuthorized reports whether the engine accepted the credential for the session lately.
func isAuthorized(s *session.Session, now time.Time) bool {
	return !s.AuthorizedAt.IsZero() && now.Sub(s.AuthorizedAt) < authTTL && s.Failure.Kind != session.KindKeyRefused
}
