package store

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"qrgate/internal/session"
)

// Tiered combines a primary store that may become unavailable with a fallback that does not. It writes to both, so that
// nothing is lost during an outage of the primary; a record that was written meanwhile takes precedence over an older
// one in the primary afterwards.
type Tiered struct {
	primary  Primary
	fallback Fallback
	observe  session.EventHandler
	failed   chan struct{} // an operation failed: the primary is worth a check

	mu          sync.Mutex
	down        bool
	why         string // why the primary is down, in its own words
	reportedAt  time.Time
	recheckedAt time.Time
}

// Primary is a store that all replicas share.
type Primary interface {
	LeasedStore
	Ping(context.Context) error // checks whether every operation works
	Wake(key string)            // wakes this process's watchers of a key
}

// Fallback is a store that can list its records.
type Fallback interface {
	LeasedStore
	Keys() []string
}

const (
	// pingInterval is the interval of health checks of the primary. A primary that failed is not called in between: its
	// timeout delays one request and not all.
	pingInterval = 2 * time.Second

	// reportInterval is the interval of reports while the primary is unavailable.
	reportInterval = 10 * time.Second

	// recheckInterval is the least time between two checks that follow a failed operation at once. Such a check ends an
	// outage that was one slow response. A primary whose operations fail beside successful checks must not flap.
	recheckInterval = 10 * time.Second
)

// NewTiered returns a store of primary and fallback. It starts nothing.
func NewTiered(primary Primary, fallback Fallback, observe session.EventHandler) *Tiered {
	if observe == nil {
		observe = func(session.Event) {}
	}
	return &Tiered{primary: primary, fallback: fallback, observe: observe, failed: make(chan struct{}, 1)}
}

var _ LeasedStore = (*Tiered)(nil)

// Up reports whether the primary is available.
func (t *Tiered) Up() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.down
}

// Why is the reason why the primary is unavailable; "" while it is available.
func (t *Tiered) Why() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.why
}

// Run checks the primary regularly, so that an outage is known before a request meets it. Only a check ends an outage:
// one operation may work where others fail. Run returns nil when ctx ends.
func (t *Tiered) Run(ctx context.Context) error {
	tick := time.NewTicker(pingInterval)
	defer tick.Stop()
	for {
		if err := t.primary.Ping(ctx); ctx.Err() == nil {
			wasUp := t.Up()
			t.setState(err)
			if err == nil && !wasUp {
				t.restore(ctx)
			}
		}
		select {
		case <-tick.C:
		case <-t.failed:
		case <-ctx.Done():
			return nil
		}
	}
}

// recheck lets Run check the primary at once, after an operation failed.
func (t *Tiered) recheck() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now := time.Now(); now.Sub(t.recheckedAt) >= recheckInterval {
		t.recheckedAt = now
		select {
		case t.failed <- struct{}{}:
		default:
		}
	}
}

// restore writes the records of this replica to the primary after an outage, in which the primary may have lost them,
// and of which it has nothing. Where another replica's record is newer, the writer of this one reads it.
func (t *Tiered) restore(ctx context.Context) {
	keys := t.fallback.Keys()
	slices.Sort(keys) // a session's code ("qr") before the session ("st")
	for _, key := range keys {
		records, err := t.fallback.Get(ctx, key)
		if err != nil || records[0].Version == 0 || records[0].TTL <= 0 {
			continue
		}
		r := records[0]
		ok, err := t.try(ctx, func() error { return t.primary.Put(ctx, key, r.Version-1, r) })
		switch {
		case !ok:
			return
		case err != nil:
			t.primary.Wake(key)
		}
	}
}

// setState records whether the primary is available, and reports a change at once and an outage regularly.
func (t *Tiered) setState(err error) {
	now := time.Now()
	t.mu.Lock()
	was := t.down
	t.down, t.why = err != nil, ""
	if err != nil {
		t.why = reason(err)
	}
	why, report := t.why, was != t.down || t.down && now.Sub(t.reportedAt) >= reportInterval
	if report {
		t.reportedAt = now
	}
	t.mu.Unlock()
	if report {
		t.observe(session.Event{Kind: session.EventStore, At: now, Available: err == nil, Reason: why})
	}
}

// reason is the part of a store's error after ErrStoreUnavailable. It does not quote the server.
func reason(err error) string {
	return strings.TrimPrefix(err.Error(), ErrStoreUnavailable.Error()+": ")
}

// try runs an operation on the primary, unless the primary is unavailable; ok means that its result counts.
func (t *Tiered) try(ctx context.Context, op func() error) (ok bool, err error) {
	if !t.Up() {
		return false, nil
	}
	err = op()
	if ok = err == nil || errors.Is(err, ErrVersionConflict); !ok && ctx.Err() == nil {
		t.setState(err)
		t.recheck()
	}
	return ok, err
}

// Get implements [Store]: the newer record of the two stores for each key.
func (t *Tiered) Get(ctx context.Context, keys ...string) ([]Record, error) {
	local, err := t.fallback.Get(ctx, keys...)
	var remote []Record
	ok, _ := t.try(ctx, func() (e error) { remote, e = t.primary.Get(ctx, keys...); return e })
	if !ok {
		return local, err
	}
	for i := range remote {
		if err == nil && local[i].Version > remote[i].Version {
			remote[i] = local[i]
		}
	}
	return remote, nil
}

// Put implements [Store]. A version conflict of the primary counts; its unavailability does not.
func (t *Tiered) Put(ctx context.Context, key string, prev int64, r Record) error {
	ok, err := t.try(ctx, func() error { return t.primary.Put(ctx, key, prev, r) })
	if ok && err != nil {
		return err
	}
	if ok {
		_ = t.fallback.Put(ctx, key, r.Version-1, r) // fails if a newer one was written during an outage
		return nil
	}
	return t.fallback.Put(ctx, key, prev, r)
}

// Watch implements [Store].
func (t *Tiered) Watch(key string) (<-chan struct{}, func()) { return t.primary.Watch(key) }

// Acquire implements [Leases]: without the primary, every replica gets the lease.
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
