package acquire

import (
	"context"
	"time"

	"qrgate/internal/session"
)

// Engine calls. Each is started with the tenant's lock held, runs in a goroutine of its own, and brings its outcome to
// the tracker, which is its session's only writer.

const (
	pollTimeout     = 5 * time.Second
	slowPollTimeout = 15 * time.Second // after polls that timed out: some engines answer when the code is there
	slowPollAfter   = 2                // polls in a row that timed out
)

// pollResult is the outcome of a poll for one session.
type pollResult struct {
	op          string
	report      session.SessionReport
	err         error
	startedAt   time.Time
	outageAt    time.Time // when a call for any session last did not reach the engine
	ignore      bool      // it is no news about the session
	polledAlone bool      // lists do not show the session
	isForOthers bool      // the call was made for other sessions
}

func unchanged(s session.Session, _ time.Time) session.Session { return s }

// startCall counts a call, marks the trackers that it is for, and runs it; the caller holds tn.mu.
func (tn *tenant) startCall(c *call, now time.Time, run func(), trackers ...*tracker) {
	for _, t := range trackers {
		t.call = c
		delete(tn.requests, t)
	}
	tn.calls++
	tn.consume(now)
	tn.m.wg.Go(func() {
		run()
		c.cancel()
		tn.mu.Lock()
		tn.calls--
		tn.mu.Unlock()
		tn.wake.set()
	})
}

// startSingle polls one session; the caller holds tn.mu.
func (tn *tenant) startSingle(plan plan, now time.Time) {
	r := plan.single
	timeout := pollTimeout
	f := r.session.History.PollFailure
	timesOut := f.Kind == session.KindTimeout && f.Times >= slowPollAfter && now.Sub(f.LastAt) < recoveryCooldown
	if r.kind == pollQR && timesOut {
		timeout = slowPollTimeout
	}
	ctx, cancel := context.WithTimeout(tn.m.base, timeout)
	c := &call{cancel}
	if !r.demand.needsAuthCheck && !(r.kind == pollStatus && r.demand.wantsState) {
		tn.lastPoll = now // clients' own calls, which qrgate makes for them, delay no other session's poll
	}
	tn.batcher.startSingle(plan.others, now)
	t, ref := r.tracker, r.session.Ref
	tn.startCall(c, now, func() {
		p := pollResult{op: session.OpQR, startedAt: time.Now()}
		ask := tn.m.cfg.Engine.QR
		if r.kind == pollStatus {
			p.op, ask = session.OpStatus, tn.m.cfg.Engine.Status
		}
		p.report, p.err = ask(ctx, tn.caller, ref)
		tn.recordResponse(p.report.Limits, p.err, p.startedAt)
		if session.KindOf(p.err) != session.KindCanceled {
			t.emitCall(p.op, p.err, p.startedAt)
			tn.m.learnRef(tn.m.base, tn.caller, p.report.Ref, p.startedAt)
		}
		p.deliver(c, t)
		tn.finishSingle(t, p)
	}, t)
}

// deliver brings the outcome to a tracker.
func (p pollResult) deliver(c *call, t *tracker) {
	p.outageAt = t.m.health.lastUnreachableAt()
	m := message{call: c, apply: unchanged}
	if !p.ignore && session.KindOf(p.err) != session.KindCanceled {
		m.apply, m.polled = p.apply, true
	}
	t.post(m)
}

// apply is the session after the poll. A poll that began before the session's last connect is no news about it.
func (p pollResult) apply(s session.Session, now time.Time) session.Session {
	if s.ConnectedAt.After(p.startedAt) {
		return s
	}
	if p.op == session.OpStatus {
		s.StateQueriedAt = p.startedAt
	}
	if !s.ChangedAt.After(p.startedAt) {
		s.ChangedAt = time.Time{}
	}
	s.OutageAt = latest(s.OutageAt, p.outageAt)
	own := s.ScheduledPolls
	s = s.AfterPoll(p.report, p.err, now)
	if p.isForOthers {
		s.ScheduledPolls = min(s.ScheduledPolls, own)
	}
	return s
}

// finishSingle records the end of a single poll of t. If it showed a code while other sessions wait, the list is read
// at once: it shows the code as well, or it hides theirs too.
func (tn *tenant) finishSingle(t *tracker, p pollResult) {
	now := time.Now()
	tn.mu.Lock()
	defer tn.mu.Unlock()
	tn.batcher.verifiesUntil = time.Time{}
	if p.err != nil || p.report.Image.Empty() || t.polledAlone {
		return
	}
	others := 0
	for other := range tn.waiting {
		if other != t && other.call == nil {
			others++
		}
	}
	shown := p.apply(t.state.Load().Session, now)
	if tn.batcher.recordCode(shown, others, now) && !tn.pollAllowedAt(plan{list: true}, now).After(now) {
		tn.startList(now)
	}
}

