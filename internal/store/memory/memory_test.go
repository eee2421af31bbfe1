package memory_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"qrgate/internal/store"
	"qrgate/internal/store/memory"
	"qrgate/internal/test/storetest"
)

func TestStore_Conforms(t *testing.T) {
	t.Parallel()
	s := memory.New(memory.Config{})
	storetest.Store(t, func(*testing.T) storetest.Storage { return s })
}

// The same store with one shard, whose bound the suite's keys do not reach.
func TestStore_ConformsWithOneShard(t *testing.T) {
	t.Parallel()
	s := memory.New(memory.Config{Records: 1000})
	storetest.Store(t, func(*testing.T) storetest.Storage { return s })
}

func put(t *testing.T, s *memory.Store, key string, ttl time.Duration) {
	t.Helper()
	if err := s.Put(t.Context(), key, 0, store.Record{Version: 1, Value: []byte(key), TTL: ttl}); err != nil {
		t.Fatalf("Put of %q: %v", key, err)
	}
}

func stored(t *testing.T, s *memory.Store, keys ...string) string {
	t.Helper()
	records, err := s.Get(t.Context(), keys...)
	if err != nil {
		t.Fatal(err)
	}
	var there []string
	for i, r := range records {
		if r.Version > 0 {
			there = append(there, keys[i])
		}
	}
	return strings.Join(there, " ")
}

// TTLs are exact to the nanosecond of the reader's clock.
func TestStore_ExpiresOnTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(memory.Config{})
		put(t, s, "key-a", time.Minute)
		time.Sleep(time.Minute - time.Nanosecond)
		records, err := s.Get(t.Context(), "key-a")
		if err != nil || records[0].TTL != time.Nanosecond {
			t.Errorf("a nanosecond before its end: %+v, %v", records, err)
		}
		time.Sleep(time.Nanosecond)
		if got := stored(t, s, "key-a"); got != "" {
			t.Error("it is still read at its end")
		}
		if n := s.Len(); n != 1 {
			t.Errorf("%d records occupy memory before a sweep, want 1", n)
		}
	})
}

