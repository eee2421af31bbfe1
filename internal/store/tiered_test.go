package store_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"qrgate/internal/session"
	"qrgate/internal/store"
	"qrgate/internal/store/memory"
)

// moody is a store that can be away. It counts what reaches it.
type moody struct {
	*memory.Store
	away  atomic.Bool
	calls atomic.Int64
}

func (m *moody) down() error {
	m.calls.Add(1)
	if m.away.Load() {
		return store.ErrStoreUnavailable
	}
	return nil
}

func (m *moody) Get(ctx context.Context, keys ...string) ([]store.Record, error) {
	if err := m.down(); err != nil {
		return nil, err
	}
	return m.Store.Get(ctx, keys...)
}

func (m *moody) Put(ctx context.Context, key string, prev int64, r store.Record) error {
	if err := m.down(); err != nil {
		return err
	}
	return m.Store.Put(ctx, key, prev, r)
}

func (m *moody) Acquire(ctx context.Context, key, owner string, ttl time.Duration) (bool, error) {
	if err := m.down(); err != nil {
		return false, err
	}
	return m.Store.Acquire(ctx, key, owner, ttl)
}

func (m *moody) Ping(context.Context) error { return m.down() }

func TestTiered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		far := &moody{Store: memory.New(memory.Config{})}
		var told []bool
		s := store.NewTiered(far, memory.New(memory.Config{}), far.Ping, func(e session.Event) { told = append(told, e.Available) })
		put := func(prev, version int64) error {
			return s.Put(ctx, "k", prev, store.Record{Version: version, Value: []byte{byte(version)}, TTL: time.Hour})
		}
		version := func() int64 {
			t.Helper()
			r, err := s.Get(ctx, "k")
			if err != nil {
				t.Fatal(err)
			}
			return r[0].Version
		}
		if err := put(0, 1); err != nil || version() != 1 {
			t.Fatal(err)
		}
		if err := put(0, 2); !errors.Is(err, store.ErrVersionConflict) || version() != 1 {
			t.Errorf("a stale write: %v", err)
		}

		far.away.Store(true)
		if version() != 1 || s.Up() {
			t.Error("what was written is lost when the far store goes away")
		}
		if err := put(1, 5); err != nil || version() != 5 {
			t.Errorf("a write without the far store: %v", err)
		}
		calls := far.calls.Load()
		for range 100 {
			version()
		}
		if ok, err := s.Acquire(ctx, "l", "me", time.Minute); !ok || err != nil {
			t.Error("without the far store everybody leads")
		}
		if far.calls.Load() != calls {
			t.Errorf("%d calls at a store that is known to be away", far.calls.Load()-calls)
		}

		far.away.Store(false)
		if version() != 5 {
			t.Error("the near store does not stand in")
		}
		time.Sleep(store.RetryAfter)
		if version() != 5 || !s.Up() {
			t.Error("what was written meanwhile must outrank what the far store still holds")
		}
		if err := put(5, 6); err != nil {
			t.Errorf("the first write after the far store came back: %v", err)
		}
		if r, _ := far.Store.Get(ctx, "k"); r[0].Version != 6 {
			t.Errorf("the far store holds version %d", r[0].Version)
		}
		if len(told) != 2 || told[0] || !told[1] {
			t.Errorf("told %v, want one loss and one gain", told)
		}
	})
}

// The loss of an idle store is noticed, and so is its return.
func TestTieredNoticesWithoutTraffic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		far := &moody{Store: memory.New(memory.Config{})}
		far.away.Store(true)
		s := store.NewTiered(far, memory.New(memory.Config{}), far.Ping, nil)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		synctest.Wait()
		if s.Up() {
			t.Error("a store that is away is up")
		}
		far.away.Store(false)
		time.Sleep(2 * store.PingInterval)
		if !s.Up() {
			t.Error("a store that came back is down")
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
