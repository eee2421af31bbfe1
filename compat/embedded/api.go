package embedded

import (
	"encoding/json"
	"net/http"
	"path"
	"time"

	"qrgate/compat"
)

// What the embedded engine answers beyond the codes of compat.
const (
	codeExists       = "SESSION_ALREADY_EXISTS"
	codeLimit        = "SESSION_LIMIT"
	codeNotServed    = "NOT_IMPLEMENTED"
	codeShuttingDown = "SHUTTING_DOWN"
)

const (
	textNotServed = "this gateway runs its embedded engine, which serves sessions and QR only; " +
		"set QRGATE_ENGINE_URL to the address of an engine that serves the rest"
	textClosing = "the gateway is shutting down"
)

// reply is an answer before it is written: handlers return it and write nothing.
type reply struct {
	status int
	body   any
}

func ok(body any) reply { return reply{http.StatusOK, body} }

func problem(status int, code, message string) reply {
	return reply{status, compat.NewProblem(code, message, time.Now())}
}

// ServeHTTP implements http.Handler.
func (e *Engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if allowOrigin(w, r) {
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if r.URL.Path != path.Clean(r.URL.Path) { // the mux would redirect in HTML
		write(w, problem(http.StatusNotFound, compat.CodeNotFound, "there is nothing at this path"))
		return
	}
	e.mux.ServeHTTP(w, r)
}

// routes is the documented API (contract 1.1) as far as this engine has it. Static routes go before {id} by
// the mux's own rules.
func (e *Engine) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", handle(e.root))
	mux.HandleFunc("GET /health", handle(e.health))
	mux.HandleFunc("POST /api/sessions", e.requireKey(e.create))
	mux.HandleFunc("GET /api/sessions", e.requireKey(e.list))
	mux.HandleFunc("GET /api/sessions/stats", e.requireKey(e.stats))
	mux.HandleFunc("GET /api/sessions/{id}", e.withSession(e.get))
	mux.HandleFunc("DELETE /api/sessions/{id}", e.withSession(e.delete))
	mux.HandleFunc("GET /api/sessions/{id}/qr", e.withSession(e.qr))
	mux.HandleFunc("GET /api/sessions/{id}/status", e.withSession(e.status))
	mux.HandleFunc("POST /api/sessions/{id}/connect", e.withSession(e.connect))
	mux.HandleFunc("POST /api/sessions/{id}/disconnect", e.withSession(e.disconnect))
	mux.HandleFunc("POST /api/sessions/{id}/restart", e.withSession(e.restart))
	for _, known := range []string{"", "/{id}", "/{id}/qr", "/{id}/status", "/{id}/connect", "/{id}/disconnect", "/{id}/restart"} {
		mux.HandleFunc("/api/sessions"+known, e.requireKey(wrongMethod))
	}
	mux.HandleFunc("/api/sessions/", e.requireKey(notServed))
	mux.HandleFunc("/api/", handle(func(*http.Request) reply { return notServed(nil, "") }))
	mux.HandleFunc("/", handle(func(*http.Request) reply {
		return problem(http.StatusNotFound, compat.CodeNotFound, "there is nothing at this path")
	}))
	return mux
}

// notServed answers for everything that the documented API has and this engine has not.
func notServed(*http.Request, string) reply {
	return problem(http.StatusNotImplemented, codeNotServed, textNotServed)
}

func wrongMethod(*http.Request, string) reply {
	return problem(http.StatusMethodNotAllowed, compat.CodeMethodNotAllowed, "this path does not take this method")
}

func handle(h func(*http.Request) reply) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { write(w, h(r)) }
}

// requireKey lets in whoever presents a key, and hands the account on.
func (e *Engine) requireKey(h func(r *http.Request, account string) reply) http.HandlerFunc {
	return handle(func(r *http.Request) reply {
		key := r.Header.Get("X-API-Key")
		if key == "" {
			return problem(http.StatusUnauthorized, compat.CodeMissingAPIKey, "the header X-API-Key is missing")
		}
		account, ok := e.ring.account(key)
		if !ok {
			return problem(http.StatusUnauthorized, compat.CodeInvalidAPIKey, "the API key is not valid")
		}
		return h(r, account)
	})
}

// withSession finds the session of a path. Those of other accounts are not there.
func (e *Engine) withSession(h func(*http.Request, *engineSession) reply) http.HandlerFunc {
	return e.requireKey(func(r *http.Request, account string) reply {
		e.mu.RLock()
		s := e.shelf.find(account, r.PathValue("id"))
		e.mu.RUnlock()
		if s == nil {
			return problem(http.StatusNotFound, compat.CodeSessionNotFound, "session not found")
		}
		return h(r, s)
	})
}

// write sends a reply. Bodies may hold a code, so nobody may keep them.
func write(w http.ResponseWriter, a reply) {
	b, err := json.Marshal(a.body)
	if err != nil {
		a.status = http.StatusInternalServerError
		b = compat.NewProblem(compat.CodeInternalError, "the answer could not be written", time.Now()).JSON()
	}
	h := w.Header()
	h.Set("Content-Type", compat.ContentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(a.status)
	_, _ = w.Write(b)
}
