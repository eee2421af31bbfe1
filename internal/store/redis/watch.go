package redis

import "sync"

// watchers are the channels of those in this process who wait for a key to change.
type watchers struct {
	mu    sync.Mutex
	byKey map[string]map[chan struct{}]struct{}
}

// Watch returns a channel that gets a token after every Put of key by any replica, and whenever events may
// have been lost because the connection that brings them was made anew; and a function that ends this.
// The channel holds one token; it is never closed, and stop may be called more than once.
//
// Without [Store.Run] only this store's own writes are seen. Redis does not keep events: look at the record
// from time to time as well.
func (s *Store) Watch(key string) (changed <-chan struct{}, stop func()) {
	ch := make(chan struct{}, 1)
	s.watch.add(key, ch)
	return ch, func() { s.watch.remove(key, ch) }
}

func (w *watchers) add(key string, ch chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byKey[key] == nil {
		w.byKey[key] = make(map[chan struct{}]struct{})
	}
	w.byKey[key][ch] = struct{}{}
}

func (w *watchers) remove(key string, ch chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.byKey[key], ch)
	if len(w.byKey[key]) == 0 {
		delete(w.byKey, key)
	}
}

// wake hands a token to everyone who watches key. A watcher that already holds one needs no second.
func (w *watchers) wake(key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for ch := range w.byKey[key] {
		signal(ch)
	}
}

// wakeAll hands a token to everyone: any key may have changed unheard.
func (w *watchers) wakeAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, channels := range w.byKey {
		for ch := range channels {
			signal(ch)
		}
	}
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
