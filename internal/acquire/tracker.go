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
	leaseTTL           = 6 * time.Second // a replica that died is replaced as the one that polls after this
	leaseRetryInterval = time.Second     // between two attempts to acquire a lease that another replica has
	idleTTL            = 30 * time.Second
	idleUnknownTTL     = 5 * time.Second // for a session that the engine never accepted a credential for
	idleWake           = 5 * time.Minute
	authTTL            = time.Minute     // how long the engine's acceptance of a credential for a session counts
	environmentTTL     = 2 * time.Second // how often a diagnosis reads new facts about other sessions
	trackerInboxCap    = 4
)

// tracker obtains the QR of one session. Its run loop is the only writer of the session; readers load immutable
// snapshots. The tenant finds a tracker by the session's name and by its integer; learning the other one adds an index
// and moves the stored record.
type tracker struct {
	m      *Manager
	tenant *tenant
	inbox  chan message
	wake   signal        // the demand or the tenant's plan has changed
	loaded chan struct{} // closed when state has the first snapshot
	ended  chan struct{} // closed when the run loop has ended

	state     atomic.Pointer[session.Snapshot]
	successor atomic.Pointer[tracker] // the tracker of the same session that continues

	// Guarded by tenant.mu.
	ref          session.Ref // as indexed
	waiters      map[*waiter]struct{}
	rejectedAt   time.Time // when no more requests for the QR could wait
	stateAskedAt time.Time // when a client last asked for the state
	requestedAt  time.Time // when a client last requested the QR
	authCheckAt  time.Time // when a client last needed proof of a credential
	polledAt     time.Time // when a poll's result was last applied
	lastUsedAt   time.Time
	call         *call // the engine call that was granted, until its outcome is applied
	polledAlone  bool  // lists do not show the session, or hide its code
	polledByPeer bool  // by another replica

	// Owned by the run loop.
	session           session.Session
	version           int64 // of the stored record
	key               recordKey
	storeChanged      <-chan struct{}
	stopWatch         func()
	leaseUntil        time.Time // this replica polls
	otherLeaseUntil   time.Time // another one does
	lastReportedCause diagnosis.Code
	endErr            error // of the store, when the session was forgotten
}

// hasEnded reports whether nothing follows at this tracker after a snapshot of it.
func (t *tracker) hasEnded(snap *session.Snapshot) bool {
	return snap.Ended || t.successor.Load() != nil
}

// update is a session's next value at a time. It is pure: after a version conflict it is applied again.
type update func(session.Session, time.Time) session.Session

// message is a fact for the run loop.
type message struct {
	apply  update
	call   *call         // whose outcome this is; nil if none
	end    bool          // the session was deleted, disconnected or restarted
	polled bool          // it is a poll's result
	cancel bool          // what is in flight is outdated
	done   chan struct{} // closed when the outcome is published and stored; nil when nothing waits for it
}

