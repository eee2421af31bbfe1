package store

import "sync"

// Watchers are the channels of this process that wait for a change of a key. The zero value is ready; it is safe for
// concurrent use.
type Watchers struct {
	mu    sync.Mutex
	byKey map[string]map[chan struct{}]struct{}
}

// Watch returns a channel that receives a token after every Wake of key, and a function that stops it. The channel
// buffers one token; it is never closed, and stop may be called more than once.
func (w *Watchers) Watch(key string) (changed <-chan struct{}, stop func()) {
	ch := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byKey[key] == nil {
		if w.byKey == nil {
			w.byKey = make(map[string]map[chan struct{}]struct{})
		}
		w.byKey[key] = make(map[chan struct{}]struct{})
	}
	w.byKey[key][ch] = struct{}{}
	return ch, func() { w.remove(key, ch) }
}

func (w *Watchers) remove(key string, ch chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.byKey[key], ch)
	if len(w.byKey[key]) == 0 {
		delete(w.byKey, key)
	}
}

// Wake sends a token to every watcher of key that has none.
func (w *Watchers) Wake(key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	signal(w.byKey[key])
}

// WakeAll sends a token to every watcher: any key may have changed.
func (w *Watchers) WakeAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, channels := range w.byKey {
		signal(channels)
	}
}

func signal(channels map[chan struct{}]struct{}) {
	for ch := range channels {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}
