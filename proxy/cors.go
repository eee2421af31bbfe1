package proxy

import (
	"context"
	"net/http"
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
