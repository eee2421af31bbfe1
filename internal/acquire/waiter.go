package acquire

import (
	"context"
	"time"

	"qrgate/internal/session"
)

// interest is what one waiting request is interested in.
type interest int

const (
	inPolls   interest = iota // the outcome of every poll
	inQR                      // a QR
	inChanges                 // every change, until the client leaves
)

// waiter is one request that waits at a tracker.
type waiter struct {
	t        *tracker
	interest interest
	done     func(*session.Snapshot, time.Time) bool
	wake     signal // the tracker has published something of interest

	startedAt       time.Time
	endsAt          time.Time
	authEndsAt      time.Time // until then it waits for proof of its credential, even past endsAt
	hasJoined       bool
	unauthenticated bool // it counts among these
}

// wait waits until done says so, the time is over, or there is nothing to wait for: the client left, no place is free,
// the engine refuses the credential, the session ended. It continues at the tracker that takes the session over. The
// tracker publishes a new snapshot when the response changes, with time alone as well.
func (w *waiter) wait(ctx context.Context) (*session.Snapshot, error) {
	w.startedAt = time.Now()
	timer := time.NewTimer(session.MaxWait)
	defer timer.Stop()
	for {
		snap, now := w.t.state.Load(), time.Now()
		endsAt := w.endsAt
		if !snap.Authorized && !snap.Session.LastPolledAt.After(w.startedAt) {
			endsAt = latest(endsAt, w.authEndsAt)
		}
		other, err := w.t.successor.Load(), authError(snap, w.startedAt)
		switch {
		case other != nil && other.awaitLoaded(ctx):
			w.leave()
			w.t = other
			continue
		case err != nil, w.t.hasEnded(snap), w.done(snap, now), !now.Before(endsAt):
			return snap, err
		case !w.hasJoined && w.join(snap):
			continue // with what was published meanwhile
		case !w.hasJoined && !w.t.isRemoved():
			return snap, session.ErrTooManyWaiters
		}
		timer.Reset(endsAt.Sub(now))
		select {
		case <-w.wake:
		case <-timer.C:
		case <-w.t.ended:
			if snap == w.t.state.Load() {
				return snap, nil
			}
		case <-ctx.Done():
			return snap, context.Cause(ctx)
		case <-w.t.m.base.Done():
			return snap, session.ErrStopped
		}
	}
}

// isRemoved reports whether the tracker has ended, or is about to.
func (t *tracker) isRemoved() bool {
	t.tenant.mu.Lock()
	defer t.tenant.mu.Unlock()
	_, isTracked := t.tenant.trackers[t]
	return !isTracked
}

// authError is the engine's own refusal, when it came after since. Engines deny the state of sessions that they serve
// elsewhere (contract C18).
func authError(s *session.Snapshot, since time.Time) error {
	f := &s.Session.Failure
	if s.Authorized || f.LastAt.Before(since) || s.Session.IsStateDenied() {
		return nil
	}
	if f.Kind == session.KindKeyRefused || f.Kind == session.KindSessionNotFound {
		return f.Err()
	}
	return nil
}

// join takes the places that a waiting request needs, and adds its demand to the tracker's.
func (w *waiter) join(s *session.Snapshot) bool {
	t := w.t
	w.wake, w.unauthenticated = make(signal, 1), !s.Authorized
	isFree := w.count(1)
	t.tenant.mu.Lock()
	_, isTracked := t.tenant.trackers[t]
	w.hasJoined = isFree && isTracked && len(t.waiters) < t.m.cfg.WaiterLimits.Session
	switch {
	case w.hasJoined:
		t.waiters[w] = struct{}{}
		if w.unauthenticated {
			t.authCheckAt = w.startedAt
		}
	case w.interest == inQR:
		t.rejectedAt = w.startedAt // the response is "not yet", at once; the next one may be better
	}
	t.tenant.mu.Unlock()
	t.wake.set()
	if !w.hasJoined {
		w.count(-1)
	}
	return w.hasJoined
}

// leave gives the places back.
func (w *waiter) leave() {
	if !w.hasJoined {
		return
	}
	w.hasJoined = false
	w.count(-1)
	t := w.t
	t.tenant.mu.Lock()
	delete(t.waiters, w)
	t.lastUsedAt = time.Now()
	t.tenant.mu.Unlock()
	t.wake.set()
}

// count adds n to the numbers of waiting requests that the waiter belongs to, and reports whether all are within their
// limits.
func (w *waiter) count(n int64) bool {
	m, limits := w.t.m, &w.t.m.cfg.WaiterLimits
	isFree := m.waiters.Add(n) <= int64(limits.Replica)
	isFree = w.t.tenant.waiters.Add(n) <= int64(limits.Tenant) && isFree
	if w.unauthenticated {
		isFree = m.unauthenticated.Add(n) <= int64(limits.Unauthenticated) && isFree
	}
	return isFree
}

// follower is a session.Follower.
type follower struct{ waiter }

// Close implements [session.Follower].
func (f *follower) Close() { f.leave() }

// Next implements [session.Follower].
func (f *follower) Next(ctx context.Context, seen *session.Snapshot, max time.Duration) (*session.Snapshot, error) {
	f.endsAt = time.Now().Add(max)
	f.done = func(s *session.Snapshot, _ time.Time) bool { return s.Authorized && seen.Changed(s) }
	return f.wait(ctx)
}

// setAt records when a client last asked for something, in a field that tenant.mu guards.
func (t *tracker) setAt(field *time.Time, now time.Time) {
	t.tenant.mu.Lock()
	*field = now
	t.tenant.mu.Unlock()
	t.wake.set()
}

// demandTTL is how long a request that does not wait causes polls.
const demandTTL = 5 * time.Second

// demand is what clients want to know of the session now, and whether an engine call is in flight.
func (t *tracker) demand(now time.Time) (d demand, inCall bool) {
	t.tenant.mu.Lock()
	defer t.tenant.mu.Unlock()
	isOpen := func(at time.Time) bool { return at.After(t.session.LastPolledAt) && now.Sub(at) < demandTTL }
	d = demand{wantsQR: isOpen(t.rejectedAt), wantsState: isOpen(t.stateAskedAt), requestedAt: t.requestedAt,
		isPushed: t.tenant.isPushed(), isSparse: t.m.cfg.SparsePolls}
	for w := range t.waiters {
		switch w.interest {
		case inQR:
			d.wantsQR = true
			if w.endsAt.After(now) && (d.waitEndsAt.IsZero() || w.endsAt.Before(d.waitEndsAt)) {
				d.waitEndsAt = w.endsAt
			}
		case inChanges:
			d.follows = true
		}
	}
	d.outageAt = t.m.health.lastUnreachableAt()
	isAsked := len(t.waiters) > 0 || now.Sub(latest(t.requestedAt, t.stateAskedAt)) < demandTTL
	d.isElsewhere = !isAsked && t.m.cfg.Replicas() > 1
	d.needsAuthCheck = t.authCheckAt.After(t.polledAt) || d.follows && !isAuthorized(&t.session, now)
	d.follows = d.follows || t.isReported(now)
	return d, t.call != nil
}
