package memory

import (
	"sync"
	"time"
)

// shard is one lock and all keys that hash to it.
type shard struct {
	mu       sync.RWMutex
	records  table[record]
	leases   table[string] // the owner
	watchers map[string]map[chan struct{}]struct{}
}

// record is a store.Record in a row; the row has its expiry.
type record struct {
	version int64
	value   []byte
}

func newShard(size int) *shard {
	return &shard{
		records:  newTable[record](size),
		leases:   newTable[string](size),
		watchers: make(map[string]map[chan struct{}]struct{}),
	}
}

// wake sends a token to every watcher of key that has none.
func (sh *shard) wake(key string) {
	for ch := range sh.watchers[key] {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

func (sh *shard) watch(key string, ch chan struct{}) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.watchers[key] == nil {
		sh.watchers[key] = make(map[chan struct{}]struct{})
	}
	sh.watchers[key][ch] = struct{}{}
}

func (sh *shard) unwatch(key string, ch chan struct{}) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	delete(sh.watchers[key], ch)
	if len(sh.watchers[key]) == 0 {
		delete(sh.watchers, key)
	}
}

// table is a bounded map whose rows expire. It has no lock of its own.
type table[V any] struct {
	max  int
	rows map[string]row[V]
}

type row[V any] struct {
	value     V
	expiresAt time.Time
}

// life is the remaining TTL of the row at now; zero or less once it has expired.
func (r row[V]) life(now time.Time) time.Duration { return r.expiresAt.Sub(now) }

func newTable[V any](size int) table[V] {
	return table[V]{max: size, rows: make(map[string]row[V])}
}

// get returns the row of key if it has not expired at now.
func (t *table[V]) get(key string, now time.Time) (row[V], bool) {
	r, ok := t.rows[key]
	if !ok || r.life(now) <= 0 {
		return row[V]{}, false
	}
	return r, true
}

// put stores the row, and evicts another one first if the key is new and the table is full.
func (t *table[V]) put(key string, r row[V]) {
	if _, held := t.rows[key]; !held && len(t.rows) >= t.max {
		t.evictSoonestExpiring()
	}
	t.rows[key] = r
}

// evictSoonestExpiring scans every row: a shard of the default store has 625, which takes microseconds and happens only
// when it is full. A heap would slow down every write instead.
func (t *table[V]) evictSoonestExpiring() {
	var first string
	var ends time.Time
	for key, r := range t.rows {
		if ends.IsZero() || r.expiresAt.Before(ends) {
			first, ends = key, r.expiresAt
		}
	}
	delete(t.rows, first)
}

// sweep removes the rows that have expired at now.
func (t *table[V]) sweep(now time.Time) {
	for key, r := range t.rows {
		if r.life(now) <= 0 {
			delete(t.rows, key)
		}
	}
}
