package acquire

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"qrgate/internal/session"
)

// tenant is what the sessions of one credential share: the rate limit of the engine, the list, and the index of
// trackers. Its run loop grants the trackers' engine calls; each call runs in a goroutine of its own and brings its
// outcome to the tracker.
type tenant struct {
	m       *Manager
	caller  session.Caller
	waiters atomic.Int64
	wake    signal

	mu        sync.Mutex
	byName    map[string]*tracker
	byID      map[int64]*tracker
	trackers  map[*tracker]struct{}
	refs      int // requests that use it now
	calls     int // in flight
	requests  map[*tracker]*request
	waiting   map[*tracker]time.Time // sessions without a QR that want one, and since when
	successes []success              // the last QRs, the oldest first
	limiter   rateLimiter
	shared    sharedLimits
	batcher   batcher
	lastPoll  time.Time // of any session

	subscription *subscription // nil: none

	hasAnswered bool                 // the engine has answered a call of this credential: its limits are known
	creating    int                  // creates of clients in flight
	changed     chan struct{}        // closed when the limiter has news for creates that wait
	refused     map[string]time.Time // names whose create was refused, and when
}

// signal wakes one goroutine. A second signal before it wakes changes nothing.
type signal chan struct{}

func (s signal) set() {
	select {
	case s <- struct{}{}:
	default:
	}
}

// request is one engine call that a tracker wants.
type request struct {
	action
	tracker *tracker
	session *session.Session
	demand  demand
	since   time.Time // rank in the queue
}

// isUrgent reports whether the poll need not keep its distance to the last one: that did not reach the engine, or the
// wait of a client ends, or it begins and polls are rare, for an older connect or because replicas divide the rate
// limit.
func (r *request) isUrgent(isDivided bool, now time.Time) bool {
	if r.session.Failure.Err().IsNotReceived() {
		return true
	}
	polledAt, left := r.session.LastPolledAt, r.demand.waitEndsAt.Sub(now)
	isFirst := r.demand.requestedAt.After(polledAt) && now.Sub(polledAt) > followPollInterval
	isOld := now.Sub(r.since) > freshWindow
	return r.kind == pollQR && (isFirst && (isDivided || isOld) || left > 0 && left <= finalPollMargin)
}

// call is one engine call in flight.
type call struct {
	cancel func() // does nothing for a list call, which other sessions share
}

// success is a QR that a session got.
type success struct {
	ref session.Ref
	at  time.Time
}

const (
	// freshWindow is the age up to which a connect's polls have high priority: a client waits whose wait ends soon. It
	// is a little shorter than that wait, so that the last poll that the rate limit allows comes before its end.
	freshWindow = 8600 * time.Millisecond
	// successTTL is how long another session's QR is evidence against a session that has none.
	successTTL   = 5 * time.Minute
	maxSuccesses = 200
)

func newTenant(m *Manager, c session.Caller) *tenant {
	c.RequestMeta = session.Request{} // the tenant's calls belong to no single request
	return &tenant{m: m, caller: c, wake: make(signal, 1),
		byName: map[string]*tracker{}, byID: map[int64]*tracker{},
		trackers: map[*tracker]struct{}{}, requests: map[*tracker]*request{},
		waiting: map[*tracker]time.Time{}, refused: map[string]time.Time{}, changed: make(chan struct{})}
}

// run grants engine calls until the manager stops, or the tenant is idle.
func (tn *tenant) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	limitsChanged, stop := tn.m.store.store.Watch(tn.m.store.key(tn.limitsKey(), kindLimits))
	defer stop()
	tn.readSharedLimits()
	for {
		timer.Reset(time.Until(tn.dispatch(time.Now())))
		select {
		case <-limitsChanged:
			tn.readSharedLimits()
		case <-timer.C:
			if tn.m.closeIfIdle(tn, time.Now()) {
				return
			}
		case <-tn.wake:
		case <-tn.m.base.Done():
			return
		}
	}
}

// release ends a use that Manager.tenant began.
func (tn *tenant) release() {
	tn.mu.Lock()
	tn.refs--
	tn.mu.Unlock()
	tn.wake.set()
	tn.m.wg.Done()
}

