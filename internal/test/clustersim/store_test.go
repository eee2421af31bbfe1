package clustersim

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"qrgate/internal/store"
	"qrgate/internal/store/memory"
)

// sharedStore is what the replicas share: the store of now, and a copy that lags behind, for a fail-over.
type sharedStore struct {
	w *world

	mu          sync.Mutex
	now, lagged *memory.Store
	table       map[string][]byte // of the replicas
	links       []*storeLink
}

// storeTimeout is the timeout of an operation, as that of the Redis client.
const storeTimeout = 150 * time.Millisecond

func (s *sharedStore) current() *memory.Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// reset empties the store: a server without persistence has restarted.
func (s *sharedStore) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now, s.lagged = memory.New(memory.Config{Records: 500}), memory.New(memory.Config{Records: 500})
	s.table = map[string][]byte{}
}

// failOver continues with the copy.
func (s *sharedStore) failOver() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now, s.lagged = s.lagged, memory.New(memory.Config{Records: 500})
}

// replicate repeats a write at the copy after a while.
func (s *sharedStore) replicate(key string, write func(*memory.Store)) {
	s.mu.Lock()
	copied := s.lagged
	s.mu.Unlock()
	lag := time.Duration(s.w.draw(700, "replication "+key, s.w.count("replication "+key))) * time.Millisecond
	time.AfterFunc(lag, func() { write(copied) })
}

// announce tells every replica that can hear it of a write.
func (s *sharedStore) announce(key string) {
	s.mu.Lock()
	links := s.links
	s.mu.Unlock()
	for _, l := range links {
		if l.isClosed.Load() || s.w.has(l.replica, eventsLost, storeDown, storeHangs, storeRestarts, storeFailsOver) {
			l.hasMissed.Store(true)
			continue
		}
		what := l.name + "event " + key
		delay := 100*time.Microsecond + time.Duration(s.w.draw(3000, what, s.w.count(what)))*time.Microsecond
		time.AfterFunc(delay, func() { l.watch.Wake(key) })
	}
}

// storeLink is a replica's connection to the shared store: the primary of its [store.Tiered].
type storeLink struct {
	w         *world
	shared    *sharedStore
	replica   int
	name      string
	isClosed  atomic.Bool // the replica was killed
	hasMissed atomic.Bool // events since the last health check
	watch     store.Watchers
}

func (s *sharedStore) connect(replica int, name string) *storeLink {
	l := &storeLink{w: s.w, shared: s, replica: replica, name: name}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.links = append(s.links, l)
	return l
}

// do runs an operation with the latency and the faults of now.
func (l *storeLink) do(ctx context.Context, op string, isWrite bool, run func(*memory.Store) error) error {
	nth := l.w.count(l.name + op)
	latency := 100*time.Microsecond + time.Duration(l.w.draw(1500, l.name+op, nth))*time.Microsecond
	if l.w.has(l.replica, storeSlow) {
		latency += time.Duration(40+l.w.draw(120, l.name+op+"slow", nth)) * time.Millisecond
	}
	isDown := l.isClosed.Load() || l.w.has(l.replica, storeDown, storeRestarts, storeFailsOver)
	if !isDown && l.w.has(l.replica, storeHangs) {
		latency = storeTimeout
	}
	if !sleep(ctx, min(latency, storeTimeout)) {
		return ctx.Err()
	}
	isDown = isDown || l.isClosed.Load()
	switch {
	case isDown, latency >= storeTimeout, isWrite && l.w.has(l.replica, storeReadOnly):
		return fmt.Errorf("%w: %s: no response", store.ErrStoreUnavailable, op)
	}
	err := run(l.shared.current())
	if isWrite && l.w.has(l.replica, storeLosesAcks) && l.w.draw(2, l.name+op+"ack", nth) == 0 {
		_ = sleep(ctx, storeTimeout-latency)
		return fmt.Errorf("%w: %s: no response", store.ErrStoreUnavailable, op)
	}
	return err
}

// Get implements [store.Store].
func (l *storeLink) Get(ctx context.Context, keys ...string) (records []store.Record, err error) {
	err = l.do(ctx, "get "+strings.Join(keys, " "), false, func(s *memory.Store) (err error) {
		records, err = s.Get(ctx, keys...)
		return err
	})
	for i := range records {
		records[i] = l.w.toClock(records[i], l.replica)
	}
	return records, err
}

// Put implements [store.Store].
func (l *storeLink) Put(ctx context.Context, key string, prev int64, r store.Record) error {
	prev, r = l.w.fromClock(prev, r, l.replica)
	err := l.do(ctx, "put "+key, true, func(s *memory.Store) error {
		err := s.Put(ctx, key, prev, r)
		if err == nil {
			l.shared.announce(key)
			l.shared.replicate(key, func(s *memory.Store) { _ = s.Put(context.Background(), key, r.Version-1, r) })
		}
		return err
	})
	return err
}

// Watch implements [store.Store].
func (l *storeLink) Watch(key string) (<-chan struct{}, func()) { return l.watch.Watch(key) }

// Acquire implements [store.Leases].
func (l *storeLink) Acquire(ctx context.Context, key, owner string, ttl time.Duration) (ok bool, err error) {
	err = l.do(ctx, "acquire "+key, true, func(s *memory.Store) (err error) {
		ok, err = s.Acquire(ctx, key, owner, ttl)
		if ok {
			l.shared.replicate(key, func(s *memory.Store) { _, _ = s.Acquire(context.Background(), key, owner, ttl) })
		}
		return err
	})
	return ok && err == nil, err
}

// Release implements [store.Leases].
func (l *storeLink) Release(ctx context.Context, key, owner string) error {
	return l.do(ctx, "release "+key, true, func(s *memory.Store) error {
		l.shared.replicate(key, func(s *memory.Store) { _ = s.Release(context.Background(), key, owner) })
		return s.Release(ctx, key, owner)
	})
}

// Wake implements [store.Primary].
func (l *storeLink) Wake(key string) { l.watch.Wake(key) }

// Ping implements [store.Primary]: every operation, as the Redis store's.
func (l *storeLink) Ping(ctx context.Context) error {
	key := "check." + l.name
	err := l.do(ctx, "ping", true, func(s *memory.Store) error {
		ok, err := s.Acquire(ctx, key, l.name, time.Second)
		if !ok {
			err = store.ErrStoreUnavailable
		}
		return err
	})
	if err == nil && !l.w.has(l.replica, eventsLost) && l.hasMissed.Swap(false) {
		l.watch.WakeAll() // the event connection was made anew
	}
	return err
}

// replicaTable is the table in which replicas count each other.
type replicaTable struct{ *storeLink }

// Put implements [store.Table].
func (t replicaTable) Put(ctx context.Context, row string, value []byte) error {
	return t.do(ctx, "table put", true, func(*memory.Store) error {
		t.shared.mu.Lock()
		defer t.shared.mu.Unlock()
		t.shared.table[row] = value
		return nil
	})
}

// Drop implements [store.Table].
func (t replicaTable) Drop(ctx context.Context, row string) error {
	return t.do(ctx, "table drop", true, func(*memory.Store) error {
		t.shared.mu.Lock()
		defer t.shared.mu.Unlock()
		delete(t.shared.table, row)
		return nil
	})
}

// All implements [store.Table].
func (t replicaTable) All(ctx context.Context) (rows map[string][]byte, err error) {
	err = t.do(ctx, "table all", false, func(*memory.Store) error {
		t.shared.mu.Lock()
		defer t.shared.mu.Unlock()
		rows = maps.Clone(t.shared.table)
		return nil
	})
	return rows, err
}

// sleep waits for d; false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
