package acquire

import (
	"context"
	"errors"
	"slices"
	"time"

	"qrgate/internal/session"
)

// Calls to the engine run beside the desk's own goroutine. Each begins with mu held, marks its entries
// busy, and comes back to take its answer under mu.

// pollOne looks at the engine for one session.
func (d *tenant) pollOne(e *tracker, do actionKind, now time.Time) {
	d.markBusy(now, e)
	if do == pollStatus {
		e.s = e.s.MarkStateQueried(now)
	}
	ref := e.s.Ref
	d.goCall(e, func(ctx context.Context) {
		if !d.acquireLease(ctx, e) {
			d.follow(ctx, e)
			return
		}
		began := time.Now()
		ask, op := d.p.cfg.Engine.QR, session.OpQR
		if do == pollStatus {
			ask, op = d.p.cfg.Engine.Status, session.OpStatus
		}
		o, err := ask(ctx, d.caller, ref)
		d.recordResponse(o.Limits, err, began)
		d.applyPoll(ctx, e, op, pollResult{o: o, err: err, began: began})
		if err == nil && !o.Image.Empty() {
			d.verifyList(e)
		}
	})
}

// verifyList sets a code that one session's own route had just now against the next list, and reads that at once while
// others wait for it: it shows the code as well, or it denies theirs too.
func (d *tenant) verifyList(e *tracker) {
	others := len(d.waiting()) // e is busy still, and not among them
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if others < 2 || e.noBatch || !now.After(d.listDisabledUntil) {
		return
	}
	d.listCheckSession = e
	if d.listInFlight == nil && !d.pollAllowedAt(pendingAction{e, action{do: pollQR}}, now).After(now) {
		d.startList(now)
	}
}

// recover asks the engine to begin again.
func (d *tenant) recover(e *tracker, how session.ConnectMode, now time.Time) {
	d.markBusy(now, e)
	if !e.s.ConnectedAt.Before(e.s.AcquiringSince) {
		e.s = e.s.MarkRecovery(how, now) // a rung of the ladder; a first connect that is tried again is none
	}
	ref := e.s.Ref
	d.goCall(e, func(ctx context.Context) {
		if !d.acquireLease(ctx, e) {
			d.follow(ctx, e)
			return
		}
		began := time.Now()
		o, err := d.p.cfg.Engine.Connect(ctx, d.caller, ref, how)
		d.recordResponse(o.Limits, err, began)
		d.emitCall(e, session.OpConnect, pollResult{o: o, err: err, began: began}) // connect
		d.update(ctx, e, func(s session.Session, now time.Time) session.Session {
			if s.State == session.Unknown {
				return s // deleted meanwhile
			}
			if err != nil {
				return s.AfterConnectError(err, now)
			}
			return s.AfterConnect(how, now)
		})
	})
}

// startList refreshes every session that waits with one list call.
func (d *tenant) startList(now time.Time) {
	witness := d.listCheckSession
	d.listInFlight, d.listCheckSession = make(chan struct{}), nil
	d.markBusy(now, nil)
	d.goCall(nil, func(ctx context.Context) {
		began := time.Now()
		roll, err := d.p.cfg.Engine.List(ctx, d.caller)
		d.recordResponse(roll.Limits, err, began)
		d.applyList(ctx, roll, err, began, witness)
	})
}

