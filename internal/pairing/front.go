package pairing

import (
	"context"
	"errors"
	"time"

	"qrgate"
)

// authTTL is how long the engine's acceptance of a credential for a session is believed (DESIGN 9).
const authTTL = time.Minute

// QR waits for a code that may be handed out to c, at most for the hold. The view tells what came of it.
// The error is a *qrgate.Fault when the engine itself refuses the credential or does not know the session,
// the context's error when the client left, and ErrStopped when the gate stops.
func (p *Pairing) QR(ctx context.Context, c qrgate.Caller, id string, asked qrgate.WaitPreference) (*qrgate.Snapshot, error) {
	return p.retryOnStaleID(ctx, c, id, func() (*qrgate.Snapshot, error) { return p.waitForQR(ctx, c, id, asked) })
}

func (p *Pairing) waitForQR(ctx context.Context, c qrgate.Caller, id string, asked qrgate.WaitPreference) (*qrgate.Snapshot, error) {
	v, err := p.waiter(ctx, c, id)
	if err != nil {
		return &qrgate.Snapshot{}, err
	}
	defer v.leave()
	if view, err := v.cachedRefusal(); err != nil {
		return view, err
	}
	v.code = true
	v.requestQR(ctx, c.RequestMeta)
	began := time.Now()
	end := began.Add(waitFor(v.belief(), asked, p.cfg.Holds, began))
	view, err := v.wait(ctx, end, done)
	p.cfg.Observe(qrgate.Event{Kind: qrgate.EventWait, At: view.At, Took: view.At.Sub(began), Traffic: c.Traffic,
		Session: label(view.Session.Ref), AcquisitionID: qrgate.AcquisitionID(c.Tenant, v.e.name), To: view.Session.State, Diagnosis: view.Diagnosis.Code, Outcome: outcome(view, err),
		Request: c.RequestMeta.ID, Traceparent: view.Session.Journey})
	return view, err
}

// outcome is how a held request ended. Only a code that could be handed out is a success: one that is there and has
// expired is what an engine leaves behind that fails now.
func outcome(v *qrgate.Snapshot, err error) qrgate.Outcome {
	switch {
	case errors.Is(err, context.Canceled):
		return qrgate.Abandoned
	case err != nil || !v.Authorized || !v.Session.QR.Fresh(v.At):
		return qrgate.Failure
	}
	return qrgate.Success
}

// done reports whether a request for the QR need not wait any longer.
func done(v *qrgate.Snapshot) bool {
	if !v.Authorized {
		return false
	}
	return v.Session.QR.Fresh(v.At) || v.Session.State == qrgate.Connected || v.Diagnosis.NeedsPerson()
}

// Get tells what is believed of a session and starts nothing; only a session whose credential has no
// fresh proof costs the engine one look.
func (p *Pairing) Get(ctx context.Context, c qrgate.Caller, id string) (*qrgate.Snapshot, error) {
	return p.retryOnStaleID(ctx, c, id, func() (*qrgate.Snapshot, error) { return p.peek(ctx, c, id) })
}

func (p *Pairing) peek(ctx context.Context, c qrgate.Caller, id string) (*qrgate.Snapshot, error) {
	v, err := p.waiter(ctx, c, id)
	if err != nil {
		return &qrgate.Snapshot{}, err
	}
	defer v.leave()
	if view, err := v.cachedRefusal(); err != nil {
		return view, err
	}
	now := time.Now()
	return v.wait(ctx, now.Add(p.cfg.Holds.Default), func(v *qrgate.Snapshot) bool { return v.Authorized || v.Session.LastPolledAt.After(now) })
}

// Status is Peek for somebody who polls for the scan: while a code is shown it buys one look every three
// seconds and waits for it.
func (p *Pairing) Status(ctx context.Context, c qrgate.Caller, id string) (*qrgate.Snapshot, error) {
	v, err := p.waiter(ctx, c, id)
	if err != nil {
		return &qrgate.Snapshot{}, err
	}
	defer v.leave()
	now := time.Now()
	view := v.view(now)
	if !view.Authorized || !needsPoll(view.Session) || now.Sub(view.Session.LastPolledAt) < scanPollInterval || view.RateLimitWait > 0 {
		return view, nil
	}
	v.signal(func(e *tracker) { e.asked = now })
	return v.wait(ctx, now.Add(statusHold), func(next *qrgate.Snapshot) bool { return next.Session.LastPolledAt.After(view.Session.LastPolledAt) })
}

// needsPoll reports whether only a look can tell the state: a code waits to be scanned, or the session may
// be linked already.
func needsPoll(s qrgate.Session) bool {
	return s.State == qrgate.AwaitingScan || s.State == qrgate.Connecting && (!s.CreatedHere || s.EverPaired)
}

// statusHold is how long a poll of the state waits for its look.
const statusHold = 2 * time.Second

// Watch waits until the session's view differs from what the caller has seen, or the hold ends.
func (p *Pairing) Watch(ctx context.Context, c qrgate.Caller, id string, seen *qrgate.Snapshot, hold time.Duration) (*qrgate.Snapshot, error) {
	v, err := p.waiter(ctx, c, id)
	if err != nil {
		return &qrgate.Snapshot{}, err
	}
	defer v.leave()
	end := time.Now().Add(min(hold, qrgate.MaxWait))
	v.signal(func(e *tracker) { e.watches++ })
	defer v.signal(func(e *tracker) { e.watches-- })
	return v.wait(ctx, end, func(now *qrgate.Snapshot) bool { return now.Authorized && seen.Changed(now) })
}

