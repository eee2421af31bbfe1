package acquire

import (
	"context"
	"errors"
	"strconv"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/internal/store"
)

// update takes an entry from one belief to the next: everybody who waits is woken, the observer is told,
// the store is written. One change of an entry at a time.
func (d *tenant) update(ctx context.Context, e *tracker, f func(session.Session, time.Time) session.Session) session.Session {
	e.write.Lock()
	defer e.write.Unlock()
	now := time.Now()
	d.mu.Lock()
	if e.gone {
		d.mu.Unlock()
		return e.s
	}
	before, prev := e.s, e.version
	after := f(before, now)
	e.s = after
	if after.QR.Present() && !before.QR.Present() {
		d.lastSuccess[e.name] = now
		d.p.lastSuccess.Store(now.UnixNano())
	}
	e.notify()
	d.mu.Unlock()
	d.wake()
	d.emitChanges(e, before, after)
	if needsSave(before, after) && !d.save(ctx, e, after, prev) {
		d.retryUpdate(ctx, e, f)
	}
	return after
}

// retryUpdate applies a change once more, to what another replica wrote meanwhile.
func (d *tenant) retryUpdate(ctx context.Context, e *tracker, f func(session.Session, time.Time) session.Session) {
	now := time.Now()
	d.mu.Lock()
	if e.gone {
		d.mu.Unlock()
		return
	}
	e.s = f(e.s, now)
	s, prev := e.s, e.version
	e.notify()
	d.mu.Unlock()
	d.save(ctx, e, s, prev)
}

// notify wakes all who wait for a change; the desk's mu is held.
func (e *tracker) notify() {
	close(e.changed)
	e.changed = make(chan struct{})
}

// needsSave reports whether another replica would act differently on the new belief.
func needsSave(a, b session.Session) bool {
	if b.AuthorizedAt.IsZero() {
		return false // nothing is kept for a credential that no engine has accepted
	}
	return a.State != b.State || a.Ref != b.Ref || a.Sequence != b.Sequence || a.ConnectedAt != b.ConnectedAt || a.AcquiringSince != b.AcquiringSince ||
		a.QR.Confirmed != b.QR.Confirmed || a.QR.Present() != b.QR.Present() || a.Trouble.Kind != b.Trouble.Kind || a.Pushed != b.Pushed ||
		a.CreatedHere != b.CreatedHere || b.AuthorizedAt.Sub(a.AuthorizedAt) > authTTL/4
}

// save writes a belief. When somebody else has written since, theirs is taken over and save is false.
func (d *tenant) save(ctx context.Context, e *tracker, s session.Session, prev int64) bool {
	version, err := d.p.book.save(ctx, d.page(e), s, prev, time.Now())
	if errors.Is(err, store.ErrVersionConflict) {
		d.reload(ctx, e)
		return false
	}
	if err != nil {
		return true // the store is away; the belief stands in memory
	}
	d.mu.Lock()
	e.version = max(e.version, version)
	d.mu.Unlock()
	return true
}

// reload takes what another replica wrote, if it is newer than what is known here.
func (d *tenant) reload(ctx context.Context, e *tracker) {
	s, version, err := d.p.book.load(ctx, d.page(e), time.Now())
	if err != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if version <= e.version || e.gone {
		return
	}
	s.Ref = s.Ref.Merge(e.s.Ref)
	if s.State == "" {
		s.State = session.Unknown // a tombstone
	}
	e.s, e.version = s, version
	e.notify()
	d.wake()
}

