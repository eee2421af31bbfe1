package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"qrgate/internal/session"
	"qrgate/internal/store"
	"qrgate/internal/store/memory"
)

// unstable is a store that can be unavailable. It counts its calls.
type unstable struct {
	*memory.Store
	away  atomic.Bool
	calls atomic.Int64
}

func (u *unstable) down() error {
	u.calls.Add(1)
	if u.away.Load() {
		return store.ErrStoreUnavailable
	}
	return nil
}

func (u *unstable) Get(ctx context.Context, keys ...string) ([]store.Record, error) {
	if err := u.down(); err != nil {
		return nil, err
	}
	return u.Store.Get(ctx, keys...)
}

func (u *unstable) Put(ctx context.Context, key string, prev int64, r store.Record) error {
	if err := u.down(); err != nil {
		return err
	}
	return u.Store.Put(ctx, key, prev, r)
}

func (u *unstable) Acquire(ctx context.Context, key, owner string, ttl time.Duration) (bool, error) {
	if err := u.down(); err != nil {
		return false, err
	}
	return u.Store.Acquire(ctx, key, owner, ttl)
}

func (u *unstable) Ping(context.Context) error { return u.down() }

// pinged is a store with another check.
type pinged struct {
	*memory.Store
	ping func() error
}

func (p pinged) Ping(context.Context) error { return p.ping() }

func TestTiered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		primary := &unstable{Store: memory.New(memory.Config{})}
		var events []bool
		s := store.NewTiered(primary, memory.New(memory.Config{}), func(e session.Event) { events = append(events, e.Available) })
		running(t, s)
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

		primary.away.Store(true)
		if version() != 1 || s.Up() {
			t.Error("the record is lost when the primary is unavailable")
		}
		synctest.Wait() // the check
		if err := put(1, 5); err != nil || version() != 5 {
			t.Errorf("a write without the primary: %v", err)
		}
		calls := primary.calls.Load()
		for range 100 {
			version()
		}
		if ok, err := s.Acquire(ctx, "l", "me", time.Minute); !ok || err != nil {
			t.Error("without the primary, every replica must get the lease")
		}
		if primary.calls.Load() != calls {
			t.Errorf("%d calls to a store that is known to be unavailable", primary.calls.Load()-calls)
		}

		primary.away.Store(false)
		if version() != 5 {
			t.Error("the fallback is not used")
		}
		time.Sleep(store.PingInterval)
		synctest.Wait()
		if version() != 5 || !s.Up() {
			t.Error("a record written meanwhile must take precedence over the primary's")
		}
		if err := put(5, 6); err != nil {
			t.Errorf("the first write after the outage: %v", err)
		}
		if r, _ := primary.Store.Get(ctx, "k"); r[0].Version != 6 {
			t.Errorf("the primary has version %d", r[0].Version)
		}
		if len(events) != 2 || events[0] || !events[1] {
			t.Errorf("events %v, want one outage and one recovery", events)
		}
	})
}

// One slow response of the primary costs no second in memory. While it fails beside successful checks, the next check
// follows at the interval.
func TestTiered_FailedOperationIsCheckedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		primary := &unstable{Store: memory.New(memory.Config{})}
		s := store.NewTiered(primary, memory.New(memory.Config{}), nil)
		running(t, s)
		fail := func() {
			primary.away.Store(true)
			_, _ = s.Get(t.Context(), "k")
			primary.away.Store(false)
			synctest.Wait()
		}
		if fail(); !s.Up() {
			t.Error("after one failed operation the primary is not used")
		}
		if fail(); s.Up() {
			t.Error("a primary whose operations fail flaps")
		}
		time.Sleep(store.PingInterval)
		synctest.Wait()
		if !s.Up() {
			t.Error("the check at the interval does not end the outage")
		}
	})
}

func TestTiered_DetectsOutageWithoutTraffic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		primary := &unstable{Store: memory.New(memory.Config{})}
		primary.away.Store(true)
		s := store.NewTiered(primary, memory.New(memory.Config{}), nil)
		running(t, s)
		if s.Up() {
			t.Error("an unavailable store is up")
		}
		primary.away.Store(false)
		time.Sleep(2 * store.PingInterval)
		synctest.Wait()
		if !s.Up() {
			t.Error("a store that came back is down")
		}
	})
}

// running runs s until the test ends. Its first check is over when running returns.
func running(t *testing.T, s *store.Tiered) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	synctest.Wait()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// A primary that does some operations and not others, as a Redis replica does, is unavailable until a check succeeds: it
// is reported once at once and then every ten seconds.
func TestTiered_HalfAPrimaryDoesNotFlap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var works atomic.Bool
		var events []session.Event
		primary := pinged{memory.New(memory.Config{}), func() error { // its operations work
			if works.Load() {
				return nil
			}
			return fmt.Errorf("%w: ping: READONLY", store.ErrStoreUnavailable)
		}}
		s := store.NewTiered(primary, memory.New(memory.Config{}), func(e session.Event) { events = append(events, e) })
		running(t, s)
		for range 30 {
			if _, err := s.Get(t.Context(), "k"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if s.Up() || s.Why() != "ping: READONLY" || len(events) != 3 && len(events) != 4 {
			t.Errorf("up %t, %q, %d reports in 30 s; want down, and a report every %v", s.Up(), s.Why(), len(events), store.ReportInterval)
		}
		for _, e := range events {
			if e.Available {
				t.Error("it was reported as available")
			}
		}
		works.Store(true)
		time.Sleep(store.PingInterval)
		synctest.Wait()
		if last := events[len(events)-1]; !s.Up() || !last.Available {
			t.Errorf("after a check that succeeds: up %t, %+v", s.Up(), last)
		}
	})
}

