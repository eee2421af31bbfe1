package acquire

import (
	"context"
	"errors"
	"time"

	"qrgate/internal/session"
)

const (
	refusalTTL  = time.Second     // the engine's refusal is repeated for so long without asking it again
	notFoundTTL = 5 * time.Second // the same for a session that the engine does not know: a create would be noticed
	statusWait  = 2 * time.Second // how long a request for the state waits for its poll
	minAuthWait = 4 * time.Second // how long a request waits at least for the proof of its credential
)

// WaitQR waits for a code that may be handed out to c, as long as preferred. The snapshot tells what came of it. The
// error is a *session.EngineError when the engine itself refuses the credential or does not know the session, the
// context's error when the client left, and session.ErrStopped when qrgate stops.
func (m *Manager) WaitQR(
	ctx context.Context, c session.Caller, id string, preferred session.WaitPreference,
) (*session.Snapshot, error) {
	if t := m.cached(c, id); t != nil && m.base.Err() == nil {
		if snap := m.readySnapshot(t, time.Now()); snap != nil {
			m.emitWait(c, snap, nil, time.Now())
			return snap, nil
		}
	}
	return m.retryOnStaleID(ctx, c, id, func() (*session.Snapshot, error) { return m.waitQR(ctx, c, id, preferred) })
}

// readySnapshot is the snapshot of t if its code can be handed out at once; nil otherwise.
func (m *Manager) readySnapshot(t *tracker, now time.Time) *session.Snapshot {
	p := t.state.Load()
	if p == nil || p.ended || !m.isReady(p.snapshot, now) || p.snapshot.Session.RequestRenews(now) {
		return nil
	}
	return p.snapshot
}

// isReady reports whether a snapshot's code may be handed out at now.
func (m *Manager) isReady(s *session.Snapshot, now time.Time) bool {
	q := &s.Session.QR
	return isAuthorized(&s.Session, now) && s.Session.State == session.AwaitingScan && s.Session.QRUsable(now) &&
		q.Fresh(now) && !m.health.lastUnreachableAt().After(q.ConfirmedAt)
}

func (m *Manager) waitQR(
	ctx context.Context, c session.Caller, id string, preferred session.WaitPreference,
) (*session.Snapshot, error) {
	t, err := m.track(ctx, c, id)
	if err != nil {
		return &session.Snapshot{}, err
	}
	if snap, err := m.cachedRefusal(t); err != nil {
		return snap, err
	}
	startedAt := time.Now()
	m.refresh(t, startedAt)
	if t, err = m.requestQR(ctx, c, t); err != nil {
		return &session.Snapshot{}, err
	}
	s := &t.state.Load().snapshot.Session
	endsAt := startedAt.Add(waitFor(s, preferred, m.cfg.WaitTimes, startedAt))
	w := &waiter{t: t, interest: inQR, endsAt: endsAt, done: m.isDone}
	snap, err := m.waitAuthorized(ctx, w)
	err = orNotYet(err)
	now := time.Now()
	if snap.Ready && !m.isReady(snap, now) { // the engine was unreachable since the code was confirmed
		suspect := *snap
		suspect.Ready = false
		snap = &suspect
	}
	m.emitWait(c, snap, err, startedAt)
	return snap, err
}

// waitAuthorized waits; who prefers a short wait, or none, still waits for the proof of a credential that the engine
// did not accept lately, because a wrong one must be told so.
func (m *Manager) waitAuthorized(ctx context.Context, w *waiter) (*session.Snapshot, error) {
	now := time.Now()
	if authEnd := now.Add(minAuthWait); !m.isAuthorizedAt(w.t, now) && w.endsAt.Before(authEnd) {
		startedAt := now
		auth := &waiter{t: w.t, interest: inAnything, endsAt: authEnd, done: func(s *session.Snapshot, now time.Time) bool {
			return m.isDone(s, now) || s.Authorized || s.Session.LastPolledAt.After(startedAt)
		}}
		snap, err := m.waitThrough(ctx, auth)
		w.t = auth.t
		if err != nil || !w.endsAt.After(time.Now()) {
			return snap, err
		}
	}
	return m.waitThrough(ctx, w)
}

func (m *Manager) isAuthorizedAt(t *tracker, now time.Time) bool {
	return isAuthorized(&t.state.Load().snapshot.Session, now)
}