func newTracker(tn *tenant, r session.Ref) *tracker {
	return &tracker{m: tn.m, tenant: tn, ref: r, inbox: make(chan message, trackerInboxCap), wake: make(signal, 1),
		loaded: make(chan struct{}), ended: make(chan struct{}), lastUsedAt: time.Now(), stopWatch: func() {},
		waiters: map[*waiter]struct{}{}, session: session.Session{Ref: r, State: session.Unknown}}
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

// send hands m to the run loop and waits until its outcome is published and stored. It is false when the tracker has
// ended without applying it; the caller finds the session's tracker anew.
func (t *tracker) send(m message) bool {
	m.done = make(chan struct{})
	t.post(m)
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

// run owns the session until it ends, or no client has needed it for a while.
func (t *tracker) run() {
	ctx := t.m.base
	defer close(t.ended)
	defer func() {
		t.stopWatch()
		t.releaseLease(context.WithoutCancel(ctx))
	}()
	t.watch()
	if isNewer, _ := t.reload(ctx); !isNewer {
		t.publish(time.Now(), true)
	}
	close(t.loaded)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for t.successor.Load() == nil {
		wakeAt, isIdle := t.decide(ctx, time.Now())
		if isIdle {
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
			t.adopt(ctx)
		case <-ctx.Done():
			t.publish(time.Now(), true)
			return
		}
	}
}

// watch follows the session's record.
func (t *tracker) watch() {
	t.stopWatch()
	t.key = recordKey{t.tenant.caller, t.session.Ref.CacheKey()}
	t.storeChanged, t.stopWatch = t.m.store.store.Watch(t.m.store.key(t.key, kindSession))
}

// decide gives up, or requests an engine call. It returns when it must decide again, and whether the tracker has ended
// because it is idle.
func (t *tracker) decide(ctx context.Context, now time.Time) (wakeAt time.Time, isIdle bool) {
	if !now.Before(t.state.Load().ValidUntil) {
		t.publish(now, false)
		t.emitChanges(t.session, now)
	}
	d, inCall := t.demand(now)
	if !inCall && !t.leaseUntil.IsZero() && t.session.Failure.Kind == session.KindUnreachable {
		t.releaseLease(ctx) // another replica may reach the engine
		t.otherLeaseUntil = t.session.LastPolledAt.Add(leaseRetryInterval)
	}
	var a action
	if !inCall && !now.Before(t.otherLeaseUntil) {
		a = nextAction(t.session, d, t.m.cfg.AllowForce, now)
	}
	if !t.session.AuthorizedAt.IsZero() {
		t.tenant.subscribe()
	}
	wakeAt = now.Add(idleWake)
	switch {
	case a.kind == giveUp && !a.at.After(now):
		t.update(ctx, func(s session.Session, now time.Time) session.Session { return s.GiveUp(now) })
		return now, false
	case a.kind == giveUp:
		wakeAt = a.at
	case a.kind != none && a.at.After(now.Add(batchWindow)):
		wakeAt = a.at.Add(-batchWindow)
	case a.kind != none && t.lead(ctx, now):
		t.tenant.setRequest(t, &request{tracker: t, action: a, demand: d, since: waitingSince(t.session),
			session: &t.state.Load().Session}, now)
		return t.endIfIdle(now, wakeAt)
	}
	t.tenant.setRequest(t, nil, now)
	if !inCall && t.session.State != session.Connecting {
		t.releaseLease(ctx) // another replica may have a client that waits for a poll
	}
	if now.Before(t.otherLeaseUntil) {
		wakeAt = earliest(wakeAt, t.otherLeaseUntil)
	}
	return t.endIfIdle(now, wakeAt)
}

// endIfIdle ends the tracker when no client has needed it for a while, else it returns when it must decide again.
func (t *tracker) endIfIdle(now, wakeAt time.Time) (time.Time, bool) {
	s := t.session
	ttl := idleTTL
	if s.AuthorizedAt.IsZero() {
		ttl = idleUnknownTTL
	}
	tn := t.tenant
	tn.mu.Lock()
	defer tn.mu.Unlock()
	isAcquiring := !s.AcquiringSince.IsZero() && s.State == session.Connecting
	if len(t.waiters) > 0 || isAcquiring || t.isReported(now) {
		return earliest(wakeAt, t.state.Load().ValidUntil), false
	}
	idleAt := t.lastUsedAt.Add(ttl)
	if t.call != nil || len(t.inbox) > 0 || !now.After(idleAt) {
		return earliest(wakeAt, latest(idleAt, now).Add(time.Millisecond)), false
	}
	tn.remove(t)
	return now, true
}

// handle applies one message. It is false when the tracker ends.
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
	return true
}

// maxSaveAttempts is how often an update is applied again to what other replicas wrote meanwhile.
const maxSaveAttempts = 5

// update takes the session to its next value: publishes it, emits events, and stores it. When another replica has
// written meanwhile, that is read and the update applied again. When another tracker turns out to own the session, the
// update is applied there.
func (t *tracker) update(ctx context.Context, apply update) {
	for attempt := range maxSaveAttempts {
		now := time.Now()
		before := t.session
		t.session = apply(before, now)
		if t.session.QR.Present() && !before.QR.Present() {
			t.tenant.recordSuccess(t.session.Ref, now)
			t.m.health.record(&t.m.health.lastSuccessAt, now)
		}
		t.publish(now, true)
		if attempt == 0 {
			t.emitChanges(before, now)
			t.reportChange(before, t.state.Load().Diagnosis.Code, now)
		}
		t.rekey(ctx, before.Ref)
		if t.successor.Load() == nil && (!needsSave(before, t.session) || t.save(ctx, before)) {
			return
		}
		if other := t.successor.Load(); other != nil {
			other.send(message{apply: apply})
			return
		}
	}
}

// save writes the session. It is false when another replica had written, which is read: the update must be applied
// again, to that or to the session before it.
func (t *tracker) save(ctx context.Context, before session.Session) bool {
	version, err := t.m.store.save(ctx, t.key, t.session, t.version, time.Now())
	if errors.Is(err, store.ErrVersionConflict) {
		after := t.session
		t.session = before
		isNewer, _ := t.reload(ctx)
		if !isNewer {
			t.session = after
		}
		return !isNewer
	}
	if err == nil {
		t.version = max(t.version, version)
	}
	return true // without the store the session continues in memory
}

// adopt reads what another replica wrote, and writes what that replica did not know. It reports whether it read news.
func (t *tracker) adopt(ctx context.Context) (isNewer bool) {
	isNewer, isKept := t.reload(ctx)
	if isKept {
		t.save(ctx, t.session)
	}
	return isNewer && !isKept
}

// reload reads what another replica wrote, and reports whether it is newer than what is known here. The session here is
// kept all the same if it has a code or a connect that the other replica did not know of, because both wrote without
// the store, or because a session is stored only after the engine has accepted the credential.
func (t *tracker) reload(ctx context.Context) (isNewer, isKept bool) {
	now := time.Now()
	s, version, err := t.m.store.load(ctx, t.key, now)
	if err != nil || version <= t.version {
		return false, false
	}
	before := t.session
	s.Ref = s.Ref.Merge(before.Ref)
	if s.State == "" {
		s.State = session.Unknown // a tombstone
	}
	t.version = version
	if before.HasNewerCode(s, now) || before.HasNewerConnect(s) {
		t.session.AuthorizedAt = latest(before.AuthorizedAt, s.AuthorizedAt)
		return true, true
	}
	t.session = s
	t.publish(now, true)
	t.rekey(ctx, before.Ref)
	return true, false
}

// rekey follows a session whose other id was learned: it is indexed by both, and its record moves to the key that every
// replica derives from both. If it was tracked under its other id already, that tracker continues.
func (t *tracker) rekey(ctx context.Context, before session.Ref) {
	ref := t.session.Ref
	if ref == before {
		return
	}
	if other := t.tenant.index(t, ref); other != nil {
		t.successor.Store(other)
		t.publish(time.Now(), true)
		other.send(message{apply: func(s session.Session, _ time.Time) session.Session {
			s.Ref = s.Ref.Merge(ref)
			return s
		}})
		return
	}
	if ref.CacheKey() == t.key.name {
		return
	}
	t.releaseLease(ctx)
	t.watch()
	mine := t.session
	t.version, t.otherLeaseUntil = 0, time.Time{}
	t.reload(ctx)
	if !t.session.ConnectedAt.After(mine.ConnectedAt) && !t.session.AcquiringSince.After(mine.AcquiringSince) {
		t.session = mine
		t.publish(time.Now(), true)
	}
}

// lead reports whether this replica polls: it has the lease, or acquires it. It reads what the replica wrote that has
// the lease, or had it before: if that is news, another decision is due.
func (t *tracker) lead(ctx context.Context, now time.Time) bool {
	if t.leaseUntil.Sub(now) > leaseTTL/2 {
		return true
	}
	ok, err := t.m.store.store.Acquire(ctx, t.m.store.key(t.key, kindLease), t.m.replicaID, leaseTTL)
	isNew := !now.Before(t.leaseUntil)
	if ok || err != nil { // without a store every replica polls for itself; polls only read
		t.leaseUntil, t.otherLeaseUntil = now.Add(leaseTTL), time.Time{}
		if isNew && t.adopt(ctx) {
			t.wake.set()
			return false
		}
		return true
	}
	t.leaseUntil, t.otherLeaseUntil = time.Time{}, now.Add(leaseRetryInterval)
	t.adopt(ctx)
	return false
}

// releaseLease lets another replica poll.
func (t *tracker) releaseLease(ctx context.Context) {
	if t.leaseUntil.IsZero() {
		return
	}
	t.leaseUntil = time.Time{}
	_ = t.m.store.store.Release(ctx, t.m.store.key(t.key, kindLease), t.m.replicaID) // else it ends after leaseTTL
}

// end forgets the session, here and in the store, and publishes that nothing is known any more. The record goes first:
// a tracker that starts afterwards must not find it.
func (t *tracker) end(ctx context.Context) {
	now, before := time.Now(), t.session
	t.session = session.Session{Ref: before.Ref, State: session.Disconnected, Since: now}
	t.reportChange(before, diagnosis.None, now)
	t.endErr = t.m.store.deleteSession(ctx, t.key, now)
	ev := t.event(session.EventAcquisition, before, now)
	ev.From = before.State
	t.emitAcquisition(ev, before, now)
	t.tenant.mu.Lock()
	t.tenant.remove(t)
	t.tenant.mu.Unlock()
	remaining := t.state.Load().RemainingCalls
	t.publishSnapshot(&session.Snapshot{Session: t.session, At: now, RemainingCalls: remaining, Ended: true}, true)
}

// needsSave reports whether another replica would act differently on the new session.
func needsSave(a, b session.Session) bool {
	if b.AuthorizedAt.IsZero() {
		return false // nothing is stored for a credential that no engine has accepted
	}
	return a.State != b.State || a.Ref != b.Ref || a.Sequence != b.Sequence || a.ConnectedAt != b.ConnectedAt ||
		a.AcquiringSince != b.AcquiringSince || a.QR.ConfirmedAt != b.QR.ConfirmedAt || a.QR.Present() != b.QR.Present() ||
		a.Failure.Kind != b.Failure.Kind || a.History.RefusedAt != b.History.RefusedAt || a.Recovery != b.Recovery ||
		a.CreatedHere != b.CreatedHere ||
		b.AuthorizedAt.Sub(a.AuthorizedAt) > authTTL/4
}
