package acquire

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/internal/store"
)

// Times of a tracker.
const (
	leaseTTL        = 6 * time.Second // a replica that died is replaced as poller after this
	followInterval  = time.Second     // how often a follower tries to take the lease and reads what the leader wrote
	idleTTL         = 30 * time.Second
	idleUnknownTTL  = 5 * time.Second // for a session that the engine never accepted a credential for
	idleWake        = 5 * time.Minute
	authTTL         = time.Minute     // how long the engine's acceptance of a credential for a session counts
	environmentTTL  = 2 * time.Second // how often a diagnosis takes new facts about other sessions
	trackerInboxCap = 4
)

// tracker obtains the QR of one session. Its run loop is the only writer of the session; readers load immutable
// snapshots.
//
// An identity does not depend on what is known so far: the tenant finds a tracker by the session's name and by its
// integer, and learning the other one adds an index and moves the tracker's record.
type tracker struct {
	m      *Manager
	tenant *tenant
	inbox  chan message
	wake   chan struct{} // the demand or the tenant's plan has changed
	state  atomic.Pointer[published]
	loaded chan struct{} // closed when state holds the first snapshot
	ended  chan struct{} // closed when the run loop has ended

	// Guarded by tenant.mu.
	ref          session.Ref // as indexed
	waiters      int
	qrWaiters    int
	followers    int
	waitEndsAt   time.Time // when the first wait for the QR ends
	turnedAwayAt time.Time // when a request for the QR last found no place
	stateAskedAt time.Time // when a client last asked for the state
	requestedAt  time.Time // when a client last requested the QR
	authCheckAt  time.Time // when a client last needed proof of a credential
	polledAt     time.Time // when the last poll's answer was taken
	lastUsedAt   time.Time
	call         *call // the engine call that was granted, until its answer is taken
	noBatch      bool  // the list does not show it, or hides its code

	// Owned by the run loop.
	session           session.Session
	version           int64 // of the stored record
	key               recordKey
	storeChanged      <-chan struct{}
	stopWatch         func()
	leaseUntil        time.Time // this replica polls
	otherLeaseUntil   time.Time // another one does
	lastReportedCause diagnosis.Code
	endErr            error    // of the store, when the session was forgotten
	successor         *tracker // the tracker of the same session that goes on
}

// published is what readers see.
type published struct {
	snapshot  *session.Snapshot
	changed   chan struct{} // closed when the answer changes
	polled    chan struct{} // closed when a poll was taken, or the answer changes
	ended     bool          // nothing follows
	successor *tracker
}

// update is a session's next value at a time. It is pure: after a version conflict it is applied again.
type update func(session.Session, time.Time) session.Session

// message is a fact for the run loop.
type message struct {
	apply  update
	call   *call         // whose outcome this is; nil if none
	polled bool          // it is a poll's answer
	end    bool          // the session was deleted, disconnected or restarted
	cancel bool          // what is in flight is outdated
	done   chan struct{} // closed when the outcome is published and stored; nil when nobody waits
}

func newTracker(tn *tenant, r session.Ref) *tracker {
	return &tracker{m: tn.m, tenant: tn, ref: r, inbox: make(chan message, trackerInboxCap), wake: make(chan struct{}, 1),
		loaded: make(chan struct{}), ended: make(chan struct{}), lastUsedAt: time.Now(),
		session: session.Session{Ref: r, State: session.Unknown}}
}

// awaitLoaded waits for the first snapshot; false when the client left or the tracker ended without one.
func (t *tracker) awaitLoaded(ctx context.Context) bool {
	select {
	case <-t.loaded:
	case <-t.ended:
	case <-ctx.Done():
	}
	return t.state.Load() != nil
}

// poke makes the run loop decide anew.
func (t *tracker) poke() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// send hands m to the run loop and waits until its outcome is published and stored. It is false when the tracker
// has ended; the caller looks the session up again.
func (t *tracker) send(m message) bool {
	m.done = make(chan struct{})
	select {
	case t.inbox <- m:
	case <-t.ended:
		return false
	}
	select {
	case <-m.done:
		return true
	case <-t.ended:
	}
	select {
	case <-m.done:
		return true
	default:
		return false
	}
}

// post hands m to the run loop and does not wait for its outcome.
func (t *tracker) post(m message) {
	select {
	case t.inbox <- m:
	case <-t.ended:
	}
}

// run owns the session until it is deleted, or nobody needs it.
func (t *tracker) run() {
	ctx := t.m.base
	defer close(t.ended)
	t.open(ctx)
	defer func() { t.stopWatch() }()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		wakeAt, more := t.decide(ctx, time.Now())
		if !more {
			return
		}
		timer.Reset(time.Until(wakeAt))
		select {
		case m := <-t.inbox:
			if !t.handle(ctx, m) {
				return
			}
		case <-t.wake:
		case <-timer.C:
		case <-t.storeChanged:
			t.reload(ctx)
		case <-ctx.Done():
			t.publish(time.Now(), true)
			return
		}
	}
}

