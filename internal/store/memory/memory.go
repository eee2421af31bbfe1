// Package memory keeps sealed records and leases in this process's memory: the store of a single qrgate, and the
// fallback while Redis is unavailable.
//
// It is bounded, and entries expire. Every read checks the expiry with time.Now, so no entry is returned after it,
// whether or not the janitor ([Store.Run]) has removed it; the janitor only frees memory.
package memory

import (
	"bytes"
	"context"
	"hash/maphash"
	"maps"
	"slices"
	"sync"
	"time"

	"qrgate/internal/store"
)

const (
	// DefaultRecords is how many records a store holds by default.
	DefaultRecords = 10_000

	// SweepEvery is the interval of the janitor.
	SweepEvery = 15 * time.Second

	// shards is the number of locks that the keys are spread over. Small stores have one, so that their bound is exact.
	shards     = 16
	minSharded = 64 * shards
)

// Config says how large a store may grow. The zero value holds [DefaultRecords].
type Config struct {
	// Records is the maximum number of records, and separately of leases. Each shard has an equal part of it; a full
	// shard drops the entry that expires first for a new one. A dropped record reads as absent, and a dropped tombstone
	// refuses no writer any more. Zero or less means DefaultRecords.
	Records int
}

// Store is a bounded store in memory. It is safe for concurrent use; make it with [New].
type Store struct {
	seed   maphash.Seed
	shards []*shard
}

// New returns an empty store. It starts nothing; see [Store.Run].
func New(c Config) *Store {
	records, n := c.Records, shards
	if records <= 0 {
		records = DefaultRecords
	}
	if records < minSharded {
		n = 1
	}
	s := &Store{seed: maphash.MakeSeed(), shards: make([]*shard, n)}
	for i := range s.shards {
		s.shards[i] = newShard(records / n)
	}
	return s
}

// Ping returns the error of ctx; the store itself is always available.
func (s *Store) Ping(ctx context.Context) error { return ctx.Err() }

// Run removes expired entries every [SweepEvery], until ctx ends. It returns nil.
func (s *Store) Run(ctx context.Context) error {
	tick := time.NewTicker(SweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.sweep(time.Now())
		}
	}
}

func (s *Store) sweep(now time.Time) {
	for _, sh := range s.shards {
		sh.mu.Lock()
		sh.records.sweep(now)
		sh.leases.sweep(now)
		sh.mu.Unlock()
	}
}

// Len is the number of records and leases in memory, including expired ones.
func (s *Store) Len() int {
	n := 0
	for _, sh := range s.shards {
		sh.mu.RLock()
		n += len(sh.records.rows) + len(sh.leases.rows)
		sh.mu.RUnlock()
	}
	return n
}

// Keys returns the keys of all records, of expired ones too.
func (s *Store) Keys() []string {
	var keys []string
	for _, sh := range s.shards {
		sh.mu.RLock()
		keys = slices.AppendSeq(keys, maps.Keys(sh.records.rows))
		sh.mu.RUnlock()
	}
	return keys
}

// Wake sends a token to every watcher of key.
func (s *Store) Wake(key string) { s.shard(key).watch.Wake(key) }

func (s *Store) shard(key string) *shard {
	return s.shards[maphash.String(s.seed, key)%uint64(len(s.shards))]
}

// Get reads keys. The result has one record per key, in their order, each a copy with its remaining TTL; an absent or
// expired one is the zero Record, a tombstone has a Version and no Value. The error is that of ctx, or nil.
func (s *Store) Get(ctx context.Context, keys ...string) ([]store.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	records := make([]store.Record, len(keys))
	for i, key := range keys {
		records[i] = s.shard(key).read(key)
	}
	return records, nil
}

func (sh *shard) read(key string) store.Record {
	sh.mu.RLock()
	// The clock is read under the lock: the time before the wait for it would be too old.
	now := time.Now()
	r, ok := sh.records.get(key, now)
	sh.mu.RUnlock()
	if !ok {
		return store.Record{}
	}
	// Values are never changed in place, so they are copied without the lock.
	return store.Record{Version: r.value.version, Value: bytes.Clone(r.value.value), TTL: r.life(now)}
}

