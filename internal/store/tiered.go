package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"maps"
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
	marker   string        // key of a record that a primary which lost its data does not have
	failed   chan struct{} // an operation failed: the primary is worth a check

	mu             sync.Mutex
	down           bool
	why            string // why the primary is down, in its own words
	isReportedDown bool
	reportedAt     time.Time
	recheckedAt    time.Time
	succeededAt    time.Time            // the last check that succeeded
	recent         map[string]time.Time // when keys were written: those that the primary may not have
	restoreFrom    time.Time            // the primary may lack what was written since; zero: it has all
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

	// recentTTL is how far back a failover of the primary may lose writes that it confirmed.
	recentTTL = 30 * time.Second
	maxRecent = 20_000 // keys; with more of them, all records are restored

	// markerTTL is longer than most outages. After a longer one all records are restored.
	markerTTL = time.Hour
)

// NewTiered returns a store of primary and fallback. It starts nothing.
func NewTiered(primary Primary, fallback Fallback, observe session.EventHandler) *Tiered {
	if observe == nil {
		observe = func(session.Event) {}
	}
	return &Tiered{
		primary: primary, fallback: fallback, observe: observe, marker: "{store." + rand.Text() + "}",
		failed: make(chan struct{}, 1), recent: map[string]time.Time{},
	}
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
		if err := t.check(ctx); ctx.Err() == nil {
			if t.setState(err); err == nil {
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

// check checks the primary: before an outage is reported twice, because this process may have been slow.
func (t *Tiered) check(ctx context.Context) error {
	err := t.primary.Ping(ctx)
	t.mu.Lock()
	isReportedDown := t.isReportedDown
	t.mu.Unlock()
	if err != nil && !isReportedDown {
		err = t.primary.Ping(ctx)
	}
	return err
}

// suspend stops the use of the primary after an operation that began at startedAt failed with err, until a check
// succeeds. The first such failure is checked at once and not reported: a primary that is only slow is no outage.
func (t *Tiered) suspend(err error, startedAt time.Time) {
	t.mu.Lock()
	now := time.Now()
	t.restoreFrom = cmp.Or(t.restoreFrom, now)
	isKnown := t.down || startedAt.Before(t.succeededAt)
	isFirst := now.Sub(t.recheckedAt) >= recheckInterval
	if !isKnown && isFirst {
		t.down, t.why, t.recheckedAt = true, reason(err), now
		select {
		case t.failed <- struct{}{}:
		default:
		}
	}
	t.mu.Unlock()
	if !isKnown && !isFirst {
		t.setState(err)
	}
}

// restore writes records of this replica to the primary: what an outage kept from it, or all if it has lost its data.
// Where another replica's record is newer, the writer of this one reads it.
func (t *Tiered) restore(ctx context.Context) {
	marks, err := t.primary.Get(ctx, t.marker)
	if err != nil {
		return
	}
	keys, from := t.unrestored(marks[0].Version > 0)
	for _, key := range keys {
		records, err := t.fallback.Get(ctx, key)
		if err != nil || records[0].Version == 0 || records[0].TTL <= 0 {
			continue
		}
		r := records[0]
		ok, err := t.try(ctx, func() error { return t.primary.Put(ctx, key, r.Version-1, r) })
		switch {
		case !ok:
			t.mu.Lock()
			t.restoreFrom = from // again after the next check
			t.mu.Unlock()
			return
		case err != nil:
			t.primary.Wake(key)
		}
	}
	if marks[0].TTL < markerTTL/2 {
		version := max(marks[0].Version+1, time.Now().UnixMilli())
		_ = t.primary.Put(ctx, t.marker, version-1, Record{Version: version, TTL: markerTTL})
	}
}

// unrestored returns the keys that restore writes, a session's code ("qr") before the session ("st"), and since when
// the primary may lack what was written.
func (t *Tiered) unrestored(hasData bool) (keys []string, from time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	from, t.restoreFrom = t.restoreFrom, time.Time{}
	switch {
	case !hasData || !from.IsZero() && len(t.recent) >= maxRecent:
		keys = t.fallback.Keys()
	case from.IsZero():
		maps.DeleteFunc(t.recent, func(_ string, at time.Time) bool { return time.Since(at) > recentTTL })
	default:
		for key, at := range t.recent {
			if !at.Before(from) {
				keys = append(keys, key)
			}
		}
	}
	slices.Sort(keys)
	return keys, from
}

// setState records whether the primary is available, and reports a change at once and an outage regularly.
func (t *Tiered) setState(err error) {
	now := time.Now()
	t.mu.Lock()
	t.down, t.why = err != nil, ""
	if err != nil {
		t.why = reason(err)
		t.restoreFrom = cmp.Or(t.restoreFrom, now)
	} else {
		t.succeededAt = now
	}
	why, report := t.why, t.isReportedDown != t.down || t.down && now.Sub(t.reportedAt) >= reportInterval
	if t.down && !t.isReportedDown {
		t.restoreFrom = t.restoreFrom.Add(-recentTTL) // it may be another server that continues
	}
	if report {
		t.isReportedDown, t.reportedAt = t.down, now
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
	startedAt := time.Now()
	err = op()
	if ok = err == nil || errors.Is(err, ErrVersionConflict); !ok && ctx.Err() == nil {
		t.suspend(err, startedAt)
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
	t.recordWrite(key)
	if ok && err != nil {
		return err
	}
	if ok {
		_ = t.fallback.Put(ctx, key, r.Version-1, r) // fails if a newer one was written during an outage
		return nil
	}
	return t.fallback.Put(ctx, key, prev, r)
}

func (t *Tiered) recordWrite(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, isKnown := t.recent[key]; isKnown || len(t.recent) < maxRecent {
		t.recent[key] = time.Now()
	}
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
