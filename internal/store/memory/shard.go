package memory

import (
	"sync"
	"time"
)

// shard is one lock and everything that hashes to it.
type shard struct {
	mu       sync.RWMutex
	records  table[record]
	leases   table[string] // the owner
	watchers map[string]map[chan struct{}]struct{}
}

// record is what a row keeps of a qrgate.Record; its life is the row's.
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

// wake hands a token to everyone who watches key. A watcher that already holds one needs no second.
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

// table is a bounded map whose rows end. It has no lock of its own.
type table[V any] struct {
	max  int
	rows map[string]row[V]
}

type row[V any] struct {
	value     V
	expiresAt time.Time
}

// life is what is left of the row at now; zero or less once it has ended.
func (r row[V]) life(now time.Time) time.Duration { return r.expiresAt.Sub(now) }

func newTable[V any](size int) table[V] {
	return table[V]{max: size, rows: make(map[string]row[V])}
}

// get returns the row of key if it is still alive at now.
func (t *table[V]) get(key string, now time.Time) (row[V], bool) {
	r, ok := t.rows[key]
	if !ok || r.life(now) <= 0 {
		return row[V]{}, false
	}
	return r, true
}

// put stores the row, making room first if the key is new and the table is full.
func (t *table[V]) put(key string, r row[V]) {
	if _, held := t.rows[key]; !held && len(t.rows) >= t.max {
		t.evictSoonestExpiring()
	}
	t.rows[key] = r
}

// evictSoonestExpiring looks at every row: a shard of the default store holds 625, which takes microseconds
// and happens only when it is full. A heap would cost every write instead.
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

// sweep removes what has ended at now.
func (t *table[V]) sweep(now time.Time) {
	for key, r := range t.rows {
		if r.life(now) <= 0 {
			delete(t.rows, key)
		}
	}
}