// waitThrough waits, and goes on at the tracker that took over if the session turned out to be tracked twice.
func (m *Manager) waitThrough(ctx context.Context, w *waiter) (*session.Snapshot, error) {
	for {
		snap, err := w.wait(ctx)
		p := w.t.state.Load()
		if err != nil || p.successor == nil || !p.successor.awaitLoaded(ctx) {
			return snap, err
		}
		w.t = p.successor
	}
}

// isDone reports whether a request for the QR need not wait any longer.
func (m *Manager) isDone(s *session.Snapshot, now time.Time) bool {
	if !isAuthorized(&s.Session, now) {
		return false
	}
	return m.isReady(s, now) || s.Session.State == session.Connected || s.Diagnosis.NeedsPerson()
}

// requestQR records a request for the QR. Most requests join an acquisition that runs already, which changes nothing.
func (m *Manager) requestQR(ctx context.Context, c session.Caller, t *tracker) (*tracker, error) {
	now := time.Now()
	t.tenant.mu.Lock()
	t.requestedAt = now
	t.tenant.mu.Unlock()
	s := &t.state.Load().snapshot.Session
	if s.RequestRenews(now) {
		apply := func(s session.Session, now time.Time) session.Session {
			return s.RequestQR(now).WithQRRequest(c.RequestMeta, s)
		}
		return m.apply(context.WithoutCancel(ctx), c, s.Ref, message{apply: apply})
	}
	t.poke()
	return t, nil
}

// cachedRefusal is the engine's own refusal of a moment ago: a client that repeats a wrong key costs one call a
// second, not all of its own.
func (m *Manager) cachedRefusal(t *tracker) (*session.Snapshot, error) {
	snap := t.state.Load().snapshot
	ttl := refusalTTL
	if snap.Session.Failure.Kind == session.KindSessionNotFound {
		ttl = notFoundTTL
	}
	return snap, authError(snap, time.Now().Add(-ttl))
}

// emitWait reports how a request for the QR ended.
func (m *Manager) emitWait(c session.Caller, snap *session.Snapshot, err error, startedAt time.Time) {
	now := time.Now()
	s := &snap.Session
	m.cfg.OnEvent(session.Event{Kind: session.EventWait, At: now, Duration: now.Sub(startedAt), Traffic: c.Traffic,
		Session: s.Ref.String(), AcquisitionID: session.AcquisitionID(c.Tenant, s.Ref.CacheKey()), To: s.State,
		Diagnosis: snap.Diagnosis.Code,
		Outcome:   m.waitOutcome(snap, err, now), RequestID: c.RequestMeta.ID, Traceparent: s.Traceparent})
}

// waitOutcome is how a waiting request ended. Only a code that can be handed out is a success: one that is there and
// has expired is what an engine leaves behind that fails now.
func (m *Manager) waitOutcome(s *session.Snapshot, err error, now time.Time) session.Outcome {
	switch {
	case errors.Is(err, context.Canceled):
		return session.Abandoned
	case err != nil || !m.isReady(s, now):
		return session.Failure
	}
	return session.Success
}

// Get returns what is known of a session and starts nothing; only a session whose credential has no fresh proof costs
// the engine one poll.
func (m *Manager) Get(ctx context.Context, c session.Caller, id string) (*session.Snapshot, error) {
	return m.retryOnStaleID(ctx, c, id, func() (*session.Snapshot, error) {
		t, err := m.track(ctx, c, id)
		if err != nil {
			return &session.Snapshot{}, err
		}
		if snap, err := m.cachedRefusal(t); err != nil {
			return snap, err
		}
		startedAt := time.Now()
		m.refresh(t, startedAt)
		return m.waitPoll(ctx, t, m.cfg.WaitTimes.Default, func(s *session.Snapshot, now time.Time) bool {
			return isAuthorized(&s.Session, now) || s.Session.LastPolledAt.After(startedAt)
		})
	})
}

// waitPoll waits for a poll's outcome until done says so, no longer than max. Where no more requests may wait, the
// answer is what is known now.
func (m *Manager) waitPoll(
	ctx context.Context, t *tracker, max time.Duration, done func(*session.Snapshot, time.Time) bool,
) (*session.Snapshot, error) {
	snap, err := m.waitThrough(ctx, &waiter{t: t, interest: inAnything, endsAt: time.Now().Add(max), done: done})
	return snap, orNotYet(err)
}