// startList polls every session that waits with one list call; the caller holds tn.mu.
func (tn *tenant) startList(now time.Time) {
	evidence := tn.batcher.start(now)
	c := &call{func() {}}
	var batch []*tracker
	for t, r := range tn.requests {
		if r.isBatchable(now) {
			batch = append(batch, t)
		}
	}
	tn.lastPoll = now
	tn.startCall(c, now, func() {
		r := listResult{startedAt: time.Now()}
		ctx, cancel := context.WithTimeout(tn.m.base, pollTimeout)
		defer cancel()
		r.list, r.err = tn.m.cfg.Engine.List(ctx, tn.caller)
		tn.recordResponse(r.list.Limits, r.err, r.startedAt)
		for _, report := range r.list.Sessions {
			tn.m.learnRef(tn.m.base, tn.caller, report.Ref, r.startedAt)
		}
		tn.applyList(c, r, evidence)
	}, batch...)
}

// applyList brings a list to every session that it has news for: those that asked for it, those that wait for a QR, and
// those whose code waits for the scan.
func (tn *tenant) applyList(c *call, r listResult, evidence *session.Session) {
	tn.mu.Lock()
	contradicts := tn.batcher.finish(r, evidence, time.Now())
	results := map[*tracker]pollResult{}
	for t := range tn.trackers {
		snap := t.state.Load()
		if snap == nil {
			continue
		}
		s := &snap.Session
		isConcerned := t.call == nil && s.State.Acquiring() && !s.AcquiringSince.IsZero()
		if t.call == c || isConcerned {
			p := r.resultFor(s, contradicts)
			p.isForOthers = t.call != c
			t.polledAlone = t.polledAlone || p.polledAlone
			results[t] = p
		}
	}
	tn.mu.Unlock()
	hasReported := false
	for t, p := range results {
		if !hasReported && (p.err != nil || !p.ignore) {
			t.emitCall(session.OpList, p.err, p.startedAt) // one call, one event
			hasReported = true
		}
		p.deliver(c, t)
	}
}

// ensureList reads the list, for a name that is not known, unless it was read a moment ago.
func (tn *tenant) ensureList(ctx context.Context) {
	now := time.Now()
	tn.mu.Lock()
	if now.Sub(tn.batcher.lastListAt) < minListInterval || tn.limiter.pausedUntil.After(now) {
		tn.mu.Unlock()
		return
	}
	if !tn.batcher.inFlight {
		tn.startList(now)
	}
	done := tn.batcher.done
	tn.mu.Unlock()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// startRecovery connects or restarts a session; the caller holds tn.mu.
func (tn *tenant) startRecovery(r *request, now time.Time) {
	ctx, cancel := context.WithCancel(tn.m.base)
	c := &call{cancel}
	t, ref := r.tracker, r.session.Ref
	tn.startCall(c, now, func() {
		startedAt := time.Now()
		report, err := tn.m.cfg.Engine.Connect(ctx, tn.caller, ref, r.mode)
		tn.recordResponse(report.Limits, err, startedAt)
		apply := update(unchanged)
		if session.KindOf(err) != session.KindCanceled {
			t.emitCall(session.OpConnect, err, startedAt)
			apply = func(s session.Session, now time.Time) session.Session {
				return afterRecovery(s, r.mode, err, startedAt, now)
			}
		}
		t.post(message{call: c, apply: apply})
	}, t)
}

// afterRecovery is the session after a connect of qrgate's own. The retry of a client's connect is no recovery step.
func afterRecovery(s session.Session, mode session.ConnectMode, err error, startedAt, now time.Time) session.Session {
	if s.State == session.Unknown || s.ConnectedAt.After(startedAt) {
		return s // stopped, or connected by a client meanwhile
	}
	failure := session.AsEngineError(err)
	if !s.ConnectedAt.Before(s.AcquiringSince) && (failure == nil || !failure.IsNotReceived()) {
		s = s.MarkRecovery(mode, startedAt)
	}
	if err != nil {
		return s.AfterConnectError(err, now)
	}
	return s.AfterConnect(now)
}

// recordResponse records the engine's limits and its latency.
func (tn *tenant) recordResponse(limits []session.RateLimit, err error, startedAt time.Time) {
	now := time.Now()
	kind := session.KindOf(err)
	tn.m.health.recordCall(kind, now.Sub(startedAt), now)
	failure := session.AsEngineError(err)
	switch {
	case failure != nil && failure.IsNotReceived():
		tn.mu.Lock()
		tn.refund()
		tn.mu.Unlock()
	case kind == session.KindRateLimited:
		tn.onRateLimits(limits, true, startedAt, failure.RetryAfter, now)
	case kind != session.KindUnreachable || len(limits) > 0:
		tn.onRateLimits(limits, false, startedAt, 0, now)
	}
}
