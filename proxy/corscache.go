package proxy

import (
	"net/http"
	"sync"
	"time"
)

const (
	corsOrigins = 256              // origins remembered, at most
	corsLife    = 10 * time.Minute // of what the engine said
	corsRetry   = 10 * time.Second // after the engine could not be asked
	corsAsking  = 4                // questions at a time, at most
)

// corsCache remembers what the engine allows to each Origin. It is safe for concurrent use.
type corsCache struct {
	mu     sync.Mutex
	known  map[string]corsEntry
	asking map[string]bool
}

type corsEntry struct {
	header http.Header // nil: nothing is allowed
	until  time.Time
}

func newCORSCache() *corsCache {
	return &corsCache{known: map[string]corsEntry{}, asking: map[string]bool{}}
}

// get is what is known about origin, if it is fresh.
func (c *corsCache) get(origin string, now time.Time) (http.Header, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.known[origin]
	return e.header, ok && now.Before(e.until)
}

// begin reports whether the caller may ask the engine about origin, and must then settle.
func (c *corsCache) begin(origin string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asking[origin] || len(c.asking) >= corsAsking {
		return false
	}
	c.asking[origin] = true
	return true
}

// finish stores the answer to a claim; one that was not to be had is asked for again soon.
func (c *corsCache) finish(origin string, h http.Header, asked bool, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.asking, origin)
	life := corsLife
	if !asked {
		h, life = nil, corsRetry
	}
	c.put(origin, corsEntry{h, now.Add(life)}, now)
}

// learn stores what the engine said on an answer that passed through. An answer without Access-Control-*
// teaches nothing: it may be a proxy's, and not the engine's.
func (c *corsCache) learn(origin string, h http.Header, now time.Time) {
	if origin == "" || len(origin) > maxOrigin || h == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(origin, corsEntry{h, now.Add(corsLife)}, now)
}

// put makes room by forgetting what is over, and, failing that, any one origin.
func (c *corsCache) put(origin string, e corsEntry, now time.Time) {
	if _, ok := c.known[origin]; !ok && len(c.known) >= corsOrigins {
		for o, old := range c.known {
			if !now.Before(old.until) {
				delete(c.known, o)
			}
		}
		for o := range c.known {
			if len(c.known) < corsOrigins {
				break
			}
			delete(c.known, o)
		}
	}
	c.known[origin] = e
}
