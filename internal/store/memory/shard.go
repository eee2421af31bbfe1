package memory

import "sync"

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
