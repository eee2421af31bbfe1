package redis

import (
	"context"
	"errors"
	"strconv"
	"time"

	"qrgate/internal/store"
)

// errBadRecord is a mistake of the caller's code, not something that happens.
var errBadRecord = errors.New("a record needs a version above the one that was read, and a life above zero")

// Get reads keys in one round trip. The result has one record per key, in their order, with the life it
// has left; an absent or ended one is the zero Record, a tombstone has a Version and no Value. One that ends
// while the answer travels has neither Value nor TTL, only the Version that still keeps older writers out.
// The error wraps qrgate.ErrStoreUnavailable, or is context.Canceled if ctx was.
func (s *Store) Get(ctx context.Context, keys ...string) ([]store.Record, error) {
	if err := ctx.Err(); err != nil || len(keys) == 0 {
		return nil, err
	}
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = recordPrefix + key
	}
	var records []store.Record
	err := s.do(ctx, "get", func(ctx context.Context) error {
		asked := time.Now()
		answer, err := s.scripts.get.Run(ctx, s.client, names).Slice()
		if err != nil {
			return err
		}
		records, err = decode(answer, len(keys), time.Since(asked))
		return err
	})
	if err != nil {
		return nil, err
	}
	return records, nil
}

// decode reads the answer of the get script for n keys. The server counted the lives at some moment
// within the last took, so took is taken off them: a record never seems to live longer than it does.
func decode(answer []any, n int, took time.Duration) ([]store.Record, error) {
	if len(answer) != 3*n {
		return nil, errProtocol
	}
	records := make([]store.Record, n)
	for i := range records {
		version, ok1 := answer[3*i].(string)
		value, ok2 := answer[3*i+1].(string)
		millis, ok3 := answer[3*i+2].(int64)
		if !ok1 || !ok2 || !ok3 {
			return nil, errProtocol
		}
		if version == "" {
			continue
		}
		v, err := strconv.ParseInt(version, 10, 64)
		if err != nil || v <= 0 {
			return nil, errProtocol
		}
		records[i].Version = v
		if left := time.Duration(millis)*time.Millisecond - took; left > 0 {
			records[i].Value, records[i].TTL = append([]byte(nil), value...), left
		}
	}
	return records, nil
}

// Put stores r under key for r.TTL, in whole milliseconds, and wakes the watchers on every replica, if the
// stored version is at most prev, absent being 0. It returns qrgate.ErrVersionConflict if a newer one is stored; that
// includes the rare write that landed although its answer was lost and that was then tried again, so read
// before concluding anything from it. Other errors wrap qrgate.ErrStoreUnavailable (the write may have landed), or
// are context.Canceled if ctx was, or say that r.Version is not above prev, prev is below 0 or r.TTL not above 0.
func (s *Store) Put(ctx context.Context, key string, prev int64, r store.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if prev < 0 || r.Version <= prev || r.TTL <= 0 {
		return errBadRecord
	}
	err := s.do(ctx, "put", func(ctx context.Context) error {
		stored, err := parseBool(s.scripts.put.Run(ctx, s.client, []string{recordPrefix + key},
			prev, r.Version, r.Value, millis(r.TTL), channel, key))
		if err == nil && !stored {
			return store.ErrVersionConflict
		}
		return err
	})
	if err == nil {
		// The announcement comes back to us as well, but not while the event connection is down.
		s.watch.wake(key)
	}
	return err
}

// millis rounds a life down to what Redis counts in, but not to nothing.
func millis(life time.Duration) int64 { return max(1, life.Milliseconds()) }
