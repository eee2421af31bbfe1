package enginesim

import (
	"net/http"
	"slices"
)

// setHeaders sets the headers that were recorded on every answer (5.2): the proxy's name, helmet's set and CORS.
func (e *Engine) setHeaders(h http.Header, origin string) {
	h.Set("Server", "nginx/1.24.0 (Ubuntu)")
	h.Set("Date", e.now().UTC().Format(http.TimeFormat))
	for _, line := range [][2]string{
		{"Content-Security-Policy", "default-src 'self';base-uri 'self';frame-ancestors 'self';object-src 'none'"},
		{"Cross-Origin-Opener-Policy", "same-origin"},
		{"Cross-Origin-Resource-Policy", "same-origin"},
		{"Origin-Agent-Cluster", "?1"},
		{"Referrer-Policy", "no-referrer"},
		{"Strict-Transport-Security", "max-age=15552000; includeSubDomains"},
		{"X-Content-Type-Options", "nosniff"},
		{"X-DNS-Prefetch-Control", "off"},
		{"X-Download-Options", "noopen"},
		{"X-Frame-Options", "SAMEORIGIN"},
		{"X-Permitted-Cross-Domain-Policies", "none"},
		{"X-XSS-Protection", "0"},
	} {
		h.Set(line[0], line[1])
	}
	h.Set("Vary", "Origin")
	h.Set("Access-Control-Allow-Credentials", "true")
	if origin != "" && (e.Origins == nil || slices.Contains(e.Origins, origin)) {
		h.Set("Access-Control-Allow-Origin", origin)
	}
}

// preflight answers OPTIONS as Express's cors does, before any key is asked for (5.3).
func preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "GET,HEAD,PUT,PATCH,POST,DELETE")
	if wanted := r.Header.Get("Access-Control-Request-Headers"); wanted != "" {
		h.Add("Vary", "Access-Control-Request-Headers")
		h.Set("Access-Control-Allow-Headers", wanted)
	}
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusNoContent)
}