// find returns the tracker of a session by either id; the caller holds tn.mu.
func (tn *tenant) find(r session.Ref) *tracker {
	if t := tn.byID[r.ID]; r.ID > 0 && t != nil {
		return t
	}
	if t := tn.byName[r.Name]; r.Name != "" && t != nil && (r.ID == 0 || t.ref.ID == 0 || t.ref.ID == r.ID) {
		return t
	}
	return nil
}

// tracker returns the tracker of a session, and starts one if there is none.
func (tn *tenant) tracker(r session.Ref) *tracker {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	t := tn.find(r)
	if t == nil {
		t = newTracker(tn, r)
		tn.trackers[t] = struct{}{}
		tn.indexLocked(t, r)
		tn.m.wg.Go(t.run)
	}
	t.lastUsedAt = time.Now()
	return t
}

// index indexes t by both its ids. It returns the other tracker of the same session, if there is one: t is removed
// then.
func (tn *tenant) index(t *tracker, r session.Ref) (other *tracker) {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	if _, ok := tn.trackers[t]; !ok {
		return nil
	}
	other = tn.byID[r.ID]
	if r.ID == 0 || other == nil || other == t {
		other = tn.byName[r.Name]
	}
	isSame := other != nil && (r.ID == 0 || other.ref.ID == 0 || other.ref.ID == r.ID) // a name may be used again
	if isSame && other != t {
		tn.remove(t)
		tn.indexLocked(other, r)
		return other
	}
	tn.indexLocked(t, r)
	return nil
}

// indexLocked adds the ids in r to those by which t is found; the caller holds tn.mu.
func (tn *tenant) indexLocked(t *tracker, r session.Ref) {
	t.ref = t.ref.Merge(r)
	if t.ref.ID > 0 {
		tn.byID[t.ref.ID] = t
	}
	if t.ref.Name != "" {
		tn.byName[t.ref.Name] = t
	}
}

// remove takes a tracker out of the indexes; the caller holds tn.mu.
func (tn *tenant) remove(t *tracker) {
	delete(tn.trackers, t)
	delete(tn.requests, t)
	delete(tn.waiting, t)
	if tn.byName[t.ref.Name] == t {
		delete(tn.byName, t.ref.Name)
	}
	if tn.byID[t.ref.ID] == t {
		delete(tn.byID, t.ref.ID)
	}
	if t.call != nil {
		t.call.cancel()
	}
	tn.m.health.setFailing(t, "")
	tn.unsubscribe()
	tn.wake.set()
}

// setRequest records which engine call t wants next; nil for none.
func (tn *tenant) setRequest(t *tracker, r *request, now time.Time) {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	_, isTracked := tn.trackers[t]
	t.polledByPeer = now.Before(t.otherLeaseUntil)
	if r == nil || t.call != nil || !isTracked {
		delete(tn.requests, t)
		return
	}
	before := tn.requests[t]
	tn.requests[t] = r
	if before == nil || before.action != r.action || !r.at.After(now) {
		tn.wake.set()
	}
}

// finishCall ends a call whose outcome t has taken.
func (tn *tenant) finishCall(t *tracker, c *call, polled bool) {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	if t.call == c {
		t.call = nil
	}
	if polled {
		t.polledAt = time.Now()
	}
}

// cancelCall cancels the call in flight for t, which is outdated.
func (tn *tenant) cancelCall(t *tracker) {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	if t.call != nil {
		t.call.cancel()
	}
	t.call = nil
}

// recordSuccess records that session r got a QR at now.
func (tn *tenant) recordSuccess(r session.Ref, now time.Time) {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	tn.successes = slices.DeleteFunc(tn.successes, func(s success) bool {
		return s.ref.Matches(r) || now.Sub(s.at) > successTTL
	})
	if len(tn.successes) >= maxSuccesses {
		tn.successes = slices.Delete(tn.successes, 0, 1)
	}
	tn.successes = append(tn.successes, success{r, now})
}

// peerSuccesses is how many other sessions got a QR after since; the caller holds tn.mu.
func (tn *tenant) peerSuccesses(r session.Ref, since time.Time) int {
	n := 0
	for _, s := range tn.successes {
		if s.at.After(since) && !s.ref.Matches(r) {
			n++
		}
	}
	return n
}

