// Package storetest is the conformance suite of stores. The tests of each implementation call it.
package storetest

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"qrgate/internal/store"
)

// Storage is a store with everything that qrgate uses of it.
type Storage interface {
	store.LeasedStore
	Ping(ctx context.Context) error
	Run(ctx context.Context) error
}

const (
	// soon is how long a test waits for an expected event; a healthy store takes microseconds.
	soon = 10 * time.Second

	// ample is a TTL longer than any test.
	ample = 5 * time.Minute

	// tick is the resolution of a store's TTLs, and the difference of two clocks on one machine.
	tick = 5 * time.Millisecond
)

// Store checks a store. Every call of open returns a handle on the same storage, as two replicas have: a new connection
// to the same server, or the same value each time. The suite runs each handle.
func Store(t *testing.T, open func(t *testing.T) Storage) {
	t.Helper()
	for name, check := range map[string]func(*testing.T, *fixture){
		"absent":                 testAbsent,
		"written is read":        testWritten,
		"copies":                 testCopies,
		"many keys":              testManyKeys,
		"strange keys":           testStrangeKeys,
		"large values":           testLargeValues,
		"large versions":         testLargeVersions,
		"stale writers":          testStale,
		"tombstones":             testTombstone,
		"bad records":            testBadRecords,
		"TTL":                    testTTL,
		"TTL of tombstones":      testTombstoneTTL,
		"TTL belongs to value":   testTTLBelongsToValue,
		"racing writers":         testRacingWriters,
		"one winner":             testOneWinner,
		"wakes":                  testWakes,
		"wakes all watchers":     testWakesAllWatchers,
		"wakes no other watcher": testWakesNoOtherWatcher,
		"stopped watch":          testStoppedWatch,
		"lease":                  testLease,
		"lease takeover":         testLeaseTakeover,
		"lease renewal":          testLeaseRenewal,
		"lease race":             testLeaseRace,
		"cancelled":              testCancelled,
		"ping":                   testPing,
		"model":                  testModel,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, newFixture(t, open))
		})
	}
}

// fixture has two running handles on one storage, and keys of its own.
type fixture struct {
	t    *testing.T
	a, b Storage
	keys atomic.Int64
}

func newFixture(t *testing.T, open func(t *testing.T) Storage) *fixture {
	t.Helper()
	return &fixture{t: t, a: run(t, open), b: run(t, open)}
}

// run opens a handle and keeps it running until the test ends.
func run(t *testing.T, open func(t *testing.T) Storage) Storage {
	t.Helper()
	s := open(t)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run returned %v after its context ended, want nil", err)
			}
		case <-time.After(soon):
			t.Error("Run did not return after its context ended")
		}
	})
	return s
}

// key returns a key that no other test of this storage uses.
func (b *fixture) key() string {
	return fmt.Sprintf("{%s.%d}:qr", b.t.Name(), b.keys.Add(1))
}

// get reads one key and fails the test if that fails.
func (b *fixture) get(s store.Store, key string) store.Record {
	b.t.Helper()
	records, err := s.Get(b.t.Context(), key)
	if err != nil {
		b.t.Fatalf("Get: %v", err)
	}
	if len(records) != 1 {
		b.t.Fatalf("Get of one key returned %d records", len(records))
	}
	return records[0]
}

// put writes a value with a long TTL and fails the test if that fails.
func (b *fixture) put(s store.Store, key string, version int64, value string) {
	b.t.Helper()
	r := store.Record{Version: version, Value: []byte(value), TTL: ample}
	if err := s.Put(b.t.Context(), key, version-1, r); err != nil {
		b.t.Fatalf("Put of version %d: %v", version, err)
	}
}

// want checks version and value of the record of key.
func (b *fixture) want(s store.Store, key string, version int64, value string) {
	b.t.Helper()
	if r := b.get(s, key); r.Version != version || string(r.Value) != value {
		b.t.Errorf("stored: version %d, %d bytes %.40q; want version %d, %d bytes %.40q",
			r.Version, len(r.Value), r.Value, version, len(value), value)
	}
}
