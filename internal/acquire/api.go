package acquire

import (
	"context"
	"errors"
	"strconv"
	"time"

	"qrgate/internal/session"
)

const (
	refusalTTL   = time.Second            // the engine's refusal is repeated for so long without another call
	notFoundTTL  = 5 * time.Second        // the same for a session that the engine does not know: qrgate sees a create
	statusWait   = 2 * time.Second        // how long a request for the state waits for its poll
	minAuthWait  = 4 * time.Second        // how long a request waits at least for the proof of its credential
	lastAuthWait = 500 * time.Millisecond // the same after a wait for a session that the client did not mean

	// ResponseDelay is how long ago a code may have become old when its response is made: it was fresh when the wait
	// ended.
	ResponseDelay = 100 * time.Millisecond
)

// WaitQR waits for a code that may be handed out to c, as long as preferred. The snapshot tells the outcome. The error
// is a *session.EngineError when the engine itself refuses the credential or does not know the session, the context's
// error when the client left, and session.ErrStopped when qrgate stops.
func (m *Manager) WaitQR(
	ctx context.Context, c session.Caller, id string, preferred session.WaitPreference,
) (snap *session.Snapshot, err error) {
	startedAt := time.Now()
	if t := m.cached(c, id); t != nil && m.base.Err() == nil {
		snap := t.state.Load()
		isRenewed := snap == nil || t.hasEnded(snap) || snap.Session.RequestStartsAcquisition(startedAt)
		if !isRenewed && m.isReady(snap, startedAt) {
			if needsConfirmation(&snap.Session, startedAt) {
				t.setAt(&t.requestedAt, startedAt)
			}
			m.emitWait(c, snap, nil, startedAt)
			return snap, nil
		}
	}
	var ref session.Ref
	err = m.RetryOnStaleID(ctx, c, id, &ref, func() error {
		snap, err = m.waitQR(ctx, c, id, preferred, startedAt)
		ref = snap.Session.Ref
		return err
	})
	return snap, err
}

// isReady reports whether a snapshot's code may be handed out at now.
func (m *Manager) isReady(s *session.Snapshot, now time.Time) bool {
	q := &s.Session.QR
	return isAuthorized(&s.Session, now) && s.Session.State == session.AwaitingScan && s.Session.QRUsable(now) &&
		q.Fresh(now) && !m.health.lastUnreachableAt().After(q.ConfirmedAt)
}

func (m *Manager) waitQR(
	ctx context.Context, c session.Caller, id string, preferred session.WaitPreference, arrivedAt time.Time,
) (*session.Snapshot, error) {
	t, snap, err := m.open(ctx, c, id)
	if err != nil {
		return snap, err
	}
	startedAt := time.Now()
	if t, err = m.requestQR(ctx, c, t, startedAt); err != nil {
		return &session.Snapshot{}, err
	}
	s := t.state.Load().Session
	if s.ConnectedAt.IsZero() && m.cfg.Replicas() > 1 {
		s.ConnectedAt = s.AcquiringSince // another replica may just have sent the connect
	}
	w := &waiter{t: t, interest: inQR, authEndsAt: startedAt.Add(minAuthWait),
		endsAt: arrivedAt.Add(waitFor(&s, preferred, m.cfg.WaitTimes, startedAt))}
	if !startedAt.Before(w.endsAt) && startedAt.Sub(arrivedAt) > minAuthWait { // the client has waited for another session
		w.authEndsAt = startedAt.Add(lastAuthWait)
	}
	isLost := func(snap *session.Snapshot) bool {
		return s.State == session.Connected && snap.Session.State != session.Connected &&
			snap.Session.State != session.Unknown
	}
	replacement := func() (number string, ok bool) { // of one that was deleted and created again, as a list showed
		known, ok := m.cachedRef(c, id)
		return strconv.FormatInt(known.ID, 10), ok && s.Ref.ID > 0 && known.ID > 0 && known.ID != s.Ref.ID
	}
	w.done = func(snap *session.Snapshot, now time.Time) bool {
		return m.isDone(snap, startedAt, now) || isLost(snap) && !snap.Session.LastPolledAt.Before(startedAt)
	}
	if s.State == session.Connected {
		w.endsAt = earliest(w.endsAt, startedAt.Add(statusWait))
	}
	defer w.leave()
	snap, err = w.wait(ctx)
	if err == nil && !snap.Ready {
		w.leave()
		if isLost(snap) { // the engine has lost the pairing, so its next code is awaited
			return m.waitQR(ctx, c, id, preferred, arrivedAt)
		}
		if number, ok := replacement(); ok && number != id {
			m.wg.Go(func() { _ = m.Invalidate(m.base, c, session.Ref{ID: s.Ref.ID}, false) })
			return m.waitQR(ctx, c, number, preferred, arrivedAt)
		}
	}
	err = orNotYet(err)
	if snap.Ready && !m.isReady(snap, time.Now().Add(-ResponseDelay)) { // the engine was unreachable since its poll
		suspect := *snap
		suspect.Ready = false
		snap = &suspect
	}
	m.emitWait(c, snap, err, startedAt)
	return snap, err
}

