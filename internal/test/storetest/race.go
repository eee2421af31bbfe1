package storetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"qrgate/internal/store"
)

// Eight writers on two handles read and then write the next version. Readers must never see a version decrease, and
// each version must have exactly one writer.
func testRacingWriters(t *testing.T, b *fixture) {
	const writers, rounds = 8, 40
	key := b.key()
	var stale, written atomic.Int64
	var winners sync.Map // version -> writer
	var work sync.WaitGroup
	for w := range writers {
		s := []Storage{b.a, b.b}[w%2]
		work.Go(func() {
			for seen := int64(0); written.Load() < writers*rounds; {
				r := read(t, s, key)
				if r.Version < seen {
					t.Errorf("version %d was read after version %d", r.Version, seen)
					return
				}
				seen = r.Version
				next := store.Record{Version: r.Version + 1, Value: []byte(strconv.Itoa(w)), TTL: ample}
				switch err := s.Put(context.Background(), key, r.Version, next); {
				case errors.Is(err, store.ErrVersionConflict):
					stale.Add(1)
				case err != nil:
					t.Errorf("Put: %v", err)
					return
				default:
					written.Add(1)
					if other, taken := winners.LoadOrStore(next.Version, w); taken {
						t.Errorf("version %d was written by writers %v and %d", next.Version, other, w)
					}
				}
			}
		})
	}
	work.Wait()
	last := b.get(b.a, key)
	if last.Version != written.Load() {
		t.Errorf("%d writes were accepted one above the other, and the version is %d", written.Load(), last.Version)
	}
	if winner, _ := winners.Load(last.Version); fmt.Sprint(winner) != string(last.Value) {
		t.Errorf("the last value is of writer %s, but %v got the success", last.Value, winner)
	}
	if stale.Load() == 0 {
		t.Log("no two writers met; the test showed little")
	}
}

func read(t *testing.T, s store.Store, key string) store.Record {
	records, err := s.Get(context.Background(), key)
	if err != nil || len(records) != 1 {
		t.Errorf("Get: %d records, %v", len(records), err)
		return store.Record{}
	}
	return records[0]
}

// Of writers that read the same version exactly one succeeds, whatever its own version is.
func testOneWinner(t *testing.T, b *fixture) {
	const writers, rounds = 8, 100
	for range rounds {
		key := b.key()
		b.put(b.a, key, 1, "start")
		var accepted atomic.Int64
		var work sync.WaitGroup
		start := make(chan struct{})
		for w := range writers {
			s := []Storage{b.a, b.b}[w%2]
			work.Go(func() {
				<-start
				err := s.Put(context.Background(), key, 1, store.Record{Version: int64(2 + w), Value: []byte("won"), TTL: ample})
				if err == nil {
					accepted.Add(1)
				} else if !errors.Is(err, store.ErrVersionConflict) {
					t.Errorf("Put: %v", err)
				}
			})
		}
		close(start)
		work.Wait()
		if accepted.Load() != 1 {
			t.Fatalf("%d of %d writers that had read version 1 were let in", accepted.Load(), writers)
		}
	}
}
