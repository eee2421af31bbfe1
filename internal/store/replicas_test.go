package store_test

import (
	"context"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"qrgate/internal/store"
)

// table is a table in memory that can be unavailable.
type table struct {
	mu   sync.Mutex
	rows map[string][]byte
	away bool
}

func (t *table) do(f func()) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.away {
		return store.ErrStoreUnavailable
	}
	f()
	return nil
}

func (t *table) Put(_ context.Context, row string, value []byte) error {
	return t.do(func() { t.rows[row] = value })
}

func (t *table) Drop(_ context.Context, row string) error {
	return t.do(func() { delete(t.rows, row) })
}

func (t *table) All(context.Context) (rows map[string][]byte, err error) {
	return rows, t.do(func() { rows = maps.Clone(t.rows) })
}

func (t *table) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.rows)
}

// set makes the table available or not; with loss it is empty.
func (t *table) set(away, loss bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.away = away
	if loss {
		clear(t.rows)
	}
}

func TestReplicaCounter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared := &table{rows: map[string][]byte{"ended long ago": []byte("7")}}
		var stops []context.CancelFunc
		var running sync.WaitGroup
		start := func(id string) *store.ReplicaCounter {
			ctx, stop := context.WithCancel(t.Context())
			c := store.NewReplicaCounter(shared, id)
			running.Go(func() { _ = c.Run(ctx) })
			stops = append(stops, stop)
			return c
		}
		c := start("a")
		start("b")
		start("c")
		wait := func(d time.Duration, want int, when string) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			if got := c.Count(); got != want {
				t.Errorf("%s: %d replicas, want %d", when, got, want)
			}
		}
		if c.Count() != 1 {
			t.Errorf("at first: %d", c.Count())
		}
		wait(15*time.Second, 3, "a row that does not change is no replica")
		if shared.len() != 3 {
			t.Errorf("%d rows; the row of a replica that ended must go", shared.len())
		}
		shared.set(true, true)
		wait(time.Hour, 3, "without the table")
		shared.set(false, false)
		wait(3*time.Second, 3, "when the table is back, empty")
		stops[1]()
		wait(15*time.Second, 2, "after one has stopped")
		for _, stop := range stops {
			stop()
		}
		running.Wait()
		if shared.len() != 0 {
			t.Errorf("%d rows of replicas that have stopped", shared.len())
		}
	})
}
