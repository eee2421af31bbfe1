package embedded

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"path"
	"runtime"
	"runtime/debug"
	"time"

	"qrgate/compat"
)

// Error codes beyond those of compat.
const (
	codeExists       = "SESSION_ALREADY_EXISTS"
	codeLimit        = "SESSION_LIMIT"
	codeNotServed    = "NOT_IMPLEMENTED"
	codeShuttingDown = "SHUTTING_DOWN"
)

const maxBody = 64 << 10 // bytes of a request's body

// response is an HTTP response that a handler returns; writeJSON writes it.
type response struct {
	status int
	body   any
}

func ok(body any) response { return response{http.StatusOK, body} }

func problem(status int, code, message string) response {
	return response{status, compat.NewProblem(code, message, time.Now())}
}

func notFound() response {
	return problem(http.StatusNotFound, compat.CodeNotFound, "not found")
}

func shuttingDown() response {
	return problem(http.StatusServiceUnavailable, codeShuttingDown, "the gateway is shutting down")
}

func internalError(message string) response {
	return problem(http.StatusInternalServerError, compat.CodeInternalError, message)
}

// ServeHTTP implements http.Handler.
func (e *Engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer e.logPanic()
	if handleCORS(w, r) {
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if r.URL.Path != path.Clean(r.URL.Path) { // the mux would redirect in HTML
		writeJSON(w, notFound())
		return
	}
	e.mux.ServeHTTP(w, r)
}

// logPanic logs where a request panicked, and lets the panic continue. Only a runtime error is printed: another value
// may hold anything.
func (e *Engine) logPanic() {
	if p := recover(); p != nil {
		err, _ := p.(runtime.Error)
		e.log.Error("engine request panicked", "err", err, "stack", string(debug.Stack()))
		panic(p)
	}
}

// routes registers the part of the documented API that this engine serves (contract 1.1).
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
	mux.HandleFunc("POST /api/sessions/{id}/pairing-code", e.withSession(e.pairingCode))
	mux.HandleFunc("GET /api/sessions/{id}/passkey", e.withSession(e.passkey))
	mux.HandleFunc("POST /api/sessions/{id}/passkey", e.withSession(e.sendPasskey))
	mux.HandleFunc("PUT /api/sessions/{id}/webhook", e.withSession(e.putWebhook))
	mux.HandleFunc("POST /api/sessions/{id}/disconnect", e.withSession(e.disconnect))
	mux.HandleFunc("POST /api/sessions/{id}/restart", e.withSession(e.restart))
	for _, known := range []string{"", "/{id}", "/{id}/qr", "/{id}/status", "/{id}/connect", "/{id}/disconnect",
		"/{id}/restart", "/{id}/pairing-code", "/{id}/passkey", "/{id}/webhook"} {
		mux.HandleFunc("/api/sessions"+known, e.requireKey(methodNotAllowed))
	}
	mux.HandleFunc("/api/sessions/", e.requireKey(notServed))
	mux.HandleFunc("/api/", e.requireKey(notServed))
	mux.HandleFunc("/", handle(func(*http.Request) response { return notFound() }))
	return mux
}

// features are the parts of the documented API that this engine serves.
var features = []string{"sessions", "qr", "pairing_code", "passkey", "session_events"}

// notServed is the response for the rest of the documented API.
func notServed(*http.Request, string) response {
	return response{http.StatusNotImplemented, struct {
		compat.Problem
		Features []string `json:"features"`
	}{compat.NewProblem(codeNotServed, "the embedded engine pairs phones; it serves no messages, chats or contacts. "+
		"Set QRGATE_ENGINE_URL to the URL of an engine that serves this path", time.Now()), features}}
}

func methodNotAllowed(*http.Request, string) response {
	return problem(http.StatusMethodNotAllowed, compat.CodeMethodNotAllowed, "this path does not support this method")
}

func handle(h func(*http.Request) response) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { writeJSON(w, h(r)) }
}

// requireKey passes the account of a valid key on.
func (e *Engine) requireKey(h func(*http.Request, string) response) http.HandlerFunc {
	return handle(func(r *http.Request) response {
		key := r.Header.Get("X-API-Key")
		if key == "" {
			return problem(http.StatusUnauthorized, compat.CodeMissingAPIKey, "the header X-API-Key is missing")
		}
		account, ok := e.keys.Load().account(key)
		if !ok {
			return problem(http.StatusUnauthorized, compat.CodeInvalidAPIKey, "the API key is not valid")
		}
		return h(r, account)
	})
}

// withSession finds the session of the path; sessions of other accounts are not found.
func (e *Engine) withSession(h func(*http.Request, *engineSession) response) http.HandlerFunc {
	return e.requireKey(func(r *http.Request, account string) response {
		s := e.findSession(account, r.PathValue("id"))
		if s == nil {
			return problem(http.StatusNotFound, compat.CodeSessionNotFound, "session not found")
		}
		return h(r, s)
	})
}

// readJSON decodes the body into v; an empty body leaves v unchanged.
func readJSON(r *http.Request, v any) *response {
	b, err := io.ReadAll(r.Body)
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		p := problem(http.StatusRequestEntityTooLarge, compat.CodePayloadTooLarge, "the body is larger than 64 KiB")
		return &p
	}
	if err == nil && len(b) > 0 {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		p := invalid("the body is not valid JSON of the expected shape")
		return &p
	}
	return nil
}

func invalid(detail string) response {
	return problem(http.StatusBadRequest, compat.CodeValidationError, "invalid input: "+detail)
}

// writeJSON forbids caching, because bodies may contain a code.
func writeJSON(w http.ResponseWriter, res response) {
	b, err := json.Marshal(res.body)
	if err != nil {
		res.status = http.StatusInternalServerError
		b = compat.NewProblem(compat.CodeInternalError, "the response could not be encoded", time.Now()).JSON()
	}
	h := w.Header()
	h.Set("Content-Type", compat.ContentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(res.status)
	_, _ = w.Write(b)
}

// handleCORS sets the headers that the documented engine sets (contract 5.2), so that a browser client works with
// this engine, too, and responds to a preflight. The API key protects the API; a page that has it may use it.
func handleCORS(w http.ResponseWriter, r *http.Request) (isPreflight bool) {
	h := w.Header()
	h.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", compat.ExposedHeaders)
	h.Set("Access-Control-Allow-Credentials", "true")
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", "GET,HEAD,PUT,PATCH,POST,DELETE")
	if headers := r.Header.Get("Access-Control-Request-Headers"); headers != "" {
		h.Add("Vary", "Access-Control-Request-Headers")
		h.Set("Access-Control-Allow-Headers", headers)
	}
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}