// Put stores a copy of r under key and wakes the watchers if the stored version is at most prev; absent counts as 0. It
// returns store.ErrVersionConflict if a newer one is stored, the error of ctx if that has ended, and another error if
// r.Version is not above prev, prev is negative or r.TTL is not positive.
func (s *Store) Put(ctx context.Context, key string, prev int64, r store.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := store.CheckPut(prev, r); err != nil {
		return err
	}
	sh := s.shard(key)
	kept := record{version: r.Version, value: append([]byte(nil), r.Value...)}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	now := time.Now()
	if stored, _ := sh.records.get(key, now); stored.value.version > prev {
		return store.ErrVersionConflict
	}
	sh.records.put(key, row[record]{value: kept, expiresAt: now.Add(r.TTL)})
	sh.watch.Wake(key)
	return nil
}

// Watch returns a channel that receives a token after every Put of key, and a function that stops it. The channel
// buffers one token; it is never closed, and stop may be called more than once.
func (s *Store) Watch(key string) (changed <-chan struct{}, stop func()) {
	return s.shard(key).watch.Watch(key)
}

// Acquire takes or renews owner's lease of key for ttl. It reports false while another owner holds it. Leases and
// records of one key are independent. The error is that of ctx, or states that owner is empty or ttl is not positive.
func (s *Store) Acquire(ctx context.Context, key, owner string, ttl time.Duration) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if err := store.CheckLease(owner, ttl); err != nil {
		return false, err
	}
	sh := s.shard(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	now := time.Now()
	if held, ok := sh.leases.get(key, now); ok && held.value != owner {
		return false, nil
	}
	sh.leases.put(key, row[string]{value: owner, expiresAt: now.Add(ttl)})
	return true, nil
}

// Release ends owner's lease of key. A lease of another owner is not changed. The error is that of ctx, or nil.
func (s *Store) Release(ctx context.Context, key, owner string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	sh := s.shard(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if held, ok := sh.leases.rows[key]; ok && held.value == owner {
		delete(sh.leases.rows, key)
	}
	return nil
}

// shard is one lock and all keys that hash to it.
type shard struct {
	mu      sync.RWMutex
	records table[record]
	leases  table[string] // the owner
	watch   store.Watchers
}

// record is a store.Record in a row; the row has its expiry.
type record struct {
	version int64
	value   []byte
}

func newShard(size int) *shard {
	return &shard{records: newTable[record](size), leases: newTable[string](size)}
}

// table is a bounded map whose rows expire. It has no lock of its own.
type table[V any] struct {
	max  int
	rows map[string]row[V]
}

type row[V any] struct {
	value     V
	expiresAt time.Time
}

// life is the remaining TTL of the row at now; zero or less once it has expired.
func (r row[V]) life(now time.Time) time.Duration { return r.expiresAt.Sub(now) }

func newTable[V any](size int) table[V] {
	return table[V]{max: size, rows: make(map[string]row[V])}
}

// get returns the row of key if it has not expired at now.
func (t *table[V]) get(key string, now time.Time) (row[V], bool) {
	r, ok := t.rows[key]
	if !ok || r.life(now) <= 0 {
		return row[V]{}, false
	}
	return r, true
}

// put stores the row, and evicts another one first if the key is new and the table is full.
func (t *table[V]) put(key string, r row[V]) {
	if _, held := t.rows[key]; !held && len(t.rows) >= t.max {
		t.evictSoonestExpiring()
	}
	t.rows[key] = r
}

// evictSoonestExpiring scans every row: a shard of the default store has 625, which takes microseconds and happens only
// when it is full. A heap would slow down every write instead.
func (t *table[V]) evictSoonestExpiring() {
	var first string
	var ends time.Time
	for key, r := range t.rows {
		if ends.IsZero() || r.expiresAt.Before(ends) {
			first, ends = key, r.expiresAt
		}
	}
	delete(t.rows, first)
}

// sweep removes the rows that have expired at now.
func (t *table[V]) sweep(now time.Time) {
	for key, r := range t.rows {
		if r.life(now) <= 0 {
			delete(t.rows, key)
		}
	}
}
