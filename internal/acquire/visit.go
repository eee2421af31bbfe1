package acquire

import (
	"context"
	"time"

	"qrgate/internal/session"
)

// visit is one request's stay at an entry.
type visit struct {
	d    *tenant
	e    *tracker
	code bool // it waits for the QR, not for news alone
}

// refusalTTL is how long the engine's no is repeated without asking it again.
const refusalTTL = time.Second

// unknownLife is the same for a session that the engine does not know: a create would be heard of.
const unknownLife = 5 * time.Second

// cachedRefusal is the engine's own no of a moment ago: a client that hammers with a wrong key costs one call a
// second, not all of its own.
func (v visit) cachedRefusal() (*session.Snapshot, error) {
	now := time.Now()
	view := v.view(now)
	life := refusalTTL
	if view.Session.Trouble.Kind == session.KindSessionNotFound {
		life = unknownLife
	}
	return view, authError(view, now.Add(-life))
}

// waiter brings a request to the session that its caller means by id.
func (p *Pairing) waiter(ctx context.Context, c session.Caller, id string) (visit, error) {
	return p.visitRef(ctx, c, p.Resolve(ctx, c, id))
}

func (p *Pairing) visitRef(ctx context.Context, c session.Caller, r session.Ref) (visit, error) {
	d, err := p.desk(c)
	if err != nil {
		return visit{}, err
	}
	return visit{d: d, e: d.entry(ctx, r)}, nil
}

// apply brings a fact to a session's belief.
func (p *Pairing) apply(ctx context.Context, c session.Caller, r session.Ref, f func(session.Session, time.Time) session.Session) error {
	v, err := p.visitRef(ctx, c, r)
	if err != nil {
		return err
	}
	defer v.leave()
	v.change(ctx, f)
	return nil
}

