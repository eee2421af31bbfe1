package proxy

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// maxOrigin is the longest Origin that is looked up, in bytes.
const maxOrigin = 256

// preflightTimeout bounds the question to the engine about an unknown Origin.
const preflightTimeout = 2 * time.Second

// applyCORS puts on an answer of the gate's own what the engine would have put there: without it a
// browser hides from the page even why a call failed. What the answer has already stands.
func (f *Handler) applyCORS(r *http.Request, h http.Header) {
	origin := r.Header.Get("Origin")
	if origin == "" || len(origin) > maxOrigin || h.Get("Access-Control-Allow-Origin") != "" {
		return
	}
	for name, values := range f.corsFor(r.Context(), origin) {
		h[name] = append(h[name], values...)
	}
}

// corsFor is the Access-Control-* and Vary headers that the engine gives origin, as seen within the last
// ten minutes on an answer that passed through. For an origin not seen yet the engine is asked, by one
// preflight without a credential. The result is empty if the engine allows nothing, or cannot be asked;
// it must not be changed.
func (f *Handler) corsFor(ctx context.Context, origin string) http.Header {
	if h, ok := f.cors.get(origin, time.Now()); ok {
		return h
	}
	if f.config.Engine == nil || !f.cors.begin(origin) {
		return nil // somebody is asking already; this answer goes without
	}
	ctx, cancel := context.WithTimeout(ctx, preflightTimeout)
	defer cancel()
	h, asked := f.askCORS(ctx, origin)
	f.cors.finish(origin, h, asked, time.Now())
	return h
}

// askCORS sends the preflight that a browser would send before reading the sessions.
func (f *Handler) askCORS(ctx context.Context, origin string) (h http.Header, ok bool) {
	u := f.engineURL(target{path: sessionsPrefix})
	r, err := http.NewRequestWithContext(ctx, http.MethodOptions, u.String(), nil)
	if err != nil {
		return nil, false
	}
	r.Header.Set("Origin", origin)
	r.Header.Set("Access-Control-Request-Method", http.MethodGet)
	r.Header.Set("Access-Control-Request-Headers", "x-api-key")
	res, err := f.config.Transport.RoundTrip(r)
	if err != nil {
		return nil, false
	}
	_ = res.Body.Close()
	return corsHeaders(res.Header), res.StatusCode < 500
}

// corsHeaders picks what belongs on the answer to a call: a preflight's methods and headers do not.
func corsHeaders(h http.Header) http.Header {
	allowed := h.Values("Access-Control-Allow-Origin")
	if len(allowed) == 0 {
		return nil
	}
	picked := http.Header{"Vary": {"Origin"}}
	for _, name := range []string{"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Expose-Headers"} {
		if v := h.Values(name); len(v) > 0 {
			picked[name] = v
		}
	}
	return picked
}

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
