package store

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"qrgate/internal/session"
)

// Tiered is a store that may vanish before one that stays: what the far one cannot do, the near one does.
// Everything is written to both, so that nothing a client was told is lost when the far one goes away, and
// what was written meanwhile outranks what it still holds when it comes back.
type Tiered struct {
	primary, fallback LeasedStore
	ping              func(context.Context) error
	observe           session.EventHandler

	mu    sync.Mutex
	until time.Time // the far store is left alone until then
	down  bool
	why   string // it is down, in the far store's own few words
}

// retryAfter is how long a failed store is left alone: its failure costs somebody 150 ms once, not each time.
const retryAfter = 5 * time.Second

// pingInterval is how often a store is asked whether it is there.
const pingInterval = 2 * time.Second

// NewTiered puts near behind far; ping asks far whether it is there. It starts nothing.
func NewTiered(far, near LeasedStore, ping func(context.Context) error, observe session.EventHandler) *Tiered {
	if observe == nil {
		observe = func(session.Event) {}
	}
	return &Tiered{primary: far, fallback: near, ping: ping, observe: observe}
}

var _ LeasedStore = (*Tiered)(nil)

// Up reports whether the far store answered last.
func (t *Tiered) Up() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.down
}

// Why says in a few words why the far store cannot be reached; "" while it can.
func (t *Tiered) Why() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.why
}

// Run asks the far store from time to time, so that its loss is known before somebody needs it. It returns
// nil when ctx ends.
func (t *Tiered) Run(ctx context.Context) error {
	tick := time.NewTicker(pingInterval)
	defer tick.Stop()
	for {
		t.recordResult(t.ping(ctx), ctx.Err())
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// recordResult learns from the outcome of an operation; stopped marks one that the caller gave up.
func (t *Tiered) recordResult(err, stopped error) {
	if stopped != nil || errors.Is(err, ErrVersionConflict) {
		return
	}
	t.mu.Lock()
	was := t.down
	t.down, t.until, t.why = err != nil, time.Time{}, ""
	if err != nil {
		t.until, t.why = time.Now().Add(retryAfter), reason(err)
	}
	why := t.why
	t.mu.Unlock()
	if was != (err != nil) {
		t.observe(session.Event{Kind: session.EventStore, At: time.Now(), Available: err == nil, Reason: why})
	}
}

// reason is what a store says beyond that it cannot be reached. Its words are its own, never the server's.
func reason(err error) string {
	return strings.TrimPrefix(err.Error(), ErrStoreUnavailable.Error()+": ")
}

// try runs an operation on the far store unless it is resting; ok says that its result stands.
func (t *Tiered) try(ctx context.Context, op func() error) (ok bool, err error) {
	t.mu.Lock()
	resting := time.Now().Before(t.until)
	t.mu.Unlock()
	if resting {
		return false, nil
	}
	err = op()
	t.recordResult(err, ctx.Err())
	return err == nil || errors.Is(err, ErrVersionConflict), err
}

// Get implements [Store]: the newer of the two for each key.
func (t *Tiered) Get(ctx context.Context, keys ...string) ([]Record, error) {
	near, err := t.fallback.Get(ctx, keys...)
	var far []Record
	ok, _ := t.try(ctx, func() (e error) { far, e = t.primary.Get(ctx, keys...); return e })
	if !ok {
		return near, err
	}
	for i := range far {
		if err == nil && near[i].Version > far[i].Version {
			far[i] = near[i]
		}
	}
	return far, nil
}

// Put implements [Store]. The far store's refusal stands; its absence does not.
func (t *Tiered) Put(ctx context.Context, key string, prev int64, r Record) error {
	ok, err := t.try(ctx, func() error { return t.primary.Put(ctx, key, prev, r) })
	if ok && err != nil {
		return err
	}
	if ok {
		_ = t.fallback.Put(ctx, key, r.Version-1, r) // a newer one there was written while far was away
		return nil
	}
	return t.fallback.Put(ctx, key, prev, r)
}

// Watch implements [Store].
func (t *Tiered) Watch(key string) (<-chan struct{}, func()) { return t.primary.Watch(key) }

// Acquire implements [Leases]: without the far store everybody leads.
func (t *Tiered) Acquire(ctx context.Context, key, owner string, ttl time.Duration) (bool, error) {
	held := false
	ok, _ := t.try(ctx, func() (e error) { held, e = t.primary.Acquire(ctx, key, owner, ttl); return e })
	return held || !ok, nil
}

// Release implements [Leases].
func (t *Tiered) Release(ctx context.Context, key, owner string) error {
	_, err := t.try(ctx, func() error { return t.primary.Release(ctx, key, owner) })
	return err
}