// After an outage the primary has every record of this replica again, also those that it had before it lost its data.
// Where another replica's record is newer, this replica's watcher is woken to read it.
func TestTiered_RestoresRecordsAfterAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		primary := &unstable{Store: memory.New(memory.Config{})}
		s := store.NewTiered(primary, memory.New(memory.Config{}), nil)
		running(t, s)
		put := func(to store.Store, key string, version int64) {
			t.Helper()
			r := store.Record{Version: version, Value: []byte{byte(version)}, TTL: time.Hour}
			if err := to.Put(ctx, key, version-1, r); err != nil {
				t.Fatal(err)
			}
		}
		put(s, "before", 1)
		primary.away.Store(true)
		put(s, "during", 2)
		put(s, "both", 3)
		primary.Store = memory.New(memory.Config{}) // it lost its data
		put(primary.Store, "both", 9)               // of another replica
		changed, stop := s.Watch("both")
		defer stop()
		primary.away.Store(false)
		time.Sleep(store.PingInterval)
		synctest.Wait()
		records, err := primary.Store.Get(ctx, "before", "during", "both")
		if err != nil || records[0].Version != 1 || records[1].Version != 2 || records[2].Version != 9 {
			t.Errorf("the primary has %+v, %v", records, err)
		}
		select {
		case <-changed:
		default:
			t.Error("the watcher of a record that another replica wrote meanwhile sleeps on")
		}
	})
}

// A primary that is slow once under load, and has its data, is no outage: nothing is reported, and what was written
// meanwhile reaches it.
func TestTiered_OneFailedOperationIsNoOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		primary := &unstable{Store: memory.New(memory.Config{})}
		reports := 0
		s := store.NewTiered(primary, memory.New(memory.Config{}), func(session.Event) { reports++ })
		running(t, s)
		primary.away.Store(true)
		if err := s.Put(t.Context(), "k", 0, store.Record{Version: 1, Value: []byte("v"), TTL: time.Hour}); err != nil {
			t.Fatal(err)
		}
		primary.away.Store(false)
		synctest.Wait()
		if r, _ := primary.Store.Get(t.Context(), "k"); !s.Up() || r[0].Version != 1 {
			t.Errorf("up %t; the primary has version %d of a write that failed, want 1", s.Up(), r[0].Version)
		}
		if reports > 0 {
			t.Errorf("%d reports of one failed operation", reports)
		}
	})
}

// What another replica deleted does not come back after an outage in which the primary kept its data.
func TestTiered_OutageDoesNotRestoreDeletedRecords(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		shared := memory.New(memory.Config{})
		primary := &unstable{Store: shared}
		s := store.NewTiered(primary, memory.New(memory.Config{}), nil)
		running(t, s)
		if err := s.Put(ctx, "k", 0, store.Record{Version: 1, Value: []byte("v"), TTL: time.Hour}); err != nil {
			t.Fatal(err)
		}
		if err := shared.Put(ctx, "k", 1, store.Record{Version: 2, TTL: time.Minute}); err != nil { // another replica
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		primary.away.Store(true)
		time.Sleep(time.Minute)
		primary.away.Store(false)
		time.Sleep(2 * store.PingInterval)
		synctest.Wait()
		if r, _ := shared.Get(ctx, "k"); !s.Up() || r[0].Version != 0 {
			t.Errorf("up %t; the primary has version %d of a deleted record", s.Up(), r[0].Version)
		}
	})
}

// A primary that restarts empty between two operations gets its records back.
func TestTiered_RestoresRecordsOfAPrimaryThatLostItsData(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		primary := &unstable{Store: memory.New(memory.Config{})}
		s := store.NewTiered(primary, memory.New(memory.Config{}), nil)
		running(t, s)
		if err := s.Put(ctx, "k", 0, store.Record{Version: 1, Value: []byte("v"), TTL: 12 * time.Hour}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Hour) // the marker is renewed
		synctest.Wait()
		primary.away.Store(true)
		primary.Store = memory.New(memory.Config{})
		primary.away.Store(false) // before any operation
		time.Sleep(store.PingInterval)
		synctest.Wait()
		if r, _ := primary.Store.Get(ctx, "k"); r[0].Version != 1 {
			t.Errorf("the primary has version %d, want 1", r[0].Version)
		}
	})
}

// A check that is slow once, as on a busy machine, reports no outage. Two in a row do.
func TestTiered_OneFailedCheckIsNoOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var failures atomic.Int64
		primary := pinged{memory.New(memory.Config{}), func() error {
			if failures.Add(-1) >= 0 {
				return store.ErrStoreUnavailable
			}
			return nil
		}}
		var reports []bool
		s := store.NewTiered(primary, memory.New(memory.Config{}), func(e session.Event) { reports = append(reports, e.Available) })
		running(t, s)
		failures.Store(1)
		time.Sleep(2 * store.PingInterval)
		synctest.Wait()
		if !s.Up() || len(reports) > 0 {
			t.Errorf("after one failed check: up %t, reports %t", s.Up(), reports)
		}
		failures.Store(2)
		time.Sleep(2 * store.PingInterval)
		synctest.Wait()
		if !slices.Equal(reports, []bool{false, true}) {
			t.Errorf("reports %t, want one outage and its end", reports)
		}
	})
}