// open reads the session from the store and publishes the first snapshot.
func (t *tracker) open(ctx context.Context) {
	t.watch()
	t.reload(ctx)
	if t.state.Load() == nil {
		t.publish(time.Now(), true)
	}
	close(t.loaded)
}

// watch follows the session's record.
func (t *tracker) watch() {
	if t.stopWatch != nil {
		t.stopWatch()
	}
	t.key = recordKey{t.tenant.caller, t.session.Ref.CacheKey()}
	t.storeChanged, t.stopWatch = t.m.store.store.Watch(t.m.store.key(t.key, kindSession))
}

// decide takes the next decision: it gives up, requests an engine call, or ends the tracker. It returns when it must
// decide again.
func (t *tracker) decide(ctx context.Context, now time.Time) (wakeAt time.Time, more bool) {
	if snap := t.state.Load().snapshot; !now.Before(snap.ValidUntil) {
		t.publish(now, false)
		t.emitCause(now)
	}
	t.tenant.mu.Lock()
	d := t.demand(t.session, now)
	inCall := t.call != nil
	t.tenant.mu.Unlock()
	a := action{}
	if !inCall && !now.Before(t.otherLeaseUntil) {
		a = nextAction(t.session, d, policy{allowForce: t.m.cfg.AllowForce}, now)
	}
	if a.kind == giveUp && !a.at.After(now) {
		t.giveUp(ctx)
		return now, true
	}
	wakeAt = now.Add(idleWake)
	if a.kind == pollQR || a.kind == pollStatus || a.kind == recoverQR {
		if a.at.After(now.Add(batchWindow)) {
			wakeAt = a.at.Add(-batchWindow)
			a = action{}
		} else if !t.lead(ctx, now) {
			a = action{}
		}
	} else if a.kind == giveUp {
		wakeAt = a.at
	}
	t.tenant.setRequest(t, t.requestOf(a, d), now)
	if now.Before(t.otherLeaseUntil) {
		wakeAt = earliest(wakeAt, t.otherLeaseUntil)
	}
	return t.endIfIdle(now, wakeAt)
}

// requestOf is the engine call that carries a out; nil for none.
func (t *tracker) requestOf(a action, d demand) *request {
	if a.kind != pollQR && a.kind != pollStatus && a.kind != recoverQR {
		return nil
	}
	return &request{tracker: t, action: a, since: waitingSince(t.session), session: &t.state.Load().snapshot.Session,
		authCheck: d.needsAuthCheck, asked: d.wantsState}
}

// endIfIdle ends the tracker when nobody has needed it for a while, else returns when to look again.
func (t *tracker) endIfIdle(now, wakeAt time.Time) (time.Time, bool) {
	s := t.session
	ttl := idleTTL
	if s.AuthorizedAt.IsZero() {
		ttl = idleUnknownTTL
	}
	snap := t.state.Load().snapshot
	tn := t.tenant
	tn.mu.Lock()
	defer tn.mu.Unlock()
	watched := t.waiters > 0 || !s.AcquiringSince.IsZero() && s.State == session.Connecting
	if watched {
		return earliest(wakeAt, snap.ValidUntil), true
	}
	idleAt := t.lastUsedAt.Add(ttl)
	if t.call != nil || len(t.inbox) > 0 || !now.After(idleAt) {
		return earliest(wakeAt, latest(idleAt, now).Add(time.Millisecond)), true
	}
	tn.remove(t)
	return now, false
}

// handle takes one message. It is false when the tracker ends.
func (t *tracker) handle(ctx context.Context, m message) bool {
	if m.done != nil {
		defer close(m.done)
	}
	if m.cancel {
		t.tenant.cancelCall(t)
	}
	if m.end {
		t.end(ctx)
		return false
	}
	t.update(ctx, m.apply)
	if m.call != nil {
		t.tenant.finishCall(t, m.call, m.polled)
	}
	return t.successor == nil
}

// maxSaveAttempts is how often an update is applied again to what other replicas wrote meanwhile.
const maxSaveAttempts = 5

// update takes the session to its next value: publishes it, emits events, and stores it. When another replica has
// written meanwhile, that is read and the update applied again. When another tracker turns out to own the session, it
// takes the update over.
func (t *tracker) update(ctx context.Context, apply update) {
	for attempt := range maxSaveAttempts {
		now := time.Now()
		before := t.session
		t.session = apply(before, now)
		t.noteQR(before, now)
		t.publish(now, true)
		if attempt == 0 {
			t.emitChanges(before, now)
		}
		if before.Ref != t.session.Ref {
			t.rekey(ctx)
		}
		if t.successor != nil {
			t.successor.send(message{apply: withRef(t.session.Ref, apply)})
			return
		}
		if !needsSave(before, t.session) || t.save(ctx) {
			return
		}
	}
}