// waitingSince ranks a session in the queue: by its connect, or by the request when no connect passed here.
func waitingSince(s session.Session) time.Time {
	if s.ConnectedAt.IsZero() {
		return s.AcquiringSince
	}
	return s.ConnectedAt
}

// queueState is what the rate limit means for one session.
type queueState struct {
	wait          time.Duration // until it allows the next poll; 0 when it allows one now
	position      int           // among the sessions that wait, the oldest connect first; 0 when none has to
	remaining     int           // calls that the engine still allows; -1 when it does not say
	peerSuccesses int           // other sessions that got a QR during this acquisition
	isPushed      bool          // the engine reports changes by itself
}

// queueState returns it for session s of t, and ranks t in the queue.
func (tn *tenant) queueState(t *tracker, s session.Session, now time.Time) queueState {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	since := s.AcquiringSince
	if since.IsZero() {
		since = s.ConnectedAt
	}
	q := queueState{
		remaining: tn.limiter.remaining(now), peerSuccesses: tn.peerSuccesses(s.Ref, since), isPushed: tn.isPushed(),
	}
	isWaiting := s.State == session.Connecting && !s.AcquiringSince.IsZero()
	delete(tn.waiting, t)
	if _, ok := tn.trackers[t]; isWaiting && ok {
		tn.waiting[t] = waitingSince(s)
	}
	if !isWaiting || len(tn.limiter.windows) == 0 && !tn.limiter.pausedUntil.After(now) {
		return q
	}
	poll := &request{action: action{kind: pollQR}, tracker: t, session: &s}
	at := tn.pollAllowedAt(plan{list: len(tn.waiting) > 1, single: poll}, now)
	if s.Recovery.FailedConnects > 0 {
		at = latest(at, s.Recovery.LastTriedAt.Add(s.History.ConnectFailure.RetryAfter))
	}
	if wait := at.Sub(now); wait > time.Second {
		q.wait, q.position = wait, 1
		for _, other := range tn.waiting {
			if other.Before(tn.waiting[t]) {
				q.position++
			}
		}
	}
	return q
}

// dispatch grants the calls that are due and allowed, and returns when it must run again.
func (tn *tenant) dispatch(now time.Time) (wakeAt time.Time) {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	wakeAt = tn.dispatchRecoveries(now, now.Add(idleTTL))
	for {
		p := tn.batcher.next(tn.requestsOf(false), tn.polledElsewhere(), now)
		if p.wakeAt.After(now) {
			wakeAt = earliest(wakeAt, p.wakeAt)
		}
		if !p.list && p.single == nil {
			return wakeAt
		}
		if at := tn.pollAllowedAt(p, now); at.After(now) {
			return earliest(earliest(wakeAt, at), now.Add(limiterRetryInterval))
		}
		if p.list {
			tn.startList(now)
		} else {
			tn.startSingle(p, now)
		}
	}
}

const (
	// limiterRetryInterval is how soon the rate limit is read again: fewer client calls may be expected by then.
	limiterRetryInterval = 500 * time.Millisecond
	// staggerInterval is the time between polls of several replicas that the rate limit allows at the same moment. After
	// the first one, the others know of it.
	staggerInterval = 10 * time.Millisecond
)

// polledElsewhere is how many sessions wait that another replica polls; the caller holds tn.mu.
func (tn *tenant) polledElsewhere() int {
	n := 0
	for t := range tn.waiting {
		if t.polledByPeer && !t.polledAlone {
			n++
		}
	}
	return n
}

// requestsOf returns the recovery steps or the polls that trackers want, the oldest connect first; the caller holds
// tn.mu.
func (tn *tenant) requestsOf(recoveries bool) []*request {
	var found []*request
	for _, r := range tn.requests {
		if (r.kind == recoverQR) == recoveries {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b *request) int {
		return cmp.Or(a.since.Compare(b.since), cmp.Compare(a.session.Ref.ID, b.session.Ref.ID))
	})
	return found
}