// orNotYet is nil for session.ErrTooManyWaiters: the answer is what is known now.
func orNotYet(err error) error {
	if errors.Is(err, session.ErrTooManyWaiters) {
		return nil
	}
	return err
}

// refresh makes the tracker evaluate its snapshot anew if its answer may have changed: with time, or because the
// engine was unreachable since the code was confirmed.
func (m *Manager) refresh(t *tracker, now time.Time) {
	snap := t.state.Load().snapshot
	suspect := m.health.lastUnreachableAt()
	if !now.Before(snap.ValidUntil) || snap.Ready && suspect.After(snap.Session.QR.ConfirmedAt) {
		t.send(message{apply: func(s session.Session, _ time.Time) session.Session { return s.SuspectQR(suspect) }})
	}
}

// Status is Get for a client that polls for the scan: while a code is shown it buys one poll every three seconds and
// waits for it.
func (m *Manager) Status(ctx context.Context, c session.Caller, id string) (*session.Snapshot, error) {
	t, err := m.track(ctx, c, id)
	if err != nil {
		return &session.Snapshot{}, err
	}
	now := time.Now()
	m.refresh(t, now)
	snap := t.state.Load().snapshot
	before := snap.Session.LastPolledAt
	isRecent := now.Sub(before) < scanPollInterval
	if isRecent || snap.RateLimitWait > 0 || !isAuthorized(&snap.Session, now) || !needsPoll(&snap.Session) {
		return snap, nil
	}
	t.askState(now)
	return m.waitPoll(ctx, t, statusWait, func(s *session.Snapshot, _ time.Time) bool {
		return s.Session.LastPolledAt.After(before)
	})
}

// needsPoll reports whether only a poll can tell the state: a code waits to be scanned, or the session may be paired
// already.
func needsPoll(s *session.Session) bool {
	return s.State == session.AwaitingScan || s.State == session.Connecting && (!s.CreatedHere || s.EverPaired)
}

// Follow follows all changes of a session; while a client follows, qrgate polls. It counts as a waiting request until it
// is closed, and returns session.ErrTooManyWaiters when a limit is reached.
func (m *Manager) Follow(ctx context.Context, c session.Caller, id string) (session.Follower, error) {
	for range 2 { // once more if the tracker ended in between
		t, err := m.track(ctx, c, id)
		if err != nil {
			return nil, err
		}
		w := &waiter{t: t, interest: inChanges, startedAt: time.Now()}
		if w.join(t.state.Load().snapshot) {
			return &follower{w}, nil
		}
	}
	return nil, session.ErrTooManyWaiters
}

// follower is a session.Follower.
type follower struct{ w *waiter }

// Close implements [session.Follower].
func (f *follower) Close() { f.w.leave() }

// Next implements [session.Follower].
func (f *follower) Next(ctx context.Context, seen *session.Snapshot, max time.Duration) (*session.Snapshot, error) {
	f.w.endsAt = time.Now().Add(max)
	f.w.done = func(s *session.Snapshot, _ time.Time) bool { return s.Ended || s.Authorized && seen.Changed(s) }
	for {
		snap, err := f.w.waitJoined(ctx, time.Now())
		p := f.w.t.state.Load()
		if err != nil || p.successor == nil || !p.successor.awaitLoaded(ctx) {
			return snap, err
		}
		next := &waiter{t: p.successor, interest: inChanges, startedAt: time.Now(), endsAt: f.w.endsAt, done: f.w.done}
		if !next.join(p.successor.state.Load().snapshot) {
			return snap, session.ErrTooManyWaiters
		}
		f.w.leave()
		*f.w = *next
	}
}

// OnConnect takes that the engine accepted a client's connect or restart.
func (m *Manager) OnConnect(
	ctx context.Context, c session.Caller, o session.SessionReport, mode session.ConnectMode,
) error {
	_, err := m.apply(ctx, c, o.Ref, message{cancel: true, apply: func(s session.Session, now time.Time) session.Session {
		s = s.StartAcquiring(now).ConnectedBy(c.RequestMeta).AfterConnect(mode, now)
		s.Ref = s.Ref.Merge(o.Ref)
		if !o.Image.Empty() || o.State == session.Connected {
			s = s.AfterPoll(o, nil, now)
		}
		return s
	}})
	return err
}