// acquireLease takes the lease of an entry, or renews it.
func (d *tenant) acquireLease(ctx context.Context, e *tracker) bool {
	now := time.Now()
	d.mu.Lock()
	led := e.leaseUntil
	d.mu.Unlock()
	if led.Sub(now) > leaseLife/2 {
		return true
	}
	ok, err := d.p.cfg.Store.Acquire(ctx, d.lease(e), d.p.replicaID, leaseLife)
	if err != nil {
		ok = true // without a store every replica polls for itself; polls are reads
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if ok {
		e.leaseUntil, e.otherLeaseUntil = now.Add(leaseLife), time.Time{}
	} else {
		e.leaseUntil, e.otherLeaseUntil = time.Time{}, now.Add(followInterval)
	}
	return ok
}

// follow reads what the replica that leads has written.
func (d *tenant) follow(ctx context.Context, e *tracker) { d.reload(ctx, e) }

func (d *tenant) lease(e *tracker) string { return d.p.book.key(d.page(e), "lk") }

func (d *tenant) page(e *tracker) recordKey { return recordKey{d.caller, e.name} }

func (d *tenant) belief(e *tracker) session.Session {
	d.mu.Lock()
	defer d.mu.Unlock()
	return e.s
}

// label is how events name a session: by the client's own id where it is known.
func label(r session.Ref) string {
	if r.Name != "" {
		return r.Name
	}
	return strconv.FormatInt(r.ID, 10)
}

// emitChanges reports what a change means.
func (d *tenant) emitChanges(e *tracker, before, after session.Session) {
	now := time.Now()
	d.mu.Lock()
	climate := d.environment(e.name, before, now) // before: what has ended must be explained, and it has the wish's beginning
	climate.Waiting = d.rateLimitWait(e, after, now)
	d.mu.Unlock()
	name := e.name
	ev := session.Event{At: now, Traffic: d.caller.Traffic, Session: label(after.Ref), AcquisitionID: session.AcquisitionID(d.caller.Tenant, name), From: before.State, To: after.State,
		Attempt: after.Polls, Op: after.Trouble.Op, Fault: after.Trouble.Kind, Status: after.Trouble.Status, Code: after.Trouble.Code, Why: after.Trouble.Why,
		Request: after.Request.ID, Traceparent: after.Journey}
	if before.State != after.State {
		ev.Kind, ev.Took = session.EventState, now.Sub(before.Since)
		if before.Since.IsZero() {
			ev.Took = 0
		}
		ev.Diagnosis = session.Diagnose(after, climate, now).Code
		e.lastReportedCause = ev.Diagnosis
		d.p.cfg.Observe(ev)
	} else if cause := session.Diagnose(after, climate, now).Code; after.State == session.Connecting && cause != e.lastReportedCause {
		ev.Kind, ev.Took, ev.Diagnosis = session.EventCause, now.Sub(after.Since), cause
		e.lastReportedCause = cause
		d.p.cfg.Observe(ev)
	}
	if after.QR.Present() && !after.QR.Image.Equal(before.QR.Image) {
		ev.Kind, ev.Sequence, ev.Took = session.EventQR, after.QR.Sequence, now.Sub(after.AcquiringSince)
		d.p.cfg.Observe(ev)
	}
	if out, why := acquisitionOutcome(before, after, climate, now); out != "" {
		ev.Kind, ev.Outcome, ev.Diagnosis, ev.Took = session.EventAcquisition, out, why, now.Sub(before.AcquiringSince)
		d.p.cfg.Observe(ev)
	}
}

// acquisitionOutcome reports how a wish for a QR ended, if this change ended one: with the first code of a connect,
// with a rest, or with a session that turned out to be linked. A later code of the same connect ends none.
func acquisitionOutcome(before, after session.Session, c session.Environment, now time.Time) (session.Outcome, diagnosis.Code) {
	switch {
	case before.State != session.Connecting || before.AcquiringSince.IsZero() || before.Sequence > 0:
	case after.QR.Present():
		return session.Success, diagnosis.None
	case after.State == session.Connected:
		return session.Abandoned, diagnosis.AlreadyPaired
	case after.State == session.Failed && after.AcquiringSince.IsZero():
		d := session.Diagnose(before, c, now)
		if d.Healthy() {
			return session.Failure, diagnosis.Undetermined
		}
		return session.Failure, d.Code
	}
	return "", ""
}

// giveUp gives a wish up; mu is held.
func (d *tenant) giveUp(e *tracker, now time.Time) {
	e.busy = true
	d.inFlight++
	d.goCall(e, func(ctx context.Context) {
		d.update(ctx, e, func(s session.Session, now time.Time) session.Session { return s.GiveUp(now) })
		_ = d.p.cfg.Store.Release(ctx, d.lease(e), d.p.replicaID)
		d.mu.Lock()
		e.leaseUntil = time.Time{}
		d.mu.Unlock()
	})
}

// shutdown lets go of everything when the gate stops.
func (d *tenant) shutdown() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.entries {
		e.unwatch()
		e.notify()
	}
}