// dispatchRecoveries grants recovery steps and returns when the next one is due; the caller holds tn.mu.
func (tn *tenant) dispatchRecoveries(now, wakeAt time.Time) time.Time {
	for _, r := range tn.requestsOf(true) {
		at := r.at
		isStep := !r.session.ConnectedAt.Before(r.session.AcquiringSince)
		if isStep {
			at = latest(at, tn.m.health.recoveryAllowedAt(r.tracker, *r.session))
			at = latest(at, tn.limiter.nextAllowed(time.Time{}, now, recoveryPriority, 0))
		} else {
			at = latest(at, tn.connectAllowedAt(r.tracker, now)) // the retry of a client's connect
		}
		if at.After(now) {
			wakeAt = earliest(wakeAt, at)
			continue
		}
		if isStep {
			tn.m.health.record(&tn.m.health.recoveredAt, now)
		}
		tn.startRecovery(r, now)
	}
	return wakeAt
}

// pollAllowedAt is when the rate limit allows the planned poll; the caller holds tn.mu.
func (tn *tenant) pollAllowedAt(p plan, now time.Time) time.Time {
	tn.limiter.replicas = tn.m.cfg.Replicas()
	if r := p.single; r != nil {
		switch {
		case r.demand.needsAuthCheck:
			return tn.limiter.admits(1, 0, now) // a client's own call, which qrgate makes for it
		case r.verify:
			return tn.limiter.nextAllowed(time.Time{}, now, recoveryPriority, 0)
		case r.kind == pollStatus && r.demand.wantsState:
			return tn.limiter.nextAllowed(time.Time{}, now, highPriority, 0) // likewise
		case r.session.State != session.Connecting && (r.kind == pollStatus || r.session.QR.Fresh(now)):
			return tn.limiter.nextAllowed(tn.lastPoll, now, lowPriority, 0)
		}
	}
	var oldest time.Time
	for t, since := range tn.waiting {
		if snap := t.state.Load(); snap != nil && snap.Session.Failure.Kind == session.KindUnreachable {
			continue // the outage may last longer than that wait
		}
		if now.Sub(since) < freshWindow && (oldest.IsZero() || since.Before(oldest)) {
			oldest = since
		}
	}
	priority, horizon, last := normalPriority, time.Duration(0), tn.lastPoll
	if !oldest.IsZero() {
		priority, horizon, last = highPriority, freshWindow, latest(tn.lastPoll, oldest)
	}
	if tn.m.cfg.SharesStore && p.due != nil {
		last = last.Add(time.Duration(p.due.session.Ref.ID%8) * staggerInterval)
	}
	isUrgent := tn.isUrgent(p, now)
	switch {
	case p.list:
		priority = listPriority
	case isUrgent:
		priority = highPriority // the client's own request would be a call, too
	}
	if isUrgent {
		last = time.Time{}
	}
	return tn.limiter.nextAllowed(last, now, priority, horizon)
}

// isUrgent reports whether a planned poll is urgent for a session; the caller holds tn.mu.
func (tn *tenant) isUrgent(p plan, now time.Time) bool {
	isDivided := tn.limiter.replicas > 1
	if !p.list {
		return p.single.isUrgent(isDivided, now)
	}
	for _, r := range tn.requests {
		if r.isBatchable(now) && r.isUrgent(isDivided, now) {
			return true
		}
	}
	return false
}

// onRateLimits records what the engine reported of its limits, in the response to a call of qrgate's own that began at
// startedAt, or to a client's, with the zero time.
func (tn *tenant) onRateLimits(
	limits []session.RateLimit, limited bool, startedAt time.Time, retryAfter time.Duration, now time.Time,
) {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	if tn.calls == 1 && tn.limiter.isAlone(startedAt) {
		tn.limiter = tn.limiter.updateExactly(limits, now)
	} else {
		tn.limiter = tn.limiter.update(limits, now)
	}
	if startedAt.IsZero() && len(limits) > 0 {
		tn.limiter = tn.limiter.addClientCall(now)
	}
	if limited {
		tn.limiter = tn.limiter.pause(retryAfter, now)
	}
	if limited || len(limits) > 0 {
		tn.shared.hasNews = true
		tn.shareLimits(true)
	}
	tn.recordAnswer()
	tn.wake.set()
}

// recordAnswer lets the creates that wait try again; the caller holds tn.mu.
func (tn *tenant) recordAnswer() {
	tn.hasAnswered = true
	close(tn.changed)
	tn.changed = make(chan struct{})
}