// open returns the tracker of a session with an up-to-date snapshot, or the engine's own refusal of a moment ago: a
// client that repeats a wrong key costs one call a second.
func (m *Manager) open(ctx context.Context, c session.Caller, id string) (*tracker, *session.Snapshot, error) {
	t, err := m.track(ctx, c, id)
	if err != nil {
		return nil, &session.Snapshot{}, err
	}
	now := time.Now()
	snap := t.state.Load()
	ttl := refusalTTL
	if snap.Session.Failure.Kind == session.KindSessionNotFound {
		ttl = notFoundTTL
	}
	if err := authError(snap, now.Add(-ttl)); err != nil {
		return nil, snap, err
	}
	m.refresh(t, now)
	return t, t.state.Load(), nil
}

// refresh makes the tracker evaluate its snapshot anew if its response may have changed: with time, or because the
// engine was unreachable since the code was confirmed.
func (m *Manager) refresh(t *tracker, now time.Time) {
	snap := t.state.Load()
	suspect := m.health.lastUnreachableAt()
	if !now.Before(snap.ValidUntil) || snap.Ready && suspect.After(snap.Session.QR.ConfirmedAt) {
		t.send(message{apply: func(s session.Session, _ time.Time) session.Session { return s.SuspectQR(suspect) }})
	}
}

// isDone reports whether a request for the QR from startedAt on need not wait any longer. A pairing counts only if the
// engine's state confirms it: errors of engines that say so may mean a session without a code.
func (m *Manager) isDone(s *session.Snapshot, startedAt, now time.Time) bool {
	switch {
	case !isAuthorized(&s.Session, now):
		return false
	case s.Session.State == session.Connected:
		isUnresolved := s.Session.StateQueriedAt.After(startedAt) && s.Session.AnsweredAt.After(startedAt)
		return now.Sub(s.Session.StateConfirmedAt) <= pairedTTL || isUnresolved
	}
	return m.isReady(s, now) || s.Diagnosis.NeedsPerson()
}

// requestQR records a request for the QR. Most requests join an acquisition that runs already, which changes nothing.
func (m *Manager) requestQR(ctx context.Context, c session.Caller, t *tracker, now time.Time) (*tracker, error) {
	t.setAt(&t.requestedAt, now)
	s := &t.state.Load().Session
	if !s.RequestStartsAcquisition(now) {
		return t, nil
	}
	return m.apply(context.WithoutCancel(ctx), c, s.Ref, message{
		apply: func(s session.Session, now time.Time) session.Session {
			return s.RequestQR(now).WithQRRequest(c.RequestMeta, s)
		}})
}

// emitWait reports how a request for the QR ended. Only a code that can be handed out is a success: one that is there
// and has expired is what an engine leaves behind that fails now.
func (m *Manager) emitWait(c session.Caller, snap *session.Snapshot, err error, startedAt time.Time) {
	now := time.Now()
	s := &snap.Session
	outcome := session.Success
	switch {
	case errors.Is(err, context.Canceled):
		outcome = session.Abandoned
	case err != nil || !m.isReady(snap, now):
		outcome = session.Failure
	}
	m.cfg.OnEvent(session.Event{Kind: session.EventWait, At: now, Duration: now.Sub(startedAt), Traffic: c.Traffic,
		Session: s.Ref.String(), AcquisitionID: session.AcquisitionID(c.Tenant, s.Ref.CacheKey()), To: s.State,
		Diagnosis: snap.Diagnosis.Code, Outcome: outcome, RequestID: c.RequestMeta.ID, Traceparent: s.Traceparent})
}

// Get returns what is known of a session and starts nothing; only a session whose credential has no fresh proof costs
// the engine one poll.
func (m *Manager) Get(ctx context.Context, c session.Caller, id string) (snap *session.Snapshot, err error) {
	var ref session.Ref
	err = m.RetryOnStaleID(ctx, c, id, &ref, func() error {
		snap, err = m.get(ctx, c, id)
		if err == nil && snap.Ended && !snap.Authorized { // deleted meanwhile: the engine knows whether it exists again
			snap, err = m.get(ctx, c, id)
		}
		ref = snap.Session.Ref
		return err
	})
	return snap, err
}

func (m *Manager) get(ctx context.Context, c session.Caller, id string) (*session.Snapshot, error) {
	t, snap, err := m.open(ctx, c, id)
	if err != nil {
		return snap, err
	}
	startedAt := time.Now()
	return m.waitPoll(ctx, t, m.cfg.WaitTimes.Default, func(s *session.Snapshot, now time.Time) bool {
		return isAuthorized(&s.Session, now) || s.Session.LastPolledAt.After(startedAt)
	})
}