// tracked reports whether a session is in mind here.
func (p *Pairing) tracked(c session.Caller, r session.Ref) bool {
	p.mu.Lock()
	d := p.desks[c.Tenant]
	p.mu.Unlock()
	if d == nil {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.entries[r.CacheKey()] != nil
}

// entry returns the entry of a session, read from the store when it is new here, for as long as the visit
// lasts.
func (d *tenant) entry(ctx context.Context, r session.Ref) *tracker {
	name := r.CacheKey()
	d.mu.Lock()
	e := d.entries[name]
	if e == nil {
		e = &tracker{name: name, s: session.Session{Ref: r, State: session.Unknown}, changed: make(chan struct{})}
		d.watch(e)
		d.entries[name] = e
	}
	e.s.Ref = e.s.Ref.Merge(r)
	e.guests++
	d.mu.Unlock()
	e.load.Do(func() { d.reload(ctx, e) })
	return e
}

// watch wakes the desk when another replica writes the entry's record; mu is held.
func (d *tenant) watch(e *tracker) {
	changed, stop := d.p.cfg.Store.Watch(d.p.book.key(d.page(e), "st"))
	ctx, cancel := context.WithCancel(d.p.base)
	e.unwatch = func() { cancel(); stop() }
	d.p.wg.Go(func() {
		for {
			select {
			case <-changed:
				d.reload(ctx, e)
			case <-ctx.Done():
				return
			}
		}
	})
}

func (v visit) leave() {
	v.d.mu.Lock()
	v.e.guests--
	v.e.used = time.Now()
	v.d.mu.Unlock()
	v.d.release()
}

func (v visit) belief() session.Session { return v.d.belief(v.e) }

func (v visit) change(ctx context.Context, f func(session.Session, time.Time) session.Session) {
	if v.d.caller.Credential().Empty() {
		f = withoutAuthorization(f)
	}
	v.d.update(context.WithoutCancel(ctx), v.e, f)
}

// withoutAuthorization takes from f what it believes to be proven. A client without a key may have shown the engine a cookie or
// a key in the query, which the gate does not know it by: to the gate it is the same caller as all who show nothing,
// and they would be handed its code. The gate's own look, which carries nothing, proves what they may see.
func withoutAuthorization(f func(session.Session, time.Time) session.Session) func(session.Session, time.Time) session.Session {
	return func(s session.Session, now time.Time) session.Session {
		after := f(s, now)
		if after.AuthorizedAt.After(s.AuthorizedAt) {
			after.AuthorizedAt = s.AuthorizedAt
		}
		return after
	}
}

// requestQR says that somebody wants the QR. Most who do join a pursuit that is on: that is noted, and is no change that
// others should be woken for.
func (v visit) requestQR(ctx context.Context, by session.Request) {
	if v.joinAcquisition(time.Now()) {
		v.d.wake()
		return
	}
	v.change(ctx, func(s session.Session, now time.Time) session.Session { return s.RequestQR(now).WithQRRequest(by, s) })
}

// joinAcquisition notes a wish that changes nothing else, and reports whether it is one.
func (v visit) joinAcquisition(now time.Time) bool {
	v.d.mu.Lock()
	defer v.d.mu.Unlock()
	same := v.e.s
	if same.LastRequestedAt = now; v.e.s.RequestQR(now) != same {
		return false
	}
	v.e.s.LastRequestedAt = now
	return true
}

// signal marks an interest and wakes the desk.
func (v visit) signal(f func(*tracker)) {
	v.d.mu.Lock()
	f(v.e)
	v.d.mu.Unlock()
	v.d.wake()
}

// wait waits until done says so, the time is over, or there is nothing to wait for: the client left, no
// slot is free, the engine refuses the credential.
func (v visit) wait(ctx context.Context, end time.Time, done func(*session.Snapshot) bool) (*session.Snapshot, error) {
	began := time.Now()
	view := v.view(began)
	if done(view) || !end.After(began) && view.Authorized {
		return view, nil
	}
	release, ok := v.acquireSlots(view, end)
	if !ok {
		v.signal(func(e *tracker) { e.lastRejectedWaiter = began }) // the answer is "not yet", at once; the next one may be better
		return view, nil
	}
	defer release()
	timer := time.NewTimer(end.Sub(began))
	defer timer.Stop()
	for {
		view, changed := v.look()
		if err := authError(view, began); err != nil {
			return view, err
		}
		if done(view) || v.gone() {
			return view, nil
		}
		again := time.NewTimer(v.recheckAfter(view))
		select {
		case <-changed:
		case <-again.C:
		case <-timer.C:
			again.Stop()
			return v.view(time.Now()), nil
		case <-ctx.Done():
			again.Stop()
			return v.view(time.Now()), context.Cause(ctx)
		case <-v.d.p.base.Done():
			again.Stop()
			return v.view(time.Now()), ErrStopped
		}
		again.Stop()
	}
}

// recheckAfter is when to look at the view again although nothing changed: a code fades with time alone, a
// diagnosis ripens.
func (v visit) recheckAfter(view *session.Snapshot) time.Duration {
	if left := view.Session.QR.TTL(view.At); view.Session.QR.Present() && left > 0 {
		return min(left, time.Second)
	}
	return time.Second
}

// authError is the engine's own no, when it came in answer to this request.
func authError(v *session.Snapshot, began time.Time) error {
	t := v.Session.Trouble
	if v.Authorized || t.Last.Before(began) {
		return nil
	}
	if t.Kind == session.KindKeyRefused || t.Kind == session.KindSessionNotFound {
		return &session.EngineError{Op: t.Op, Kind: t.Kind, Status: t.Status, Code: t.Code, Text: t.Text, RetryAfter: t.RetryAfter}
	}
	return nil
}

// acquireSlots takes the slots that a waiting request needs, and marks the interest.
func (v visit) acquireSlots(view *session.Snapshot, end time.Time) (release func(), ok bool) {
	d := v.d
	free, ok := d.p.slots.hold(d.caller.Tenant)
	if !ok {
		return nil, false
	}
	strange := func() {}
	if !view.Authorized {
		if strange, ok = d.p.slots.unproven(d.caller.Tenant); !ok {
			free()
			return nil, false
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if v.e.waiting >= d.p.cfg.Caps.Session {
		free()
		strange()
		return nil, false
	}
	v.e.waiting++
	if v.code {
		v.e.qrWaiters++
		if v.e.ends.Before(view.At) || end.Before(v.e.ends) {
			v.e.ends = end
		}
	}
	v.e.needsAuthCheck = v.e.needsAuthCheck || !view.Authorized
	d.wake()
	return func() {
		free()
		strange()
		d.mu.Lock()
		v.e.waiting--
		if v.code {
			v.e.qrWaiters--
		}
		d.mu.Unlock()
		d.wake()
	}, true
}

func (v visit) gone() bool {
	v.d.mu.Lock()
	defer v.d.mu.Unlock()
	return v.e.gone
}

// look is the view, and the channel that closes when it changes.
func (v visit) look() (*session.Snapshot, <-chan struct{}) {
	v.d.mu.Lock()
	changed := v.e.changed
	v.d.mu.Unlock()
	return v.view(time.Now()), changed
}
