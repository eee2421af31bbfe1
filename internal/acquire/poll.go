package acquire

import (
	"context"
	"errors"
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

// pollResult is the outcome of a poll.
type pollResult struct {
	op        string
	report    session.SessionReport
	err       error
	startedAt time.Time
}

func unchanged(s session.Session, _ time.Time) session.Session { return s }

// begin counts a call and marks the trackers that it is for; the caller holds tn.mu.
func (tn *tenant) begin(c *call, now time.Time, trackers ...*tracker) {
	for _, t := range trackers {
		t.call = c
		delete(tn.requests, t)
	}
	tn.calls++
	tn.limiter = tn.limiter.consume(now)
}

// goCall runs a call and ends it.
func (tn *tenant) goCall(run func()) {
	tn.m.wg.Go(func() {
		run()
		tn.mu.Lock()
		tn.calls--
		tn.mu.Unlock()
		tn.poke()
	})
}

// startSingle polls one session; others says that the list could answer more sessions that wait. The caller holds tn.mu.
func (tn *tenant) startSingle(r *request, others bool, now time.Time) {
	timeout := pollTimeout
	f := r.session.History.PollFailure
	timesOut := f.Kind == session.KindTimeout && f.Times >= slowPollAfter && now.Sub(f.LastAt) < recoveryCooldown
	if r.kind == pollQR && timesOut {
		timeout = slowPollTimeout
	}
	ctx, cancel := context.WithTimeout(tn.m.base, timeout)
	c := &call{request: *r, cancel: cancel}
	tn.begin(c, now, r.tracker)
	tn.lastPoll = now
	tn.batcher.startSingle(others, now)
	ref := r.session.Ref
	tn.goCall(func() {
		defer cancel()
		p := pollResult{op: session.OpQR, startedAt: time.Now()}
		if c.kind == pollStatus {
			p.op = session.OpStatus
			p.report, p.err = tn.m.cfg.Engine.Status(ctx, tn.caller, ref)
		} else {
			p.report, p.err = tn.m.cfg.Engine.QR(ctx, tn.caller, ref)
		}
		tn.recordResponse(p.report.Limits, p.err, p.startedAt)
		tn.deliver(c, c.tracker, p)
		tn.mu.Lock()
		tn.batcher.finishSingle()
		tn.mu.Unlock()
		if p.err == nil && !p.report.Image.Empty() {
			tn.checkList(c.tracker, p.apply(c.tracker.state.Load().snapshot.Session, time.Now()))
		}
	})
}

// deliver brings a poll's outcome to its tracker.
func (tn *tenant) deliver(c *call, t *tracker, p pollResult) {
	m := message{call: c, apply: unchanged}
	if session.KindOf(p.err) != session.KindCanceled {
		t.emitCall(p.op, p.err, p.startedAt)
		tn.m.learnRef(tn.m.base, tn.caller, p.report.Ref, time.Now())
		m.apply, m.polled = p.apply, true
	}
	t.post(m)
}

// apply is the session after the poll. What a client connected meanwhile is not judged by an answer about its
// former life.
func (p pollResult) apply(s session.Session, now time.Time) session.Session {
	if s.ConnectedAt.After(p.startedAt) {
		return s
	}
	if p.op == session.OpStatus {
		s = s.MarkStateQueried(p.startedAt)
	}
	return s.AfterPoll(p.report, p.err, now)
}

// checkList holds the code that the own route of t just showed against the list, at once while others wait: it shows
// the code as well, or it hides theirs too.
func (tn *tenant) checkList(t *tracker, shown session.Session) {
	now := time.Now()
	tn.mu.Lock()
	defer tn.mu.Unlock()
	others := 0
	for other := range tn.waiting {
		if other != t && other.call == nil {
			others++
		}
	}
	if tn.batcher.noteCode(t.noBatch, shown, others, now) && !tn.pollAllowedAt(plan{list: true}, now).After(now) {
		tn.startList(now)
	}
}

// startList polls every session that waits with one list call; the caller holds tn.mu.
func (tn *tenant) startList(now time.Time) {
	evidence := tn.batcher.start()
	c := &call{request: request{action: action{kind: pollQR}}}
	var batch []*tracker
	for t, r := range tn.requests {
		if r.kind != recoverQR && !r.authCheck && !t.noBatch && r.at.Before(now.Add(batchWindow)) {
			batch = append(batch, t)
		}
	}
	tn.begin(c, now, batch...)
	tn.lastPoll = now
	tn.goCall(func() {
		r := listResult{startedAt: time.Now()}
		ctx, cancel := context.WithTimeout(tn.m.base, pollTimeout)
		defer cancel()
		r.list, r.err = tn.m.cfg.Engine.List(ctx, tn.caller)
		tn.recordResponse(r.list.Limits, r.err, r.startedAt)
		tn.applyList(c, r, evidence)
	})
}

// applyList brings a list to every session that it says something about.
func (tn *tenant) applyList(c *call, r listResult, evidence *session.Session) {
	for _, report := range r.list.Sessions {
		tn.m.learnRef(tn.m.base, tn.caller, report.Ref, r.list.At)
	}
	now := time.Now()
	tn.mu.Lock()
	contradicts := tn.batcher.judge(r, evidence, now)
	verdicts := map[*tracker]verdict{}
	for t := range tn.trackers {
		p := t.state.Load()
		if p == nil || t.call != c && (t.call != nil || !wantsList(&p.snapshot.Session)) {
			continue
		}
		v := verdictOf(p.snapshot.Session, r, contradicts)
		t.noBatch = t.noBatch || v.noBatch && !contradicts
		verdicts[t] = v
	}
	tn.batcher.finish(now)
	tn.mu.Unlock()
	reported := false
	for t, v := range verdicts {
		if !reported && (v.err != nil || !v.ignore) {
			t.emitCall(session.OpList, v.err, r.startedAt) // one call, one event
			reported = true
		}
		m := message{call: c, apply: unchanged}
		if !v.ignore && session.KindOf(v.err) != session.KindCanceled {
			m.polled = true
			m.apply = pollResult{op: session.OpList, report: v.report, err: v.err, startedAt: r.startedAt}.apply
		}
		t.post(m)
	}
}

// wantsList reports whether a list has news for a session that did not ask for it: it waits for its QR, or its code
// waits for the scan.
func wantsList(s *session.Session) bool { return s.State.Acquiring() && !s.AcquiringSince.IsZero() }

// ensureList makes sure that the list was read since the call began, for a name that nobody knows. A list that was
// read a moment ago is not read again.
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

// startRecovery asks the engine to begin again; the caller holds tn.mu.
func (tn *tenant) startRecovery(r *request, now time.Time) {
	ctx, cancel := context.WithCancel(tn.m.base)
	c := &call{request: *r, cancel: cancel}
	tn.begin(c, now, r.tracker)
	ref := r.session.Ref
	tn.goCall(func() {
		defer cancel()
		startedAt := time.Now()
		report, err := tn.m.cfg.Engine.Connect(ctx, tn.caller, ref, c.mode)
		tn.recordResponse(report.Limits, err, startedAt)
		apply := update(unchanged)
		if session.KindOf(err) != session.KindCanceled {
			c.tracker.emitCall(session.OpConnect, err, startedAt)
			apply = func(s session.Session, now time.Time) session.Session {
				return afterRecovery(s, c.mode, err, startedAt, now)
			}
		}
		c.tracker.post(message{call: c, apply: apply})
	})
}

// afterRecovery is the session after a connect of qrgate's own. The retry of a client's connect is no recovery step.
func afterRecovery(s session.Session, mode session.ConnectMode, err error, startedAt, now time.Time) session.Session {
	if s.State == session.Unknown || s.ConnectedAt.After(startedAt) {
		return s // stopped, or connected by a client meanwhile
	}
	if !s.ConnectedAt.Before(s.AcquiringSince) {
		s = s.MarkRecovery(mode, startedAt)
	}
	if err != nil {
		return s.AfterConnectError(err, now)
	}
	return s.AfterConnect(mode, now)
}

// recordResponse learns from an answer: the engine's limits and its latency.
func (tn *tenant) recordResponse(limits []session.RateLimit, err error, startedAt time.Time) {
	now := time.Now()
	kind := session.KindOf(err)
	tn.m.health.recordCall(kind, now.Sub(startedAt), now)
	var retryAfter time.Duration
	if e, ok := errors.AsType[*session.EngineError](err); ok && kind == session.KindRateLimited {
		retryAfter = e.RetryAfter
	}
	if kind == session.KindUnreachable {
		tn.mu.Lock()
		tn.limiter = tn.limiter.refund()
		tn.mu.Unlock()
		return
	}
	tn.onRateLimits(limits, kind == session.KindRateLimited, false, retryAfter, now)
}