func TestRun_FreesMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(memory.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Run(ctx) }()
		for i := range 100 {
			put(t, s, fmt.Sprint("short-", i), time.Second)
		}
		put(t, s, "long", time.Hour)
		if ok, err := s.Acquire(t.Context(), "long", "one", time.Second); !ok || err != nil {
			t.Fatal(ok, err)
		}
		time.Sleep(memory.SweepEvery + time.Nanosecond)
		synctest.Wait()
		if n := s.Len(); n != 1 {
			t.Errorf("%d rows occupy memory after a sweep, want 1", n)
		}
		if got := stored(t, s, "long", "short-1"); got != "long" {
			t.Errorf("after a sweep the store has %q, want the unexpired one", got)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// A full store drops the entry that expires first, whatever the order of writes.
func TestStore_FullDropsSoonestToExpire(t *testing.T) {
	t.Parallel()
	s := memory.New(memory.Config{Records: 3})
	put(t, s, "day", 24*time.Hour)
	put(t, s, "minute", time.Minute)
	put(t, s, "hour", time.Hour)
	put(t, s, "week", 7*24*time.Hour)
	if got := stored(t, s, "minute", "hour", "day", "week"); got != "hour day week" {
		t.Errorf("stored: %s", got)
	}
	// A write to an existing key drops nothing.
	if err := s.Put(t.Context(), "week", 1, store.Record{Version: 2, TTL: 8 * 24 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	if got := stored(t, s, "hour", "day", "week"); got != "hour day week" {
		t.Errorf("after a write in place, stored: %s", got)
	}
	// A new entry is stored even if it expires first.
	put(t, s, "second", time.Second)
	if got := stored(t, s, "second", "hour", "day", "week"); got != "second day week" {
		t.Errorf("stored: %s", got)
	}
}

func TestStore_FullDropsLeases(t *testing.T) {
	t.Parallel()
	s := memory.New(memory.Config{Records: 2})
	for i := range 50 {
		if ok, err := s.Acquire(t.Context(), fmt.Sprint("key-", i), "one", time.Minute); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	if n := s.Len(); n != 2 {
		t.Errorf("%d leases, want 2", n)
	}
}

// The store stays within its bound, and drops nothing below it.
func TestStore_Bound(t *testing.T) {
	t.Parallel()
	for name, records := range map[string]int{"default": 0, "one": 1, "one shard": 1000, "sharded": 5000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bound := records
			if bound == 0 {
				bound = memory.DefaultRecords
			}
			s := memory.New(memory.Config{Records: records})
			for i := range bound / 2 {
				put(t, s, fmt.Sprint("key-", i), time.Minute)
			}
			if n := s.Len(); n != bound/2 {
				t.Errorf("a half full store holds %d of %d records", n, bound/2)
			}
			for i := range 2 * bound {
				put(t, s, fmt.Sprint("more-", i), time.Minute)
			}
			if n := s.Len(); n > bound || n < bound*9/10 {
				t.Errorf("%d records are stored, want at most %d and hardly fewer", n, bound)
			}
		})
	}
}

// Random operations with time in between, compared with a model of expiry.
func TestStore_TTLsFollowModel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// The wrapper hides t.Deadline, which may not be called in a synctest bubble.
		rapid.Check(struct{ rapid.TB }{t}, func(r *rapid.T) {
			s, ends := memory.New(memory.Config{}), map[string]time.Time{}
			versions := map[string]int64{}
			keys := rapid.SampledFrom([]string{"key-a", "key-b", "key-c"})
			r.Repeat(map[string]func(*rapid.T){
				"time": func(r *rapid.T) {
					time.Sleep(time.Duration(rapid.Int64Range(0, int64(20*time.Second)).Draw(r, "passes")))
				},
				"put": func(r *rapid.T) {
					key, ttl := keys.Draw(r, "key"), time.Duration(rapid.Int64Range(1, int64(time.Minute)).Draw(r, "ttl"))
					stored := versions[key]
					if !time.Now().Before(ends[key]) {
						stored = 0
					}
					prev := rapid.Int64Range(0, 5).Draw(r, "prev")
					err := s.Put(context.Background(), key, prev, store.Record{Version: prev + 1, TTL: ttl})
					if (stored > prev) != errors.Is(err, store.ErrVersionConflict) {
						r.Fatalf("Put over version %d by a writer that read %d: %v", stored, prev, err)
					}
					if err == nil {
						versions[key], ends[key] = prev+1, time.Now().Add(ttl)
					}
				},
				"": func(r *rapid.T) {
					for key, end := range ends {
						got, err := s.Get(context.Background(), key)
						left := max(0, time.Until(end))
						if err != nil || got[0].TTL != left || (got[0].Version > 0) != (left > 0) {
							r.Fatalf("%v before its end a record reads %+v, %v", left, got, err)
						}
					}
				},
			})
		})
	})
}

func BenchmarkGet(b *testing.B) {
	s := memory.New(memory.Config{})
	keys := make([]string, 1024)
	for i := range keys {
		keys[i] = fmt.Sprintf("{tenant.%d}:qr", i)
		r := store.Record{Version: 1, Value: make([]byte, 240), TTL: time.Hour}
		if err := s.Put(b.Context(), keys[i], 0, r); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		ctx := context.Background()
		for i := 0; pb.Next(); i++ {
			if records, err := s.Get(ctx, keys[i%len(keys)]); err != nil || records[0].Version == 0 {
				b.Error(records, err)
			}
		}
	})
}

// BenchmarkPutFull is the slowest write: the store is full and searches its shard for the entry that expires first.
func BenchmarkPutFull(b *testing.B) {
	s := memory.New(memory.Config{})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r := store.Record{Version: 1, Value: make([]byte, 240), TTL: time.Hour}
		if err := s.Put(b.Context(), fmt.Sprint("key-", i), 0, r); err != nil {
			b.Fatal(err)
		}
	}
}