// waitPoll waits for a poll's outcome until done says so, no longer than max. Where no more requests may wait, it
// returns what is known now.
func (m *Manager) waitPoll(
	ctx context.Context, t *tracker, max time.Duration, done func(*session.Snapshot, time.Time) bool,
) (*session.Snapshot, error) {
	w := &waiter{t: t, interest: inPolls, endsAt: time.Now().Add(max), done: done}
	defer w.leave()
	snap, err := w.wait(ctx)
	return snap, orNotYet(err)
}

// orNotYet is nil for session.ErrTooManyWaiters: the response is what is known now.
func orNotYet(err error) error {
	if errors.Is(err, session.ErrTooManyWaiters) {
		return nil
	}
	return err
}

// Status is Get for a client that polls for the scan: while a code is shown it causes one poll every three seconds and
// waits for it.
func (m *Manager) Status(ctx context.Context, c session.Caller, id string) (*session.Snapshot, error) {
	t, err := m.track(ctx, c, id)
	if err != nil {
		return &session.Snapshot{}, err
	}
	now := time.Now()
	m.refresh(t, now)
	snap := t.state.Load()
	before := snap.Session.LastPolledAt
	isRecent := now.Sub(before) < scanPollInterval || snap.Session.QR.IsPushed
	if isRecent || snap.RateLimitWait > 0 || !isAuthorized(&snap.Session, now) || !needsPoll(&snap.Session) {
		return snap, nil
	}
	t.setAt(&t.stateAskedAt, now)
	return m.waitPoll(ctx, t, statusWait, func(s *session.Snapshot, _ time.Time) bool {
		return s.Session.LastPolledAt.After(before)
	})
}

// needsPoll reports whether only a poll can tell the state: a code waits to be scanned, or the session may be paired
// already.
func needsPoll(s *session.Session) bool {
	return s.State == session.AwaitingScan || s.State == session.Connecting && (!s.CreatedHere || s.EverPaired)
}

// Follow follows all changes of a session; while a client follows, qrgate polls. A follower counts as a waiting request
// until it is closed. The error is session.ErrTooManyWaiters when a limit is reached.
func (m *Manager) Follow(ctx context.Context, c session.Caller, id string) (session.Follower, error) {
	for range 2 { // once more if the tracker ended in between
		t, err := m.track(ctx, c, id)
		if err != nil {
			return nil, err
		}
		f := &follower{waiter{t: t, interest: inChanges, startedAt: time.Now()}}
		if f.join(t.state.Load()) {
			return f, nil
		}
	}
	return nil, session.ErrTooManyWaiters
}

// OnConnect records that the engine accepted a client's connect or restart.
func (m *Manager) OnConnect(
	ctx context.Context, c session.Caller, o session.SessionReport, mode session.ConnectMode,
) error {
	_, err := m.apply(ctx, c, o.Ref, message{cancel: true, apply: func(s session.Session, now time.Time) session.Session {
		s = s.StartAcquiring(now).ConnectedBy(c.RequestMeta).AfterConnect(now)
		s.Ref = s.Ref.Merge(o.Ref)
		return s
	}})
	if err != nil || o.Image.Empty() && o.State != session.Connected {
		return err
	}
	// A change of its own: the acquisition that has begun ends with it.
	_, err = m.apply(ctx, c, o.Ref, message{apply: func(s session.Session, now time.Time) session.Session {
		return s.AfterPoll(o, nil, now)
	}})
	return err
}

// OnConnectError records that a client's connect or restart failed with cerr. The acquisition retries it, and
// OnConnectError waits, as long as max, until a connect is accepted or a QR is there.
func (m *Manager) OnConnectError(
	ctx context.Context, c session.Caller, r session.Ref, cerr error, max time.Duration,
) (*session.Snapshot, error) {
	startedAt := time.Now()
	r = m.storedRef(ctx, c, r) // the engine could not tell that it is gone
	t, err := m.apply(ctx, c, r, message{cancel: true, apply: func(s session.Session, now time.Time) session.Session {
		if s.State == session.Connecting && s.RateLimited() && session.KindOf(cerr) == session.KindRateLimited {
			return s.AfterConnectError(cerr, now) // it waits already, and keeps its place
		}
		return s.StartAcquiring(now).ConnectedBy(c.RequestMeta).AfterConnectError(cerr, now)
	}})
	if err != nil {
		return &session.Snapshot{}, err
	}
	return m.waitPoll(ctx, t, max-time.Since(startedAt), func(s *session.Snapshot, _ time.Time) bool {
		return !s.Session.ConnectedAt.Before(startedAt) || s.Session.State != session.Connecting
	})
}