// noteQR records a success.
func (t *tracker) noteQR(before session.Session, now time.Time) {
	if !t.session.QR.Present() || before.QR.Present() {
		return
	}
	t.tenant.noteSuccess(t, now)
	t.m.health.recordSuccess(now)
}

// save writes the session. It is false when another replica had written, which is taken over: the update must be
// applied again.
func (t *tracker) save(ctx context.Context) bool {
	version, err := t.m.store.save(ctx, t.key, t.session, t.version, time.Now())
	if errors.Is(err, store.ErrVersionConflict) {
		return !t.reload(ctx)
	}
	if err == nil {
		t.version = max(t.version, version)
	}
	return true // without the store the session goes on in memory
}

// reload takes what another replica wrote, if it is newer than what is known here, and reports whether it was.
func (t *tracker) reload(ctx context.Context) bool {
	now := time.Now()
	s, version, err := t.m.store.load(ctx, t.key, now)
	if err != nil || version <= t.version {
		return false
	}
	s.Ref = s.Ref.Merge(t.session.Ref)
	if s.State == "" {
		s.State = session.Unknown // a tombstone
	}
	t.session, t.version = s, version
	t.publish(now, true)
	return true
}

// rekey follows a session whose other id was learned: it is indexed by both, and its record moves to the key that
// every replica derives from both.
func (t *tracker) rekey(ctx context.Context) {
	if other := t.tenant.index(t, t.session.Ref); other != nil {
		t.successor = other // it was tracked under its other id already; that tracker goes on
		t.publish(time.Now(), true)
		return
	}
	if t.session.Ref.CacheKey() == t.key.name {
		return
	}
	t.watch()
	t.leaseUntil, t.otherLeaseUntil = time.Time{}, time.Time{}
	mine := t.session
	t.version = 0
	t.reload(ctx)
	if !t.session.ConnectedAt.After(mine.ConnectedAt) && !t.session.AcquiringSince.After(mine.AcquiringSince) {
		t.session = mine
		t.publish(time.Now(), true)
	}
}

// withRef adds ids to a session before an update.
func withRef(r session.Ref, apply update) update {
	return func(s session.Session, now time.Time) session.Session {
		s.Ref = s.Ref.Merge(r)
		return apply(s, now)
	}
}

// lead reports whether this replica polls. It takes the lease, or renews it; who does not get it reads what the
// leader wrote.
func (t *tracker) lead(ctx context.Context, now time.Time) bool {
	if t.leaseUntil.Sub(now) > leaseTTL/2 {
		return true
	}
	ok, err := t.m.store.store.Acquire(ctx, t.m.store.key(t.key, kindLease), t.m.replicaID, leaseTTL)
	if ok || err != nil { // without a store every replica polls for itself; polls only read
		t.leaseUntil, t.otherLeaseUntil = now.Add(leaseTTL), time.Time{}
		return true
	}
	t.leaseUntil, t.otherLeaseUntil = time.Time{}, now.Add(followInterval)
	t.reload(ctx)
	return false
}

// giveUp ends an acquisition whose time is over.
func (t *tracker) giveUp(ctx context.Context) {
	t.update(ctx, func(s session.Session, now time.Time) session.Session { return s.GiveUp(now) })
	_ = t.m.store.store.Release(ctx, t.m.store.key(t.key, kindLease), t.m.replicaID)
	t.leaseUntil = time.Time{}
}

// end forgets the session, here and in the store, and publishes that nothing is known any more. The record goes first:
// a tracker that starts afterwards must not find it.
func (t *tracker) end(ctx context.Context) {
	now := time.Now()
	t.emitAbandoned(now)
	t.endErr = t.m.store.tombstone(ctx, t.key, now)
	t.session = session.Session{Ref: t.session.Ref, State: session.Disconnected, Since: now}
	t.tenant.mu.Lock()
	t.tenant.remove(t)
	t.tenant.mu.Unlock()
	t.publishEnd(now)
}

// needsSave reports whether another replica would act differently on the new session.
func needsSave(a, b session.Session) bool {
	if b.AuthorizedAt.IsZero() {
		return false // nothing is kept for a credential that no engine has accepted
	}
	return a.State != b.State || a.Ref != b.Ref || a.Sequence != b.Sequence || a.ConnectedAt != b.ConnectedAt ||
		a.AcquiringSince != b.AcquiringSince || a.QR.ConfirmedAt != b.QR.ConfirmedAt || a.QR.Present() != b.QR.Present() ||
		a.Failure.Kind != b.Failure.Kind || a.Recovery != b.Recovery || a.CreatedHere != b.CreatedHere ||
		b.AuthorizedAt.Sub(a.AuthorizedAt) > authTTL/4
}
