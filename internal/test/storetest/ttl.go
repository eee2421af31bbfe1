package storetest

import (
	"testing"
	"time"

	"qrgate/internal/store"
)

// shortTTL is a TTL shorter than a test.
const shortTTL = 250 * time.Millisecond

func testTTL(t *testing.T, b *fixture) {
	key := b.key()
	watchEnd(b, key, func() error {
		return b.a.Put(t.Context(), key, 0, store.Record{Version: 7, Value: []byte("short-lived"), TTL: shortTTL})
	})
	b.put(b.b, key, 1, "new") // an expired record blocks no writer
	b.want(b.a, key, 1, "new")
}

func testTombstoneTTL(t *testing.T, b *fixture) {
	key := b.key()
	watchEnd(b, key, func() error {
		return b.a.Put(t.Context(), key, 0, store.Record{Version: 7, TTL: shortTTL})
	})
	b.put(b.b, key, 1, "new")
	b.want(b.a, key, 1, "new")
}

// watchEnd writes a record with a short TTL and reads it, on both handles in turn, until it has expired. It must exist,
// with its remaining TTL, exactly until then. Just before, it may have only its version: in a remote store it expires
// during the round trip.
func watchEnd(b *fixture, key string, write func() error) {
	b.t.Helper()
	before := time.Now()
	if err := write(); err != nil {
		b.t.Fatalf("Put: %v", err)
	}
	after := time.Now()
	for handles := []Storage{b.a, b.b}; ; handles[0], handles[1] = handles[1], handles[0] {
		sentAt := time.Now()
		r := b.get(handles[0], key)
		receivedAt := time.Now()
		roundTrip := receivedAt.Sub(sentAt)
		switch {
		case r.TTL <= 0 && len(r.Value) > 0:
			b.t.Fatal("a value without TTL")
		case r.TTL <= 0 && receivedAt.Add(roundTrip).Before(before.Add(shortTTL-tick)):
			b.t.Fatalf("gone after %v of a TTL of %v", receivedAt.Sub(before), shortTTL)
		case r.Version == 0:
			return
		case sentAt.After(after.Add(shortTTL + tick)):
			b.t.Fatalf("still there %v after the Put, with a TTL of %v", sentAt.Sub(after), shortTTL)
		case r.TTL > 0 && sentAt.Add(r.TTL).After(after.Add(shortTTL+tick)):
			b.t.Fatalf("TTL of %v at %v after the Put, with a TTL of %v", r.TTL, sentAt.Sub(after), shortTTL)
		}
	}
}

// While one handle alternates between a value with a long and one with a short TTL, no read may combine the value of
// one with the TTL of the other.
func testTTLBelongsToValue(t *testing.T, b *fixture) {
	const rounds, short = 300, time.Minute
	key, done := b.key(), make(chan struct{})
	go func() {
		defer close(done)
		for version := int64(1); version <= rounds; version++ {
			r := store.Record{Version: version, Value: []byte("long"), TTL: ample}
			if version%2 == 0 {
				r.Value, r.TTL = []byte("short"), short
			}
			if err := b.a.Put(t.Context(), key, version-1, r); err != nil {
				t.Errorf("Put of version %d: %v", version, err)
				return
			}
		}
	}()
	for {
		r := b.get(b.b, key)
		if isLong := string(r.Value) == "long"; r.Version > 0 && isLong != (r.TTL > short) {
			t.Errorf("the value %q was read with a TTL of %v", r.Value, r.TTL)
		}
		select {
		case <-done:
			return
		default:
		}
	}
}
