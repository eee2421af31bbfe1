package storetest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"qrgate/internal/store"
)

// acquire requests a lease and fails the test if the result is not want.
func (b *fixture) acquire(s store.Leases, key, owner string, want bool) {
	b.t.Helper()
	ok, err := s.Acquire(b.t.Context(), key, owner, ample)
	if err != nil || ok != want {
		b.t.Fatalf("Acquire by %s: %t, %v; want %t", owner, ok, err, want)
	}
}

func (b *fixture) release(s store.Leases, key, owner string) {
	b.t.Helper()
	if err := s.Release(b.t.Context(), key, owner); err != nil {
		b.t.Fatalf("Release by %s: %v", owner, err)
	}
}

func testLease(t *testing.T, b *fixture) {
	key := b.key()
	b.release(b.a, key, "one") // of nothing
	b.acquire(b.a, key, "one", true)
	b.acquire(b.b, key, "two", false)
	b.acquire(b.a, key, "one", true)
	b.acquire(b.b, key, "one", true) // an owner is a name, not a connection
	b.release(b.b, key, "two")
	b.acquire(b.b, key, "two", false)
	b.acquire(b.a, b.key(), "two", true) // another key
	b.put(b.a, key, 1, "value")          // a record of the same name is another thing
	b.acquire(b.b, key, "two", false)
	b.want(b.a, key, 1, "value")
	b.release(b.a, key, "one")
	b.want(b.a, key, 1, "value")
	b.acquire(b.b, key, "two", true)
	b.acquire(b.a, key, "one", false)
	for name, c := range map[string]struct {
		owner string
		ttl   time.Duration
	}{"no owner": {"", ample}, "no TTL": {"one", 0}, "negative TTL": {"one", -1}} {
		if ok, err := b.a.Acquire(t.Context(), b.key(), c.owner, c.ttl); ok || err == nil {
			t.Errorf("%s: Acquire returned %t, %v; want an error", name, ok, err)
		}
	}
}

// Another owner gets a lease that is not renewed after its TTL, and not before.
func testLeaseTakeover(t *testing.T, b *fixture) {
	key, before := b.key(), time.Now()
	if ok, err := b.a.Acquire(t.Context(), key, "one", shortTTL); !ok || err != nil {
		t.Fatalf("Acquire: %t, %v", ok, err)
	}
	after := time.Now()
	for {
		sentAt := time.Now()
		ok, err := b.b.Acquire(t.Context(), key, "two", ample)
		if err != nil {
			t.Fatal(err)
		}
		if ok && time.Now().Before(before.Add(shortTTL-tick)) {
			t.Fatalf("taken over after %v of a TTL of %v", time.Since(before), shortTTL)
		}
		if ok {
			break
		}
		if sentAt.After(after.Add(shortTTL + tick)) {
			t.Fatalf("refused %v after a lease of %v was taken", sentAt.Sub(after), shortTTL)
		}
	}
	b.release(b.a, key, "one") // an owner that lost the lease cannot release it
	b.acquire(b.a, key, "one", false)
}

// The TTL of a renewed lease counts from the renewal.
func testLeaseRenewal(t *testing.T, b *fixture) {
	key := b.key()
	for start := time.Now(); time.Since(start) < 2*shortTTL; {
		renewed := time.Now()
		if ok, err := b.a.Acquire(t.Context(), key, "one", shortTTL); !ok || err != nil {
			t.Fatalf("renewal: %t, %v", ok, err)
		}
		ok, err := b.b.Acquire(t.Context(), key, "two", shortTTL)
		if err != nil {
			t.Fatal(err)
		}
		if ok && time.Since(renewed) < shortTTL-tick {
			t.Fatalf("another got the lease %v after a renewal for %v", time.Since(renewed), shortTTL)
		}
		if ok { // the machine was busy for longer than the lease
			b.release(b.b, key, "two")
		}
	}
}

// Of eight owners, at most one at a time has the lease.
func testLeaseRace(t *testing.T, b *fixture) {
	key := b.key()
	var inside, entered atomic.Int64
	var work sync.WaitGroup
	for w := range 8 {
		s, owner := []Storage{b.a, b.b}[w%2], fmt.Sprint("owner-", w)
		work.Go(func() {
			for entered.Load() < 50 {
				ok, err := s.Acquire(context.Background(), key, owner, ample)
				if err != nil {
					t.Errorf("Acquire: %v", err)
					return
				}
				if !ok {
					continue
				}
				entered.Add(1)
				if n := inside.Add(1); n != 1 {
					t.Errorf("%d owners have one lease", n)
				}
				inside.Add(-1)
				if err := s.Release(context.Background(), key, owner); err != nil {
					t.Errorf("Release: %v", err)
					return
				}
			}
		})
	}
	work.Wait()
}

// A canceled caller gets its context's error and changes nothing.
func testCancelled(t *testing.T, b *fixture) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	key := b.key()
	b.acquire(b.a, key, "one", true)
	for name, call := range map[string]func() error{
		"get":     func() error { _, err := b.a.Get(gone, key); return err },
		"put":     func() error { return b.a.Put(gone, key, 0, store.Record{Version: 1, TTL: ample}) },
		"acquire": func() error { _, err := b.a.Acquire(gone, b.key(), "one", ample); return err },
		"release": func() error { return b.a.Release(gone, key, "one") },
		"ping":    func() error { return b.a.Ping(gone) },
	} {
		if err := call(); !isCancelled(err) {
			t.Errorf("%s with a cancelled context: %v, want context.Canceled and not ErrStoreUnavailable", name, err)
		}
	}
	b.want(b.b, key, 0, "")
	b.acquire(b.b, key, "two", false)
}
