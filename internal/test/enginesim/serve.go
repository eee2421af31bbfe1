package enginesim

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"
)

const maxBody = 1 << 20 // of a session route; uploads have no limit here

// request is one HTTP request and what the engine decided about it.
type request struct {
	rule
	id      string // the path's parameter, unescaped
	account string
	fault   Fault
	latency time.Duration
	call    *Call
	isDown  bool
}

// ServeHTTP implements [http.Handler].
//
// A request passes, in this order: latency, a fault in front of the engine, rate limits, credential, handler, a fault
// of the response.
func (e *Engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req := e.readRequest(r)
	seen := &statusWriter{ResponseWriter: w}
	defer func() { e.finishCall(req.call, seen.status) }()
	if req.isDown {
		closeConnection(seen)
		return
	}
	e.setResponseHeaders(seen.Header(), r, req)
	if req.route == RoutePreflight {
		preflight(seen, r)
		return
	}
	if !e.wait(r.Context(), req.latency) {
		closeConnection(seen)
		return
	}
	if req.fault.Kind != NoFault && !req.fault.runsRequest() {
		e.applyFault(seen, r, req.fault, response{})
		return
	}
	e.authorizeAndHandle(seen, r, req)
}

func (e *Engine) authorizeAndHandle(w http.ResponseWriter, r *http.Request, req request) {
	if refusal, ok := e.authorize(w.Header(), r, req); !ok {
		refusal.write(w, r)
		return
	}
	switch req.route {
	case RouteSocket:
		e.echoSocket(w, r)
		return
	case RouteDownload:
		download(w, r, req.fault.Kind == TruncatedBody)
		return
	}
	a := e.handle(r, req)
	if req.fault.Kind != NoFault {
		e.applyFault(w, r, req.fault, a)
		return
	}
	a.write(w, r)
}

// readRequest reads everything that needs the lock at once, and records the call.
func (e *Engine) readRequest(r *http.Request) request {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.restartIfDue()
	req := request{account: e.account(r.Header.Get("X-API-Key"))}
	req.rule, req.id = match(e.table(), r.Method, rawPath(r))
	if r.Method == http.MethodOptions {
		req.rule = rule{route: RoutePreflight}
	}
	req.fault = e.nextFault(req.route)
	req.latency = e.Latency
	switch req.route {
	case RouteConnect, RouteRestart:
		req.latency += e.ConnectLatency
	case RouteQR:
		req.latency += e.QRLatency
	}
	req.isDown = e.isDown()
	req.call = e.recordCall(r, req)
	return req
}

func (e *Engine) setResponseHeaders(h http.Header, r *http.Request, req request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.setHeaders(h, r.Header.Get("Origin"))
	h.Set("X-Route", string(req.route))
}

// wait waits for d. It reports false when the client disconnected or the engine was closed meanwhile.
func (e *Engine) wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	case <-e.done():
		return false
	}
}

// handle runs the handler of the route.
func (e *Engine) handle(r *http.Request, req request) response {
	switch req.route {
	case RouteEcho, RouteUpload:
		return e.echo(r, req)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	e.mu.Lock()
	defer e.mu.Unlock()
	req.call.Body = body
	switch {
	case err != nil:
		return e.failure(http.StatusBadRequest, "BAD_REQUEST", "request aborted")
	case len(body) > maxBody:
		return e.failure(http.StatusRequestEntityTooLarge, "PAYLOAD_TOO_LARGE", "request entity too large")
	}
	return e.handleRoute(r, req, body)
}

// statusWriter records the status of a response; 0 means that none was sent.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements [http.ResponseWriter].
func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets [http.ResponseController] reach what is below.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// account returns the account of a key, or "" if the key is missing or not accepted.
func (e *Engine) account(key string) string {
	if e.Keys == nil {
		return key
	}
	return e.Keys[key]
}

// authorize checks the rate limits and the credential, and returns the refusal. A refused key counts against the
// general limit only.
func (e *Engine) authorize(h http.Header, r *http.Request, req request) (response, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.limitGeneral(h, r) {
		return e.tooMany(), false
	}
	switch req.access {
	case needKey:
		if r.Header.Get("X-API-Key") == "" {
			return e.failure(http.StatusUnauthorized, "MISSING_API_KEY", "API key requerida"), false
		}
		if req.account == "" {
			return e.failure(http.StatusUnauthorized, "INVALID_API_KEY", "API key inválida"), false
		}
	case needBearer:
		if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") {
			return e.failure(http.StatusUnauthorized, "MISSING_TOKEN", "Token de acceso requerido"), false
		}
	}
	if req.route.limited() && !e.limitSessions(h, r.Header.Get("X-API-Key")) {
		return e.tooMany(), false
	}
	return response{}, true
}

func (e *Engine) tooMany() response {
	return e.failure(http.StatusTooManyRequests, "RATE_LIMIT_EXCEEDED", "Demasiadas solicitudes")
}

const maxCalls = 20_000 // recorded; above it the older half is dropped

// Call is one request that reached the engine.
type Call struct {
	Route   Route
	Method  string
	Path    string // as it was sent, still escaped
	Query   string // raw
	Account string // "" if the key was missing or not accepted
	Status  int    // of the response; 0 while there is none, or if the engine closed the connection
	At      time.Time
	Header  http.Header
	Body    []byte // of session routes
}

// Calls returns the requests that reached the engine, oldest first.
func (e *Engine) Calls() []Call {
	e.mu.Lock()
	defer e.mu.Unlock()
	calls := make([]Call, len(e.calls))
	for i, c := range e.calls {
		calls[i] = *c
	}
	return calls
}

// CountSince counts the calls of a route at or after a moment. [AnyRoute] counts all routes; the zero time counts
// from the start.
func (e *Engine) CountSince(route Route, since time.Time) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for _, c := range e.calls {
		if (route == AnyRoute || c.Route == route) && !c.At.Before(since) {
			n++
		}
	}
	return n
}

func (e *Engine) recordCall(r *http.Request, req request) *Call {
	if len(e.calls) >= maxCalls {
		e.calls = append([]*Call(nil), e.calls[maxCalls/2:]...)
	}
	c := &Call{
		Route: req.route, Method: r.Method, Path: rawPath(r), Query: r.URL.RawQuery,
		Account: req.account, At: time.Now(), Header: r.Header.Clone(),
	}
	e.calls = append(e.calls, c)
	return c
}

func (e *Engine) finishCall(c *Call, status int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c.Status = status
}
