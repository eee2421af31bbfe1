package proxy

import (
	"context"
	"net/http"
	"sync"
	"time"

	"qrgate/compat"
)

const (
	maxOriginSize    = 256              // bytes
	maxOrigins       = 256              // in the cache
	maxPreflights    = 4                // in progress
	preflightTimeout = 2 * time.Second  // of the request to the engine about an unknown Origin
	corsTTL          = 10 * time.Minute // of the engine's response
	corsRetryDelay   = 10 * time.Second // after the engine did not respond
)

// applyCORS adds to a response of qrgate's own the headers that the engine would have sent: without them a browser does
// not let the page read why a call failed. It overwrites nothing.
func (h *Handler) applyCORS(r *http.Request, header http.Header) {
	origin := r.Header.Get("Origin")
	if origin == "" || len(origin) > maxOriginSize || header.Get("Access-Control-Allow-Origin") != "" {
		return
	}
	for name, values := range h.corsFor(r.Context(), origin) {
		header[name] = append(header[name], values...)
	}
}

// corsFor is the Access-Control-* and Vary headers that the engine sent for origin within the last ten minutes. For a
// new origin it asks the engine by one preflight without a credential. The result is empty if the engine allows nothing
// or does not respond; it must not be changed.
func (h *Handler) corsFor(ctx context.Context, origin string) http.Header {
	if header, ok := h.cors.get(origin, time.Now()); ok {
		return header
	}
	if h.config.Engine == nil || !h.cors.begin(origin) {
		return nil // another request asks already; this response goes without
	}
	ctx, cancel := context.WithTimeout(ctx, preflightTimeout)
	defer cancel()
	header, ok := h.sendPreflight(ctx, origin)
	h.cors.finish(origin, header, ok, time.Now())
	return header
}

// sendPreflight sends the preflight that a browser would send before it lists the sessions.
func (h *Handler) sendPreflight(ctx context.Context, origin string) (header http.Header, ok bool) {
	u := h.engineURL(compat.SessionsPath, "")
	r, err := http.NewRequestWithContext(ctx, http.MethodOptions, u.String(), nil)
	if err != nil {
		return nil, false
	}
	r.Header.Set("Origin", origin)
	r.Header.Set("Access-Control-Request-Method", http.MethodGet)
	r.Header.Set("Access-Control-Request-Headers", "x-api-key")
	res, err := h.config.Transport.RoundTrip(r)
	if err != nil {
		return nil, false
	}
	_ = res.Body.Close()
	return corsHeaders(res.Header), res.StatusCode < 500
}

// corsHeaders selects the headers that belong on the response to a call, which excludes a preflight's methods and
// headers.
func corsHeaders(h http.Header) http.Header {
	if len(h["Access-Control-Allow-Origin"]) == 0 {
		return nil
	}
	selected := http.Header{"Vary": {"Origin"}}
	for _, name := range []string{
		"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Expose-Headers",
	} {
		if v := h[name]; len(v) > 0 {
			selected[name] = v
		}
	}
	return selected
}

// corsCache holds what the engine allows to each Origin. It is safe for concurrent use.
type corsCache struct {
	mu      sync.Mutex
	entries map[string]corsEntry
	pending map[string]bool // origins with a preflight in progress
}

type corsEntry struct {
	header    http.Header // nil: nothing is allowed
	expiresAt time.Time
}

func newCORSCache() *corsCache {
	return &corsCache{entries: map[string]corsEntry{}, pending: map[string]bool{}}
}

// get returns the entry of origin, unless it has expired.
func (c *corsCache) get(origin string, now time.Time) (http.Header, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[origin]
	return e.header, ok && now.Before(e.expiresAt)
}

// begin reports whether the caller may send a preflight for origin; then it must call finish.
func (c *corsCache) begin(origin string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending[origin] || len(c.pending) >= maxPreflights {
		return false
	}
	c.pending[origin] = true
	return true
}

// finish stores the response to a preflight; ok is false if there was none.
func (c *corsCache) finish(origin string, h http.Header, ok bool, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pending, origin)
	ttl := corsTTL
	if !ok {
		h, ttl = nil, corsRetryDelay
	}
	c.put(origin, corsEntry{h, now.Add(ttl)}, now)
}

// record stores what the engine allows by the header of a response that passes through. A response without
// Access-Control-* is ignored: it may be a proxy's.
func (c *corsCache) record(origin string, response http.Header) {
	if origin == "" || len(origin) > maxOriginSize {
		return
	}
	h := corsHeaders(response)
	if h == nil {
		return
	}
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(origin, corsEntry{h, now.Add(corsTTL)}, now)
}

// put evicts expired entries if the cache is full, and if there are none, an arbitrary one.
func (c *corsCache) put(origin string, e corsEntry, now time.Time) {
	if _, ok := c.entries[origin]; !ok && len(c.entries) >= maxOrigins {
		for o, old := range c.entries {
			if !now.Before(old.expiresAt) {
				delete(c.entries, o)
			}
		}
		for o := range c.entries {
			if len(c.entries) < maxOrigins {
				break
			}
			delete(c.entries, o)
		}
	}
	c.entries[origin] = e
}
