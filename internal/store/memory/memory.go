// Package memstore keeps sealed records and leases in this process's memory: the store of a gate that
// runs alone, and the one a gate goes on with when its Redis is away.
//
// It is bounded and forgets by itself. Life is checked on every read with time.Now, so nothing is ever
// handed out after its end, whether or not the janitor ([Store.Run]) has swept yet; sweeping only gives
// memory back.
package memory

import (
	"bytes"
	"context"
	"errors"
	"hash/maphash"
	"time"

	"qrgate/internal/store"
)

const (
	// DefaultRecords is how many records a store holds unless told otherwise.
	DefaultRecords = 10_000

	// SweepEvery is the pause between two sweeps of the janitor.
	SweepEvery = 15 * time.Second

	// shards is how many locks the keys are spread over. Small stores have one, so that their bound is
	// exact to the record.
	shards     = 16
	minSharded = 64 * shards
)

// Config says how large a store may grow. The zero value holds [DefaultRecords].
type Config struct {
	// Records is the most records held at once, and separately the most leases. Each shard has an equal
	// part of it; a shard that is full drops the record that would end first to make room for a new one.
	// A dropped record reads as absent, and a dropped tombstone keeps nobody out any more.
	// Zero or less means DefaultRecords.
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

// Ping reports whether the store can be used: always, unless ctx has ended, whose error it returns.
func (s *Store) Ping(ctx context.Context) error { return ctx.Err() }

// Run gives back the memory of what has ended, every [SweepEvery], until ctx ends. It returns nil.
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

// Len is how many records and leases occupy memory, ended ones that await the janitor included.
func (s *Store) Len() int {
	n := 0
	for _, sh := range s.shards {
		sh.mu.RLock()
		n += len(sh.records.rows) + len(sh.leases.rows)
		sh.mu.RUnlock()
	}
	return n
}

func (s *Store) shard(key string) *shard {
	return s.shards[maphash.String(s.seed, key)%uint64(len(s.shards))]
}

// errBadRecord is a mistake of the caller's code, not something that happens.
var errBadRecord = errors.New("a record needs a version above the one that was read, and a life above zero")

// Get reads keys. The result has one record per key, in their order, each as a copy with the life it has
// left; an absent or ended one is the zero Record, a tombstone has a Version and no Value.
// The error is that of ctx, or nil.
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
	// The clock is read under the lock: a reader that waited for it must not use the time it came.
	now := time.Now()
	r, ok := sh.records.get(key, now)
	sh.mu.RUnlock()
	if !ok {
		return store.Record{}
	}
	// Values are never changed in place, so the copy can be made without the lock.
	return store.Record{Version: r.value.version, Value: bytes.Clone(r.value.value), TTL: r.life(now)}
}

// Put stores a copy of r under key and wakes the watchers if the stored version is at most prev, absent
// being 0. It returns qrgate.ErrVersionConflict if a newer one is stored, the error of ctx if that has ended, and
// another error if r.Version is not above prev, prev is below 0 or r.TTL is not above 0.
func (s *Store) Put(ctx context.Context, key string, prev int64, r store.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if prev < 0 || r.Version <= prev || r.TTL <= 0 {
		return errBadRecord
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
	sh.wake(key)
	return nil
}

// Watch returns a channel that gets a token after every Put of key, and a function that ends this.
// The channel holds one token; it is never closed, and stop may be called more than once.
func (s *Store) Watch(key string) (changed <-chan struct{}, stop func()) {
	sh, ch := s.shard(key), make(chan struct{}, 1)
	sh.watch(key, ch)
	return ch, func() { sh.unwatch(key, ch) }
}

var errBadLease = errors.New("a lease needs an owner and a life above zero")

// Acquire takes or renews owner's lease of key for ttl from now. It reports false while another owner
// holds it. Leases and records of one key have nothing to do with each other.
// The error is that of ctx, or says that owner is empty or ttl is not above 0.
func (s *Store) Acquire(ctx context.Context, key, owner string, ttl time.Duration) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if owner == "" || ttl <= 0 {
		return false, errBadLease
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

// Release gives owner's lease of key back. A lease of another owner stays as it is.
// The error is that of ctx, or nil.
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
