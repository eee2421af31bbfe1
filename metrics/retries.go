package metrics

import (
	"context"
	"sync"
	"time"

	"qrgate/internal/session"
)

// Bounds of what is remembered of failed calls. What failed longer ago than a wish lasts is not tried again,
// it is tried anew.
const (
	failedLife = session.AcquireTimeout
	maxFailed  = 5000 // of each generation
)

func retried() []label1 {
	var legal []label1
	for _, op := range operations() {
		legal = append(legal, label1(op))
	}
	return legal
}

// Engine counts the calls to next that come after a failed one. That a QR is not there yet is no failure.
func (m *Metrics) Engine(next session.Engine) session.Engine {
	return &countedEngine{next: next, retries: m.engineRetries, failed: &failedCalls{}}
}

type countedEngine struct {
	next    session.Engine
	retries counters[label1]
	failed  *failedCalls
}

// Connect implements [qrgate.Engine].
func (e *countedEngine) Connect(ctx context.Context, c session.Caller, r session.Ref, how session.ConnectMode) (session.SessionReport, error) {
	end := e.begin(callKey{c.Tenant, r.CacheKey(), session.OpConnect})
	o, err := e.next.Connect(ctx, c, r, how)
	return o, end(err)
}

// QR implements [qrgate.Engine].
func (e *countedEngine) QR(ctx context.Context, c session.Caller, r session.Ref) (session.SessionReport, error) {
	end := e.begin(callKey{c.Tenant, r.CacheKey(), session.OpQR})
	o, err := e.next.QR(ctx, c, r)
	return o, end(err)
}

// Status implements [qrgate.Engine].
func (e *countedEngine) Status(ctx context.Context, c session.Caller, r session.Ref) (session.SessionReport, error) {
	end := e.begin(callKey{c.Tenant, r.CacheKey(), session.OpStatus})
	o, err := e.next.Status(ctx, c, r)
	return o, end(err)
}

// List implements [qrgate.Engine].
func (e *countedEngine) List(ctx context.Context, c session.Caller) (session.SessionList, error) {
	end := e.begin(callKey{c.Tenant, "", session.OpList})
	roll, err := e.next.List(ctx, c)
	return roll, end(err)
}

// begin counts a call if the one before it with the same aim failed. end keeps how this one ended, and hands
// its error on; a call that was given up changes nothing.
func (e *countedEngine) begin(a callKey) (end func(error) error) {
	if e.failed.has(a, time.Now()) {
		e.retries.inc(label1(a.op))
	}
	return func(err error) error {
		switch callOutcome(faultLabel(session.KindOf(err))) {
		case session.Failure:
			e.failed.add(a, time.Now())
		case session.Success:
			e.failed.drop(a)
		}
		return err
	}
}

// callKey is what a call was made for. It is a key in memory and never a label.
type callKey struct {
	tenant  session.Tenant
	session string // its key, empty for a list
	op      string
}

// failedCalls remembers what failed lately, in two generations: the older one is forgotten as a whole when
// the younger one is full or as old as a wish gets. So nothing is ever searched for what has expired.
type failedCalls struct {
	mu         sync.Mutex
	young, old map[callKey]struct{}
	began      time.Time // of the younger generation
}

func (f *failedCalls) has(a callKey, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rotate(now)
	_, young := f.young[a]
	_, old := f.old[a]
	return young || old
}

func (f *failedCalls) add(a callKey, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rotate(now)
	f.young[a] = struct{}{}
}

func (f *failedCalls) drop(a callKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.young, a)
	delete(f.old, a)
}

// rotate makes the younger generation the older one when it is time; mu is held.
func (f *failedCalls) rotate(now time.Time) {
	age := now.Sub(f.began)
	if f.young != nil && age < failedLife && len(f.young) < maxFailed {
		return
	}
	f.old = f.young
	if age >= 2*failedLife {
		f.old = nil
	}
	f.young, f.began = map[callKey]struct{}{}, now
}
