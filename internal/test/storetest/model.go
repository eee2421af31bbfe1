package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"qrgate/internal/store"
)

func isCancelled(err error) bool {
	return errors.Is(err, context.Canceled) && !errors.Is(err, store.ErrStoreUnavailable)
}

// model is the simplest store: two maps without concurrency.
type model struct {
	*fixture
	prefix  string
	records map[string]store.Record
	owners  map[string]string
}

// testModel compares random sequences of operations, on two handles, with the model.
func testModel(t *testing.T, b *fixture) {
	rapid.Check(t, func(r *rapid.T) {
		m := &model{fixture: b, prefix: b.key(), records: map[string]store.Record{}, owners: map[string]string{}}
		r.Repeat(map[string]func(*rapid.T){
			"put":     m.put,
			"get":     m.get,
			"acquire": m.acquire,
			"release": m.release,
		})
	})
}

func (m *model) draw(r *rapid.T) (Storage, string) {
	handle := rapid.SampledFrom([]Storage{m.a, m.b}).Draw(r, "handle")
	return handle, m.prefix + rapid.SampledFrom([]string{"", "a", "b", "\x00"}).Draw(r, "key")
}

func (m *model) put(r *rapid.T) {
	s, key := m.draw(r)
	prev := rapid.Int64Range(0, 12).Draw(r, "prev")
	next := store.Record{
		Version: prev + rapid.Int64Range(1, 4).Draw(r, "ahead"),
		Value:   rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(r, "value"),
		TTL:     ample,
	}
	err := s.Put(context.Background(), key, prev, next)
	switch {
	case m.records[key].Version > prev:
		if !errors.Is(err, store.ErrVersionConflict) {
			r.Fatalf("Put by a writer that read %d where %d is stored: %v", prev, m.records[key].Version, err)
		}
	case err != nil:
		r.Fatalf("Put: %v", err)
	default:
		m.records[key] = next
	}
}

func (m *model) get(r *rapid.T) {
	s, key := m.draw(r)
	_, other := m.draw(r)
	records, err := s.Get(context.Background(), key, other)
	if err != nil || len(records) != 2 {
		r.Fatalf("Get: %d records, %v", len(records), err)
	}
	for i, key := range []string{key, other} {
		got, want := records[i], m.records[key]
		if got.Version != want.Version || string(got.Value) != string(want.Value) || got.TTL > want.TTL {
			r.Fatalf("Get: %s, want %s", show(got), show(want))
		}
	}
}

func show(r store.Record) string {
	return fmt.Sprintf("version %d, value %x, TTL %v", r.Version, r.Value, r.TTL)
}

func (m *model) acquire(r *rapid.T) {
	s, key := m.draw(r)
	owner := rapid.SampledFrom([]string{"one", "two", "three"}).Draw(r, "owner")
	got, err := s.Acquire(context.Background(), key, owner, ample)
	want := m.owners[key] == "" || m.owners[key] == owner
	if err != nil || got != want {
		r.Fatalf("Acquire by %s of %q's lease: %t, %v", owner, m.owners[key], got, err)
	}
	if want {
		m.owners[key] = owner
	}
}

func (m *model) release(r *rapid.T) {
	s, key := m.draw(r)
	owner := rapid.SampledFrom([]string{"one", "two", "three"}).Draw(r, "owner")
	if err := s.Release(context.Background(), key, owner); err != nil {
		r.Fatalf("Release: %v", err)
	}
	if m.owners[key] == owner {
		delete(m.owners, key)
	}
}