// OnConnect tells that the engine accepted a client's connect or restart.
func (p *Pairing) OnConnect(ctx context.Context, c qrgate.Caller, o qrgate.SessionReport, how qrgate.ConnectMode) error {
	return p.apply(ctx, c, o.Ref, func(s qrgate.Session, now time.Time) qrgate.Session {
		s = s.ConnectedBy(c.RequestMeta).AfterConnect(how, now)
		s.AcquiringSince, s.Polls, s.LastRequestedAt = now, 0, now
		if !o.Image.Empty() || o.State == qrgate.Connected {
			s = s.AfterPoll(o, nil, now)
		}
		return s
	})
}

// OnConnectError tells that a client's connect or restart failed with err. The flight carries it on, and Failed
// waits, at most for hold, until a connect is accepted or a QR is there.
func (p *Pairing) OnConnectError(ctx context.Context, c qrgate.Caller, r qrgate.Ref, err error, hold time.Duration) (*qrgate.Snapshot, error) {
	v, verr := p.visitRef(ctx, c, r)
	if verr != nil {
		return &qrgate.Snapshot{}, verr
	}
	defer v.leave()
	v.change(ctx, func(s qrgate.Session, now time.Time) qrgate.Session {
		s.AcquiringSince, s.Polls, s.LastRequestedAt = now, 0, now
		return s.ConnectedBy(c.RequestMeta).AfterConnectError(err, now)
	})
	began := time.Now()
	return v.wait(ctx, began.Add(hold), func(v *qrgate.Snapshot) bool {
		return !v.Session.ConnectedAt.Before(began) || v.Session.State != qrgate.Connecting
	})
}

// OnSessions takes what the engine told a client: ids, and states of sessions that the gate has in mind.
// born marks a session that was just created through this gate.
func (p *Pairing) OnSessions(ctx context.Context, c qrgate.Caller, seen []qrgate.SessionReport, born bool) {
	now := time.Now()
	for _, o := range seen {
		p.learn(ctx, c, o.Ref, now)
		if o.Ref.IsZero() || !born && !p.tracked(c, o.Ref) {
			continue
		}
		_ = p.apply(ctx, c, o.Ref, func(s qrgate.Session, now time.Time) qrgate.Session {
			if born {
				s = s.WithCreateRequest(c.RequestMeta)
			}
			if born && (o.State.Acquiring() || !o.Image.Empty()) { // a create that connects by itself
				s = s.AfterConnect(qrgate.Connect, now)
			}
			looks, looked := s.Polls, s.LastPolledAt
			s = s.AfterPoll(o, nil, now)
			if o.Image.Empty() {
				s.Polls, s.LastPolledAt = looks, looked // the client's own look, not the gate's
			}
			return s
		})
	}
}

// OnRateLimits takes what the engine said of its budget in an answer to a client.
func (p *Pairing) OnRateLimits(c qrgate.Caller, limits []qrgate.RateLimit, refused bool, after time.Duration) {
	if len(limits) == 0 && !refused {
		return
	}
	d, err := p.desk(c)
	if err != nil {
		return
	}
	defer d.release()
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.budget = d.budget.update(limits, now).addClientCall(now)
	if refused {
		d.budget = d.budget.pause(after, now)
	}
}

// Invalidate drops all that is known of a session: it was deleted, disconnected, or is begun anew.
func (p *Pairing) Invalidate(ctx context.Context, c qrgate.Caller, r qrgate.Ref, deleted bool) error {
	d, err := p.desk(c)
	if err != nil {
		return err
	}
	defer d.release()
	name := r.CacheKey()
	d.mu.Lock()
	if e := d.entries[name]; e != nil {
		d.emitAbandoned(e)
		delete(d.entries, name)
		e.gone = true
		e.s = qrgate.Session{Ref: e.s.Ref, State: qrgate.Disconnected, Since: time.Now()}
		e.unwatch()
		e.notify()
	}
	d.mu.Unlock()
	if deleted {
		p.evict(ctx, c, r)
	}
	return p.book.tombstone(ctx, recordKey{c, name}, time.Now())
}

// emitAbandoned reports a journey that its session's end cut short; mu is held.
func (d *tenant) emitAbandoned(e *tracker) {
	if s := e.s; s.State == qrgate.Connecting && !s.AcquiringSince.IsZero() && s.Sequence == 0 {
		now := time.Now()
		ev := qrgate.Event{Kind: qrgate.EventAcquisition, At: now, Took: now.Sub(s.AcquiringSince), Traffic: d.caller.Traffic, Session: label(s.Ref),
			AcquisitionID: qrgate.AcquisitionID(d.caller.Tenant, e.name), From: s.State, Attempt: s.Polls, Outcome: qrgate.Abandoned, Diagnosis: qrgate.ClientGone,
			Request: s.Request.ID, Traceparent: s.Journey}
		d.p.wg.Go(func() { d.p.cfg.Observe(ev) }) // not under mu: an observer may be slow
	}
}

// Cached tells what is in mind of the given sessions, in their order, and asks nobody. A session that is
// not in mind has the zero view.
func (p *Pairing) Cached(c qrgate.Caller, refs []qrgate.Ref) []*qrgate.Snapshot {
	out := make([]*qrgate.Snapshot, len(refs))
	for i := range out {
		out[i] = &qrgate.Snapshot{}
	}
	p.mu.Lock()
	d := p.desks[c.Tenant]
	p.mu.Unlock()
	if d == nil {
		return out
	}
	now := time.Now()
	for i, r := range refs {
		d.mu.Lock()
		e := d.entries[r.CacheKey()]
		d.mu.Unlock()
		if e != nil {
			out[i] = visit{d: d, e: e}.view(now)
		}
	}
	return out
}