// OnConnectRefused records that the engine refused a client's connect or restart for a reason that a retry does not
// change. The diagnosis names it until a connect is accepted. It reports whether the engine denies a session that it
// has just created: what is known of that session stays, because the denial is what needs an explanation.
func (m *Manager) OnConnectRefused(
	ctx context.Context, c session.Caller, r session.Ref, cerr error,
) (isDenied bool) {
	isUnknown := session.KindOf(cerr) == session.KindSessionNotFound
	isStranger := session.KindOf(cerr) == session.KindKeyRefused
	if (isUnknown || isStranger) && m.find(c, r) == nil {
		return false // a session that exists nowhere, or a caller who has none here
	}
	t, err := m.apply(ctx, c, r, message{apply: func(s session.Session, now time.Time) session.Session {
		return s.AfterConnectRefused(cerr, now)
	}})
	if err != nil {
		return false
	}
	s := t.state.Load().Session
	return isUnknown && s.CreatedHere && s.ConnectedAt.IsZero()
}

// OnSessions records what the engine reported to a client: ids, and states of tracked sessions. created marks a session
// that was just created through qrgate.
func (m *Manager) OnSessions(ctx context.Context, c session.Caller, reports []session.SessionReport, created bool) {
	now := time.Now()
	for _, o := range reports {
		m.learnRef(ctx, c, o.Ref, now)
		if o.Ref.IsZero() || !created && m.find(c, o.Ref) == nil {
			continue
		}
		_, _ = m.apply(ctx, c, o.Ref, message{apply: func(s session.Session, now time.Time) session.Session {
			return afterReport(s, o, created, c.RequestMeta, now)
		}})
	}
}

// afterReport is the session after the engine reported it to a client.
func afterReport(
	s session.Session, o session.SessionReport, created bool, by session.Request, now time.Time,
) session.Session {
	if created {
		s = s.WithCreateRequest(by)
	}
	if created && (o.State.Acquiring() || !o.Image.Empty()) { // a create that connects by itself
		s = s.AfterConnect(now)
	}
	before := s
	s = s.AfterPoll(o, nil, now)
	if o.Image.Empty() { // the client's own call, not qrgate's
		s.Polls, s.LastPolledAt, s.ScheduledPolls = before.Polls, before.LastPolledAt, before.ScheduledPolls
	}
	return s
}

// OnRateLimits records what the engine reported of its limits in a response to a client; limited marks a 429.
func (m *Manager) OnRateLimits(c session.Caller, limits []session.RateLimit, limited bool, retryAfter time.Duration) {
	if len(limits) == 0 && !limited && m.existing(c) == nil {
		return
	}
	tn, err := m.tenant(c)
	if err != nil {
		return
	}
	defer tn.release()
	tn.onRateLimits(limits, limited, time.Time{}, retryAfter, time.Now())
}

// OnEngineChange tells that the engine reports a change of a session by itself: its code is not served any more before
// a poll, which is made at once.
func (m *Manager) OnEngineChange(r session.Ref) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.hasStopped {
		return
	}
	for _, tn := range m.tenants {
		tn.mu.Lock()
		t := tn.byID[r.ID]
		tn.mu.Unlock()
		if t != nil {
			t.markChanged()
		}
	}
}

// OnEngineUnreachable records that a call which is not the manager's own did not reach the engine: codes that were
// obtained before are handed out only after one more poll.
func (m *Manager) OnEngineUnreachable() { m.health.record(&m.health.unreachableAt, time.Now()) }

// Invalidate drops all that is known of a session: it was deleted, disconnected, or is started anew.
func (m *Manager) Invalidate(ctx context.Context, c session.Caller, r session.Ref, deleted bool) error {
	t := m.find(c, r)
	if t == nil && m.cfg.OnChange != nil {
		t, _ = m.trackRef(ctx, c, r) // its stored state tells what the end changes
	}
	hasEnded := t != nil && t.send(message{end: true})
	if t != nil {
		r = r.Merge(t.state.Load().Session.Ref)
	}
	if deleted {
		m.evictRef(ctx, c, r)
	}
	if hasEnded {
		return t.endErr
	}
	return m.store.deleteSession(ctx, recordKey{c, r.CacheKey()}, time.Now())
}

// Cached returns what is known of the given sessions, in their order, without a call. A session that is not tracked has
// the zero snapshot.
func (m *Manager) Cached(c session.Caller, refs []session.Ref) []*session.Snapshot {
	out := make([]*session.Snapshot, len(refs))
	for i, r := range refs {
		out[i] = &session.Snapshot{}
		if t := m.find(c, r); t != nil && t.state.Load() != nil {
			out[i] = t.state.Load()
		}
	}
	return out
}
