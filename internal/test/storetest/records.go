package storetest

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"qrgate/internal/store"
)

func testAbsent(t *testing.T, b *fixture) {
	if diff := cmp.Diff(store.Record{}, b.get(b.a, b.key())); diff != "" {
		t.Errorf("a key never written is not the zero record:\n%s", diff)
	}
	records, err := b.a.Get(t.Context())
	if err != nil || len(records) != 0 {
		t.Errorf("Get of no keys: %d records, %v; want none and no error", len(records), err)
	}
}

func testWritten(t *testing.T, b *fixture) {
	key := b.key()
	b.put(b.a, key, 1, "one")
	b.want(b.b, key, 1, "one")
	b.put(b.b, key, 2, "two")
	b.want(b.a, key, 2, "two")
	if err := b.a.Put(t.Context(), key, 5, store.Record{Version: 9, Value: []byte("nine"), TTL: ample}); err != nil {
		t.Errorf("Put after version 2 by a writer that read 5: %v; at most prev is allowed", err)
	}
	b.want(b.b, key, 9, "nine")
}

func testCopies(t *testing.T, b *fixture) {
	key, value := b.key(), []byte("sealed")
	if err := b.a.Put(t.Context(), key, 0, store.Record{Version: 1, Value: value, TTL: ample}); err != nil {
		t.Fatal(err)
	}
	value[0] = 'X'
	b.want(b.a, key, 1, "sealed")
	read := b.get(b.a, key)
	read.Value[0] = 'X'
	b.want(b.a, key, 1, "sealed")
}

func testManyKeys(t *testing.T, b *fixture) {
	const n = 100
	keys, want := make([]string, n), make([]string, n)
	for i := range keys {
		keys[i] = b.key()
		if i%3 != 0 {
			want[i] = fmt.Sprint("value ", i)
			b.put(b.a, keys[i], int64(i), want[i])
		}
	}
	records, err := b.b.Get(t.Context(), append(keys, keys[1])...)
	if err != nil || len(records) != n+1 {
		t.Fatalf("Get of %d keys: %d records, %v", n+1, len(records), err)
	}
	for i, value := range append(want, want[1]) {
		if string(records[i].Value) != value {
			t.Errorf("record %d of the result is %q, want %q", i, records[i].Value, value)
		}
	}
}

func testStrangeKeys(t *testing.T, b *fixture) {
	base := b.key()
	strange := []string{
		"", " ", "\x00", "\r\nFLUSHALL\r\n", "$3\r\nabc", "*", "?", "[a-z]", "{}", "}{", "{a}{b}", "%s%n", "ü",
		"\xff\xfe", "\xc0\xae", "l:", "r:", "'; return 1 --", "\"", "\\", strings.Repeat("k", 5000),
	}
	for i, suffix := range strange {
		b.put(b.a, base+suffix, int64(i+1), "value of "+suffix)
	}
	for i, suffix := range strange {
		b.want(b.b, base+suffix, int64(i+1), "value of "+suffix)
		changed, stop := b.a.Watch(base + suffix)
		b.put(b.a, base+suffix, int64(i+2), "again")
		wantToken(t, changed)
		stop()
		if ok, err := b.a.Acquire(t.Context(), base+suffix, "owner"+suffix, ample); !ok || err != nil {
			t.Errorf("Acquire of a key that ends in %.20q: %t, %v", suffix, ok, err)
		}
	}
}

func testLargeValues(t *testing.T, b *fixture) {
	var value strings.Builder
	for i := range 64 << 10 {
		value.WriteByte(byte(i * 31))
	}
	key := b.key()
	b.put(b.a, key, 1, value.String())
	b.want(b.b, key, 1, value.String())
}

// Floating-point numbers cannot distinguish versions above 2^53.
func testLargeVersions(t *testing.T, b *fixture) {
	key := b.key()
	for _, version := range []int64{9, 10, 1 << 53, 1<<53 + 1, 1<<53 + 2, math.MaxInt64 - 1, math.MaxInt64} {
		b.put(b.a, key, version, fmt.Sprint(version))
		b.want(b.b, key, version, fmt.Sprint(version))
		r := store.Record{Version: math.MaxInt64, Value: []byte("stale"), TTL: ample}
		if err := b.b.Put(t.Context(), key, version-1, r); !errors.Is(err, store.ErrVersionConflict) {
			t.Errorf("Put by a writer that read %d where %d is stored: %v, want ErrVersionConflict", version-1, version, err)
		}
	}
}

func testStale(t *testing.T, b *fixture) {
	key := b.key()
	b.put(b.a, key, 10, "ten")
	for _, prev := range []int64{0, 1, 2, 9} {
		for _, version := range []int64{prev + 1, 10, 11, 100} {
			err := b.b.Put(t.Context(), key, prev, store.Record{Version: version, Value: []byte("stale"), TTL: ample})
			if version > prev && !errors.Is(err, store.ErrVersionConflict) {
				t.Errorf("Put of %d by a writer that read %d where 10 is stored: %v, want ErrVersionConflict", version, prev, err)
			}
		}
	}
	b.want(b.a, key, 10, "ten")
}

func testTombstone(t *testing.T, b *fixture) {
	key := b.key()
	b.put(b.a, key, 1, "value")
	b.put(b.a, key, 2, "")
	if r := b.get(b.b, key); r.Version != 2 || len(r.Value) != 0 || r.TTL <= 0 {
		t.Errorf("a tombstone of version 2 reads as %+v", r)
	}
	err := b.b.Put(t.Context(), key, 1, store.Record{Version: 3, Value: []byte("late"), TTL: ample})
	if !errors.Is(err, store.ErrVersionConflict) {
		t.Errorf("Put by a writer that read version 1, over a tombstone of version 2: %v, want ErrVersionConflict", err)
	}
	b.put(b.b, key, 3, "new value")
	b.want(b.a, key, 3, "new value")
}

func testBadRecords(t *testing.T, b *fixture) {
	for name, c := range map[string]struct {
		prev int64
		r    store.Record
	}{
		"version as read":   {5, store.Record{Version: 5, Value: []byte("v"), TTL: ample}},
		"version below":     {5, store.Record{Version: 4, Value: []byte("v"), TTL: ample}},
		"version zero":      {0, store.Record{Value: []byte("v"), TTL: ample}},
		"below zero":        {-2, store.Record{Version: -1, Value: []byte("v"), TTL: ample}},
		"read below zero":   {-1, store.Record{Version: 1, Value: []byte("v"), TTL: ample}},
		"no TTL":            {0, store.Record{Version: 1, Value: []byte("v")}},
		"negative TTL":      {0, store.Record{Version: 1, Value: []byte("v"), TTL: -1}},
		"tombstone, no TTL": {0, store.Record{Version: 1}},
	} {
		key := b.key()
		err := b.a.Put(t.Context(), key, c.prev, c.r)
		if err == nil || errors.Is(err, store.ErrVersionConflict) || errors.Is(err, store.ErrStoreUnavailable) {
			t.Errorf("%s: Put returned %v, want an error of its own", name, err)
		}
		b.want(b.a, key, 0, "")
	}
}

func testPing(t *testing.T, b *fixture) {
	if err := b.a.Ping(t.Context()); err != nil {
		t.Errorf("Ping of a healthy store: %v", err)
	}
}