// OnConnectError takes that a client's connect or restart failed with cerr. The acquisition carries it on, and
// OnConnectError waits, as long as max, until a connect is accepted or a QR is there.
func (m *Manager) OnConnectError(
	ctx context.Context, c session.Caller, r session.Ref, cerr error, max time.Duration,
) (*session.Snapshot, error) {
	startedAt := time.Now()
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

// OnSessions takes what the engine told a client: ids, and states of sessions that are tracked. created marks a
// session that was just created through qrgate.
func (m *Manager) OnSessions(ctx context.Context, c session.Caller, reports []session.SessionReport, created bool) {
	now := time.Now()
	for _, o := range reports {
		m.learnRef(ctx, c, o.Ref, now)
		if o.Ref.IsZero() || !created && !m.isTracked(c, o.Ref) {
			continue
		}
		_, _ = m.apply(ctx, c, o.Ref, message{apply: func(s session.Session, now time.Time) session.Session {
			return afterReport(s, o, created, c.RequestMeta, now)
		}})
	}
}

// afterReport is the session after the engine told a client of it.
func afterReport(
	s session.Session, o session.SessionReport, created bool, by session.Request, now time.Time,
) session.Session {
	if created {
		s = s.WithCreateRequest(by)
	}
	if created && (o.State.Acquiring() || !o.Image.Empty()) { // a create that connects by itself
		s = s.AfterConnect(session.Connect, now)
	}
	before := s
	s = s.AfterPoll(o, nil, now)
	if o.Image.Empty() { // the client's own call, not qrgate's
		s.Polls, s.LastPolledAt, s.ScheduledPolls = before.Polls, before.LastPolledAt, before.ScheduledPolls
	}
	return s
}

// isTracked reports whether a session is tracked.
func (m *Manager) isTracked(c session.Caller, r session.Ref) bool {
	tn := m.existing(c.Tenant)
	if tn == nil {
		return false
	}
	tn.mu.Lock()
	defer tn.mu.Unlock()
	return tn.find(r) != nil
}

// OnRateLimits takes what the engine said of its limits in an answer to a client; limited marks a 429.
func (m *Manager) OnRateLimits(c session.Caller, limits []session.RateLimit, limited bool, retryAfter time.Duration) {
	tn := m.existing(c.Tenant)
	if tn == nil && len(limits) == 0 && !limited {
		return
	}
	tn, err := m.tenant(c)
	if err != nil {
		return
	}
	defer tn.release()
	tn.onRateLimits(limits, limited, true, retryAfter, time.Now())
}

// OnEngineUnreachable takes that a call which is not the manager's own found nobody at the engine: codes that were
// obtained before are handed out only after one more poll.
func (m *Manager) OnEngineUnreachable() { m.health.recordUnreachable(time.Now()) }

// Invalidate drops all that is known of a session: it was deleted, disconnected, or is started anew.
func (m *Manager) Invalidate(ctx context.Context, c session.Caller, r session.Ref, deleted bool) error {
	tn, err := m.tenant(c)
	if err != nil {
		return err
	}
	defer tn.release()
	tn.mu.Lock()
	t := tn.find(r)
	if t != nil {
		r = r.Merge(t.ref)
	}
	tn.mu.Unlock()
	hasEnded := t != nil && t.send(message{end: true})
	if deleted {
		m.evictRef(ctx, c, r)
	}
	if hasEnded {
		return t.endErr
	}
	return m.store.tombstone(ctx, recordKey{c, r.CacheKey()}, time.Now())
}

// Cached returns what is known of the given sessions, in their order, and asks nobody. A session that is not tracked
// has the zero snapshot.
func (m *Manager) Cached(c session.Caller, refs []session.Ref) []*session.Snapshot {
	out := make([]*session.Snapshot, len(refs))
	for i := range out {
		out[i] = &session.Snapshot{}
	}
	tn := m.existing(c.Tenant)
	if tn == nil {
		return out
	}
	for i, r := range refs {
		tn.mu.Lock()
		t := tn.find(r)
		tn.mu.Unlock()
		if t == nil {
			continue
		}
		if p := t.state.Load(); p != nil {
			out[i] = p.snapshot
		}
	}
	return out
}
