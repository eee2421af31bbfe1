package proxy

import (
	"context"
	"net/http"
	"slices"
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
// not let the page read why a call failed.
func (h *Handler) applyCORS(r *http.Request, header http.Header) {
	origin := r.Header.Get("Origin")
	isSet := header.Get("Access-Control-Allow-Origin") != ""
	if origin == "" || len(origin) > maxOriginSize || isSet {
		return
	}
	allowed := h.configuredCORS(origin)
	if allowed == nil && h.config.Engine != nil {
		allowed = h.engineCORS(r.Context(), origin)
	}
	for name, values := range allowed {
		header[name] = append(header[name], values...)
	}
	if allowed != nil {
		header.Add("Access-Control-Expose-Headers", compat.ExposedHeaders)
	}
}

// SetCORSOrigins replaces Config.CORSOrigins while the handler runs.
func (h *Handler) SetCORSOrigins(origins []string) { h.corsOrigins.Store(&origins) }

// configuredCORS is what Config.CORSOrigins allows to origin; nil if nothing.
func (h *Handler) configuredCORS(origin string) http.Header {
	origins := *h.corsOrigins.Load()
	switch {
	case slices.Contains(origins, origin):
		return http.Header{
			"Access-Control-Allow-Origin": {origin}, "Access-Control-Allow-Credentials": {"true"}, "Vary": {"Origin"},
		}
	case slices.Contains(origins, "*"):
		return http.Header{"Access-Control-Allow-Origin": {"*"}}
	}
	return nil
}

// replyPreflight responds to a browser's preflight from an origin of Config.CORSOrigins; false if it is none.
func (w *responseWriter) replyPreflight() bool {
	r := &w.request
	isPreflight := r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != ""
	if !isPreflight || w.handler.configuredCORS(r.Header.Get("Origin")) == nil {
		return false
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE")
	if headers := r.Header["Access-Control-Request-Headers"]; len(headers) > 0 {
		h["Access-Control-Allow-Headers"] = headers
	}
	h.Set("Access-Control-Max-Age", "600")
	h.Add("Vary", "Access-Control-Request-Headers")
	w.WriteHeader(http.StatusNoContent)
	return true
}

// engineCORS is what the engine allows to origin: as cached, or as it responds to a preflight now.
func (h *Handler) engineCORS(ctx context.Context, origin string) http.Header {
	if e, _ := h.cors.Get(origin); time.Now().Before(e.expiresAt) {
		return e.header
	}
	select {
	case h.preflights <- struct{}{}:
		defer func() { <-h.preflights }()
	default:
		return nil
	}
	h.allowOrigin(origin, nil, preflightTimeout) // other requests do not wait for the preflight
	allowed, ttl := h.sendPreflight(ctx, origin)
	h.allowOrigin(origin, allowed, ttl)
	return allowed
}

// sendPreflight asks the engine what it allows to origin, by the preflight that a browser would send before it lists
// the sessions, and returns for how long that counts. It carries no credential.
func (h *Handler) sendPreflight(ctx context.Context, origin string) (allowed http.Header, ttl time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, preflightTimeout)
	defer cancel()
	r := (&http.Request{Method: http.MethodOptions, URL: h.engineURL(compat.SessionsPath, ""), Header: http.Header{
		"Origin":                         {origin},
		"Access-Control-Request-Method":  {http.MethodGet},
		"Access-Control-Request-Headers": {"x-api-key"},
	}}).WithContext(ctx)
	res, err := h.config.Transport.RoundTrip(r)
	if err != nil {
		return nil, corsRetryDelay
	}
	_ = res.Body.Close()
	if res.StatusCode >= 500 {
		return nil, corsRetryDelay
	}
	return corsHeaders(res.Header), corsTTL
}

// corsHeaders selects the headers that belong on the response to a call, without a preflight's methods and headers.
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

// corsEntry is what the engine allows to an Origin.
type corsEntry struct {
	header    http.Header // nil: nothing is allowed, or a preflight is in progress; never changed
	expiresAt time.Time
}

// allowOrigin caches what the engine allows to origin.
func (h *Handler) allowOrigin(origin string, allowed http.Header, ttl time.Duration) {
	h.cors.Add(origin, corsEntry{allowed, time.Now().Add(ttl)})
}

// recordCORS caches what the engine allows by the header of a response to origin, if it has one.
func (h *Handler) recordCORS(origin string, response http.Header) {
	if allowed := corsHeaders(response); origin != "" && len(origin) <= maxOriginSize && allowed != nil {
		h.allowOrigin(origin, allowed, corsTTL)
	}
}