// applyList takes a list to every entry it speaks of.
func (d *tenant) applyList(ctx context.Context, roll session.SessionList, err error, began time.Time, witness *tracker) {
	for _, o := range roll.Sessions {
		d.p.learn(ctx, d.caller, o.Ref, roll.At)
	}
	waiting := d.waiting()
	denies := err == nil && witness != nil && d.listContradicts(witness, roll, began)
	switch {
	case listFailed(err):
		d.disableList(listCooldown)
	case denies:
		d.disableList(hidingListCooldown)
	}
	for i, e := range waiting {
		s := pollResult{err: err, began: began, quiet: i > 0} // one call, one event
		if err == nil {
			s.o, s.err = d.findInList(e, roll)
		}
		switch {
		case listFailed(err), denies && s.err != nil:
			d.emitCall(e, session.OpList, s) // it proves nothing of this session
		case s.o.Ref.IsZero() && err == nil:
			d.setNoBatch(e)
		default:
			d.applyPoll(ctx, e, session.OpList, s)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.listInFlight)
	d.listInFlight, d.lastListAt = nil, time.Now()
}

// disableList does without the list for a while.
func (d *tenant) disableList(rest time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.listDisabledUntil = time.Now().Add(rest)
}

// listFailed reports whether a list failed for a reason that may be the list's own: it is larger than what is read, too
// slow, broken, or not there at all. That says nothing of one session, whose own route is asked instead.
func listFailed(err error) bool {
	switch session.KindOf(err) {
	case session.KindBadResponse, session.KindServerError, session.KindTimeout, session.KindSessionNotFound, session.KindNotReady:
		return true
	}
	return false
}

// waiting is the entries that a list has news for: those without a code, and those whose code waits for
// its scan.
func (d *tenant) waiting() []*tracker {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []*tracker
	for _, e := range d.entries {
		if e.s.State.Acquiring() && !e.s.AcquiringSince.IsZero() && !e.busy {
			out = append(out, e)
		}
	}
	return out
}

// findInList finds an entry's session in a list. What the list does not show is asked for alone: a session
// beyond the first page, or one whose code the list keeps to itself. A list that shows no code is no
// proof that there is none, so it must not be believed for ever either.
func (d *tenant) findInList(e *tracker, roll session.SessionList) (session.SessionReport, error) {
	belief := d.belief(e)
	ref, state := belief.Ref, belief.State
	for _, o := range roll.Sessions {
		if !same(o.Ref, ref) {
			continue
		}
		if o.State == session.AwaitingScan && o.Image.Empty() {
			d.setNoBatch(e)
		}
		if o.Image.Empty() && o.State != session.Connected && state == session.Connecting {
			return o, &session.EngineError{Op: session.OpList, Kind: session.KindNotReady}
		}
		return o, nil
	}
	return session.SessionReport{}, nil
}

// listContradicts reports whether a list has no code of a session whose own route had shown one just before the list was asked
// for. What was shown earlier proves nothing: it may have been scanned or replaced since.
func (d *tenant) listContradicts(e *tracker, roll session.SessionList, began time.Time) bool {
	belief := d.belief(e)
	i := slices.IndexFunc(roll.Sessions, func(o session.SessionReport) bool { return same(o.Ref, belief.Ref) })
	if q := belief.QR; i < 0 || !q.Present() || q.Seen.After(began) || began.Sub(q.Seen) > listEvidenceTTL || q.TTL(roll.At) <= 0 {
		return false
	}
	return roll.Sessions[i].Image.Empty() && roll.Sessions[i].State != session.Connected
}

func (d *tenant) setNoBatch(e *tracker) {
	d.mu.Lock()
	e.noBatch = true
	d.mu.Unlock()
}

func same(a, b session.Ref) bool {
	return a.ID > 0 && a.ID == b.ID || a.Name != "" && a.Name == b.Name
}

// pollResult is an answer, and when it was asked for.
type pollResult struct {
	o     session.SessionReport
	err   error
	began time.Time
	quiet bool
}

// applyPoll takes a look's answer to the entry's belief.
func (d *tenant) applyPoll(ctx context.Context, e *tracker, op string, s pollResult) {
	if session.KindOf(s.err) == session.KindCanceled {
		return
	}
	d.emitCall(e, op, s)
	d.p.learn(ctx, d.caller, s.o.Ref, time.Now())
	asked := d.belief(e).State
	d.update(ctx, e, func(belief session.Session, now time.Time) session.Session {
		if belief.ConnectedAt.After(s.began) || asked != session.Unknown && belief.State == session.Unknown {
			return belief // begun anew or deleted meanwhile: this answer is about its former life
		}
		e.needsAuthCheck = false
		return belief.AfterPoll(s.o, s.err, now)
	})
}

// emitCall tells the observer about one call.
func (d *tenant) emitCall(e *tracker, op string, s pollResult) {
	if s.quiet {
		return
	}
	belief := d.belief(e)
	ev := session.Event{Kind: session.EventEngineCall, At: time.Now(), Took: time.Since(s.began), Traffic: d.caller.Traffic,
		Session: label(belief.Ref), AcquisitionID: session.AcquisitionID(d.caller.Tenant, e.name), Op: op, Fault: session.KindOf(s.err), Attempt: belief.Polls + 1,
		Request: belief.Request.ID, Traceparent: belief.Journey}
	if f, ok := errors.AsType[*session.EngineError](s.err); ok {
		ev.Status, ev.Code, ev.Why = f.Status, f.Code, f.Reason
	}
	d.p.cfg.Observe(ev)
}

// markBusy counts a call, and marks the entry that it is for; mu is held.
func (d *tenant) markBusy(now time.Time, e *tracker) {
	if e != nil {
		e.busy = true
	}
	d.inFlight++
	d.lastLook = now
	d.budget = d.budget.consume()
}

// goCall runs a call and frees what begin marked.
func (d *tenant) goCall(e *tracker, call func(context.Context)) {
	d.p.wg.Go(func() {
		call(d.p.base)
		d.mu.Lock()
		d.inFlight--
		if e != nil {
			e.busy = false
		}
		d.mu.Unlock()
		d.wake()
	})
}

// recordResponse learns from an answer: the engine's limits, and its pace.
func (d *tenant) recordResponse(limits []session.RateLimit, err error, began time.Time) {
	now := time.Now()
	d.p.pace.answered(session.KindOf(err), now.Sub(began), now)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.budget = d.budget.update(limits, now)
	if f, ok := errors.AsType[*session.EngineError](err); ok && f.Kind == session.KindRateLimited {
		d.budget = d.budget.pause(f.RetryAfter, now)
	}
}
