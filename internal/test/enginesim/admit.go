package enginesim

import (
	"net/http"
	"strings"
)

// account is whose key this is, or "" if the key is missing or not accepted.
func (e *Engine) account(key string) string {
	if e.Keys == nil {
		return key
	}
	return e.Keys[key]
}

// admit lets a request pass the limiters and the check of its credential, or returns the refusal.
// A refused key costs a general unit only.
func (e *Engine) admit(h http.Header, r *http.Request, v request) (answer, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.limitGeneral(h, r) {
		return e.tooMany(), false
	}
	switch v.access {
	case needKey:
		if r.Header.Get("X-API-Key") == "" {
			return e.failure(http.StatusUnauthorized, "MISSING_API_KEY", "API key requerida"), false
		}
		if v.account == "" {
			return e.failure(http.StatusUnauthorized, "INVALID_API_KEY", "API key inválida"), false
		}
	case needBearer:
		if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") {
			return e.failure(http.StatusUnauthorized, "MISSING_TOKEN", "Token de acceso requerido"), false
		}
	}
	if v.route.limited() && !e.limitSessions(h, r.Header.Get("X-API-Key")) {
		return e.tooMany(), false
	}
	return answer{}, true
}

func (e *Engine) tooMany() answer {
	return e.failure(http.StatusTooManyRequests, "RATE_LIMIT_EXCEEDED", "Demasiadas solicitudes")
}
