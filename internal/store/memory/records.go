package memory

import (
	"bytes"
	"context"
	"errors"
	"time"

	"qrgate/internal/store"
)

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
