package acquire

import (
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// publish makes a snapshot of the session for readers. changed says that the session may have changed; otherwise
// only time has passed, and waiters are woken only if their answer differs.
func (t *tracker) publish(now time.Time, changed bool) {
	snap := t.evaluate(now)
	p := &published{snapshot: snap, successor: t.successor, ended: t.successor != nil}
	old := t.state.Load()
	differs := old == nil || p.ended || differsForWaiters(old.snapshot, snap)
	if differs {
		p.changed, p.polled = make(chan struct{}), make(chan struct{})
	} else {
		p.changed, p.polled = old.changed, old.polled
		if changed {
			p.polled = make(chan struct{})
		}
	}
	t.state.Store(p)
	if old != nil && p.changed != old.changed {
		close(old.changed)
	}
	if old != nil && p.polled != old.polled {
		close(old.polled)
	}
}

// publishEnd publishes the last snapshot.
func (t *tracker) publishEnd(now time.Time) {
	old := t.state.Load()
	snap := &session.Snapshot{Session: t.session, At: now, RemainingCalls: old.snapshot.RemainingCalls, Ended: true}
	t.state.Store(&published{snapshot: snap, ended: true, changed: make(chan struct{}), polled: make(chan struct{})})
	close(old.changed)
	close(old.polled)
}

// differsForWaiters reports whether a waiting client might get another response.
func differsForWaiters(a, b *session.Snapshot) bool {
	x, y := &a.Session, &b.Session
	return a.Changed(b) || a.Authorized != b.Authorized || !x.QR.ConfirmedAt.Equal(y.QR.ConfirmedAt) ||
		x.Failure.Kind != y.Failure.Kind || !b.Authorized && !x.Failure.LastAt.Equal(y.Failure.LastAt)
}

// evaluate puts a snapshot together: the session, what is diagnosed, its place in the queue.
func (t *tracker) evaluate(now time.Time) *session.Snapshot {
	s := t.session
	env := t.m.health.environment(t, s, now)
	env.Connectivity = t.m.cfg.Connectivity()
	q := t.tenant.queueState(t, s, now)
	env.PeerSuccesses, env.RateLimitWait = q.peerSuccesses, q.wait
	d, until := session.DiagnoseUntil(s, env, now)
	snap := &session.Snapshot{Session: s, Diagnosis: d, Authorized: isAuthorized(&s, now), QueuePosition: q.position,
		RateLimitWait: q.wait, RemainingCalls: q.remaining, At: now}
	snap.Ready = s.QRUsable(now)
	snap.ValidUntil = t.validUntil(s, until, q.wait, now)
	snap.Body = t.bodyFor(s)
	if t.successor == nil {
		t.m.health.setFailing(t, failingCause(s, d, now))
	}
	return snap
}

// bodyFor is the cache of the response body; snapshots with the same code share it.
func (t *tracker) bodyFor(s session.Session) *session.BodyCache {
	if !s.QR.Present() {
		return nil
	}
	if old := t.state.Load(); old != nil && old.snapshot.Body != nil && old.snapshot.Session.Ref == s.Ref &&
		old.snapshot.Session.QR.SeenAt.Equal(s.QR.SeenAt) && old.snapshot.Session.QR.ExpiresAt.Equal(s.QR.ExpiresAt) &&
		old.snapshot.Session.QR.Image.Equal(s.QR.Image) {
		return old.snapshot.Body
	}
	return new(session.BodyCache)
}

// validUntil is when the snapshot's answer may change although nothing happens.
func (t *tracker) validUntil(s session.Session, until time.Time, wait time.Duration, now time.Time) time.Time {
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
	if s.State != session.Connecting || s.AcquiringSince.IsZero() || now.Sub(s.AcquiringSince) <= session.SymptomDelay {
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
