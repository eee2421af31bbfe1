// Package memstore keeps sealed records and leases in this process's memory: the store of a gate that
// runs alone, and the one a gate goes on with when its Redis is away.
//
// It is bounded and forgets by itself. Life is checked on every read with time.Now, so nothing is ever
// handed out after its end, whether or not the janitor ([Store.Run]) has swept yet; sweeping only gives
// memory back.
package memory

import (
	"context"
	"hash/maphash"
	"time"
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
