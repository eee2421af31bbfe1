package acquire

import (
	"context"
	"sync/atomic"
	"time"

	"qrgate/internal/session"
)

// Every kind of waiting is counted: requests for the QR, for a change of the status, and streams.

// waiterLimiter counts waiting requests of the whole replica. Those of a tenant and of a session are counted there.
type waiterLimiter struct {
	limits          WaiterLimits
	all             atomic.Int64
	unauthenticated atomic.Int64
}

// add takes one place of n, of which there are limit; false when none is left.
func add(n *atomic.Int64, limit int) bool {
	if n.Add(1) > int64(limit) {
		n.Add(-1)
		return false
	}
	return true
}

// acquireUnauthenticated takes one of the few places that all credentials share which no engine accepted lately.
func (l *waiterLimiter) acquireUnauthenticated() (release func(), ok bool) {
	if !add(&l.unauthenticated, l.limits.Unauthenticated) {
		return nil, false
	}
	return func() { l.unauthenticated.Add(-1) }, true
}

// interest is what one waiting request is interested in.
type interest int

const (
	inAnything interest = iota // a poll's outcome
	inQR
	inChanges
)

// waiter is one request's wait at a tracker.
type waiter struct {
	t        *tracker
	interest interest
	done     func(*session.Snapshot, time.Time) bool

	startedAt time.Time
	endsAt    time.Time
	unauth    bool // it counts among the unauthenticated
}

// wait waits until done says so, the time is over, or there is nothing to wait for: the client left, no place is
// free, the engine refuses the credential, the session was deleted. Nothing ticks here: the tracker publishes a new
// snapshot when the answer changes, with time alone as well.
func (w *waiter) wait(ctx context.Context) (*session.Snapshot, error) {
	w.startedAt = time.Now()
	p := w.t.state.Load()
	if w.done(p.snapshot, w.startedAt) || !w.endsAt.After(w.startedAt) && p.snapshot.Authorized {
		return p.snapshot, nil
	}
	if !w.join(p.snapshot) {
		if w.t.isRemoved() {
			return w.t.lastSnapshot(ctx) // the caller goes on at the tracker that took over
		}
		w.t.turnAway(w.interest, w.startedAt) // the answer is "not yet", at once; the next one may be better
		return p.snapshot, session.ErrTooManyWaiters
	}
	defer w.leave()
	return w.waitJoined(ctx, w.startedAt)
}

// isRemoved reports whether the tracker has ended, or is about to.
func (t *tracker) isRemoved() bool {
	t.tenant.mu.Lock()
	defer t.tenant.mu.Unlock()
	_, tracked := t.tenant.trackers[t]
	return !tracked
}

// lastSnapshot waits until the tracker has ended, and returns what it published last.
func (t *tracker) lastSnapshot(ctx context.Context) (*session.Snapshot, error) {
	select {
	case <-t.ended:
		return t.state.Load().snapshot, nil
	case <-ctx.Done():
		return t.state.Load().snapshot, context.Cause(ctx)
	}
}

// waitJoined waits in the place that the waiter has. A refusal of the engine counts if it came after since.
func (w *waiter) waitJoined(ctx context.Context, since time.Time) (*session.Snapshot, error) {
	timer := time.NewTimer(w.endsAt.Sub(since))
	defer timer.Stop()
	for {
		p := w.t.state.Load()
		if err := authError(p.snapshot, since); err != nil {
			return p.snapshot, err
		}
		if p.ended || w.done(p.snapshot, time.Now()) {
			return p.snapshot, nil
		}
		changed := p.changed
		if w.interest == inAnything {
			changed = p.polled
		}
		select {
		case <-changed:
		case <-timer.C:
			return w.t.state.Load().snapshot, nil
		case <-w.t.ended:
			if p == w.t.state.Load() {
				return p.snapshot, nil
			}
		case <-ctx.Done():
			return p.snapshot, context.Cause(ctx)
		case <-w.t.m.base.Done():
			return p.snapshot, session.ErrStopped
		}
	}
}

// authError is the engine's own refusal, when it came after since.
func authError(s *session.Snapshot, since time.Time) error {
	f := &s.Session.Failure
	if s.Authorized || f.LastAt.Before(since) {
		return nil
	}
	if f.Kind == session.KindKeyRefused || f.Kind == session.KindSessionNotFound {
		return f.Err()
	}
	return nil
}

// join takes the places that a waiting request needs, and registers its demand.
func (w *waiter) join(s *session.Snapshot) bool {
	t, tn := w.t, w.t.tenant
	limits := &t.m.limits
	if !add(&limits.all, limits.limits.Replica) {
		return false
	}
	if !add(&tn.waiters, limits.limits.Tenant) {
		limits.all.Add(-1)
		return false
	}
	if w.unauth = !s.Authorized; w.unauth && !add(&limits.unauthenticated, limits.limits.Unauthenticated) {
		tn.waiters.Add(-1)
		limits.all.Add(-1)
		return false
	}
	tn.mu.Lock()
	defer tn.mu.Unlock()
	if _, tracked := tn.trackers[t]; !tracked || t.waiters >= limits.limits.Session {
		w.free()
		return false
	}
	t.waiters++
	switch w.interest {
	case inQR:
		t.qrWaiters++
		if t.waitEndsAt.Before(w.startedAt) || w.endsAt.Before(t.waitEndsAt) {
			t.waitEndsAt = w.endsAt
		}
	case inChanges:
		t.followers++
	}
	if w.unauth {
		t.authCheckAt = w.startedAt
	}
	t.poke()
	return true
}

// leave gives them back.
func (w *waiter) leave() {
	t, tn := w.t, w.t.tenant
	w.free()
	tn.mu.Lock()
	defer tn.mu.Unlock()
	t.waiters--
	switch w.interest {
	case inQR:
		t.qrWaiters--
	case inChanges:
		t.followers--
	}
	t.lastUsedAt = time.Now()
	t.poke()
}

func (w *waiter) free() {
	limits := &w.t.m.limits
	if w.unauth {
		limits.unauthenticated.Add(-1)
	}
	w.t.tenant.waiters.Add(-1)
	limits.all.Add(-1)
}

// turnAway records a request for which no place was free.
func (t *tracker) turnAway(i interest, now time.Time) {
	t.tenant.mu.Lock()
	defer t.tenant.mu.Unlock()
	if i == inQR {
		t.turnedAwayAt = now
	}
	t.poke()
}

// askState records that a client asked for the state at now.
func (t *tracker) askState(now time.Time) {
	t.tenant.mu.Lock()
	defer t.tenant.mu.Unlock()
	t.stateAskedAt = now
	t.poke()
}

// interestTTL is how long a request that does not wait buys polls.
const interestTTL = 5 * time.Second

// demand is what clients want now; the caller holds tenant.mu.
func (t *tracker) demand(s session.Session, now time.Time) demand {
	turnedAway := t.turnedAwayAt.After(s.LastPolledAt) && now.Sub(t.turnedAwayAt) < interestTTL
	asked := t.stateAskedAt.After(s.LastPolledAt) && now.Sub(t.stateAskedAt) < interestTTL
	return demand{
		wantsQR: t.qrWaiters > 0 || turnedAway, waitEndsAt: t.waitEndsAt, wantsState: asked, follows: t.followers > 0,
		needsAuthCheck: t.authCheckAt.After(t.polledAt) || t.followers > 0 && !isAuthorized(&s, now),
		requestedAt:    t.requestedAt,
	}
}
