package acquire

import (
	"context"
	"errors"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// authTTL is how long the engine's acceptance of a credential for a session is believed (DESIGN 9).
const authTTL = time.Minute

// QR waits for a code that may be handed out to c, at most for the hold. The view tells what came of it.
// The error is a *qrgate.Fault when the engine itself refuses the credential or does not know the session,
// the context's error when the client left, and ErrStopped when the gate stops.
func (p *Pairing) QR(ctx context.Context, c session.Caller, id string, asked session.WaitPreference) (*session.Snapshot, error) {
	return p.retryOnStaleID(ctx, c, id, func() (*session.Snapshot, error) { return p.waitForQR(ctx, c, id, asked) })
}

func (p *Pairing) waitForQR(ctx context.Context, c session.Caller, id string, asked session.WaitPreference) (*session.Snapshot, error) {
	v, err := p.waiter(ctx, c, id)
	if err != nil {
		return &session.Snapshot{}, err
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
	p.cfg.Observe(session.Event{Kind: session.EventWait, At: view.At, Took: view.At.Sub(began), Traffic: c.Traffic,
		Session: label(view.Session.Ref), AcquisitionID: session.AcquisitionID(c.Tenant, v.e.name), To: view.Session.State, Diagnosis: view.Diagnosis.Code, Outcome: outcome(view, err),
		Request: c.RequestMeta.ID, Traceparent: view.Session.Journey})
	return view, err
}

// outcome is how a held request ended. Only a code that could be handed out is a success: one that is there and has
// expired is what an engine leaves behind that fails now.
func outcome(v *session.Snapshot, err error) session.Outcome {
	switch {
	case errors.Is(err, context.Canceled):
		return session.Abandoned
	case err != nil || !v.Authorized || !v.Session.QR.Fresh(v.At):
		return session.Failure
	}
	return session.Success
}

// done reports whether a request for the QR need not wait any longer.
func done(v *session.Snapshot) bool {
	if !v.Authorized {
		return false
	}
	return v.Session.QR.Fresh(v.At) || v.Session.State == session.Connected || v.Diagnosis.NeedsPerson()
}

// Get tells what is believed of a session and starts nothing; only a session whose credential has no
// fresh proof costs the engine one look.
func (p *Pairing) Get(ctx context.Context, c session.Caller, id string) (*session.Snapshot, error) {
	return p.retryOnStaleID(ctx, c, id, func() (*session.Snapshot, error) { return p.peek(ctx, c, id) })
}

func (p *Pairing) peek(ctx context.Context, c session.Caller, id string) (*session.Snapshot, error) {
	v, err := p.waiter(ctx, c, id)
	if err != nil {
		return &session.Snapshot{}, err
	}
	defer v.leave()
	if view, err := v.cachedRefusal(); err != nil {
		return view, err
	}
	now := time.Now()
	return v.wait(ctx, now.Add(p.cfg.Holds.Default), func(v *session.Snapshot) bool { return v.Authorized || v.Session.LastPolledAt.After(now) })
}

// Status is Peek for somebody who polls for the scan: while a code is shown it buys one look every three
// seconds and waits for it.
func (p *Pairing) Status(ctx context.Context, c session.Caller, id string) (*session.Snapshot, error) {
	v, err := p.waiter(ctx, c, id)
	if err != nil {
		return &session.Snapshot{}, err
	}
	defer v.leave()
	now := time.Now()
	view := v.view(now)
	if !view.Authorized || !needsPoll(view.Session) || now.Sub(view.Session.LastPolledAt) < scanPollInterval || view.RateLimitWait > 0 {
		return view, nil
	}
	v.signal(func(e *tracker) { e.asked = now })
	return v.wait(ctx, now.Add(statusHold), func(next *session.Snapshot) bool { return next.Session.LastPolledAt.After(view.Session.LastPolledAt) })
}

// needsPoll reports whether only a look can tell the state: a code waits to be scanned, or the session may
// be linked already.
func needsPoll(s session.Session) bool {
	return s.State == session.AwaitingScan || s.State == session.Connecting && (!s.CreatedHere || s.EverPaired)
}

// statusHold is how long a poll of the state waits for its look.
const statusHold = 2 * time.Second

// Watch waits until the session's view differs from what the caller has seen, or the hold ends.
func (p *Pairing) Watch(ctx context.Context, c session.Caller, id string, seen *session.Snapshot, hold time.Duration) (*session.Snapshot, error) {
	v, err := p.waiter(ctx, c, id)
	if err != nil {
		return &session.Snapshot{}, err
	}
	defer v.leave()
	end := time.Now().Add(min(hold, session.MaxWait))
	v.signal(func(e *tracker) { e.watches++ })
	defer v.signal(func(e *tracker) { e.watches-- })
	return v.wait(ctx, end, func(now *session.Snapshot) bool { return now.Authorized && seen.Changed(now) })
}

// OnConnect tells that the engine accepted a client's connect or restart.
func (p *Pairing) OnConnect(ctx context.Context, c session.Caller, o session.SessionReport, how session.ConnectMode) error {
	return p.apply(ctx, c, o.Ref, func(s session.Session, now time.Time) session.Session {
		s = s.ConnectedBy(c.RequestMeta).AfterConnect(how, now)
		s.AcquiringSince, s.Polls, s.LastRequestedAt = now, 0, now
		if !o.Image.Empty() || o.State == session.Connected {
			s = s.AfterPoll(o, nil, now)
		}
		return s
	})
}

// OnConnectError tells that a client's connect or restart failed with err. The flight carries it on, and Failed
// waits, at most for hold, until a connect is accepted or a QR is there.
func (p *Pairing) OnConnectError(ctx context.Context, c session.Caller, r session.Ref, err error, hold time.Duration) (*session.Snapshot, error) {
	v, verr := p.visitRef(ctx, c, r)
	if verr != nil {
		return &session.Snapshot{}, verr
	}
	defer v.leave()
	v.change(ctx, func(s session.Session, now time.Time) session.Session {
		s.AcquiringSince, s.Polls, s.LastRequestedAt = now, 0, now
		return s.ConnectedBy(c.RequestMeta).AfterConnectError(err, now)
	})
	began := time.Now()
	return v.wait(ctx, began.Add(hold), func(v *session.Snapshot) bool {
		return !v.Session.ConnectedAt.Before(began) || v.Session.State != session.Connecting
	})
}

// OnSessions takes what the engine told a client: ids, and states of sessions that the gate has in mind.
// born marks a session that was just created through this gate.
func (p *Pairing) OnSessions(ctx context.Context, c session.Caller, seen []session.SessionReport, born bool) {
	now := time.Now()
	for _, o := range seen {
		p.learn(ctx, c, o.Ref, now)
		if o.Ref.IsZero() || !born && !p.tracked(c, o.Ref) {
			continue
		}
		_ = p.apply(ctx, c, o.Ref, func(s session.Session, now time.Time) session.Session {
			if born {
				s = s.WithCreateRequest(c.RequestMeta)
			}
			if born && (o.State.Acquiring() || !o.Image.Empty()) { // a create that connects by itself
				s = s.AfterConnect(session.Connect, now)
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
func (p *Pairing) OnRateLimits(c session.Caller, limits []session.RateLimit, refused bool, after time.Duration) {
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
func (p *Pairing) Invalidate(ctx context.Context, c session.Caller, r session.Ref, deleted bool) error {
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
		e.s = session.Session{Ref: e.s.Ref, State: session.Disconnected, Since: time.Now()}
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
	if s := e.s; s.State == session.Connecting && !s.AcquiringSince.IsZero() && s.Sequence == 0 {
		now := time.Now()
		ev := session.Event{Kind: session.EventAcquisition, At: now, Took: now.Sub(s.AcquiringSince), Traffic: d.caller.Traffic, Session: label(s.Ref),
			AcquisitionID: session.AcquisitionID(d.caller.Tenant, e.name), From: s.State, Attempt: s.Polls, Outcome: session.Abandoned, Diagnosis: diagnosis.ClientGone,
			Request: s.Request.ID, Traceparent: s.Journey}
		d.p.wg.Go(func() { d.p.cfg.Observe(ev) }) // not under mu: an observer may be slow
	}
}

// Cached tells what is in mind of the given sessions, in their order, and asks nobody. A session that is
// not in mind has the zero view.
func (p *Pairing) Cached(c session.Caller, refs []session.Ref) []*session.Snapshot {
	out := make([]*session.Snapshot, len(refs))
	for i := range out {
		out[i] = &session.Snapshot{}
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
