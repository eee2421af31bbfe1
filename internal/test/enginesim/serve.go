package enginesim

import (
	"context"
	"io"
	"net/http"
	"time"
)

const maxBody = 1 << 20 // of a session route; uploads have no limit here

// request is one request on its way through the engine.
type request struct {
	rule
	id      string // the path's parameter, unescaped
	account string
	fault   Fault
	latency time.Duration
	call    *Call
	down    bool
}

// ServeHTTP implements [http.Handler].
//
// The way of a request: latency, a fault that stands before the engine, limits and key, the work itself,
// a fault that spoils its answer.
func (e *Engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := e.readRequest(r)
	seen := &statusWriter{ResponseWriter: w}
	defer func() { e.leave(v.call, seen.status) }()
	if v.down {
		cut(seen)
		return
	}
	e.announce(seen.Header(), r, v)
	if v.route == RoutePreflight {
		preflight(seen, r)
		return
	}
	if !e.pause(r.Context(), v.latency) {
		cut(seen)
		return
	}
	if v.fault.Kind != NoFault && !v.fault.acts() {
		e.applyFault(seen, r, v.fault, answer{})
		return
	}
	e.admitAndWork(seen, r, v)
}

func (e *Engine) admitAndWork(w http.ResponseWriter, r *http.Request, v request) {
	if refusal, ok := e.admit(w.Header(), r, v); !ok {
		refusal.write(w, r)
		return
	}
	switch v.route {
	case RouteSocket:
		e.echoSocket(w, r)
		return
	case RouteDownload:
		download(w, r, v.fault.Kind == TruncatedBody)
		return
	}
	a := e.work(r, v)
	if v.fault.Kind != NoFault {
		e.applyFault(w, r, v.fault, a)
		return
	}
	a.write(w, r)
}

// readRequest reads all that must be read from the engine at once, and takes down the call.
func (e *Engine) readRequest(r *http.Request) request {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dieOnTime()
	v := request{account: e.account(r.Header.Get("X-API-Key"))}
	v.rule, v.id = match(e.table(), r.Method, rawPath(r))
	if r.Method == http.MethodOptions {
		v.rule = rule{route: RoutePreflight}
	}
	v.fault = e.nextFault(v.route)
	v.latency = e.Latency
	switch v.route {
	case RouteConnect, RouteRestart:
		v.latency += e.ConnectLatency
	case RouteQR:
		v.latency += e.QRLatency
	}
	v.down = e.down()
	v.call = e.record(r, v)
	return v
}

func (e *Engine) announce(h http.Header, r *http.Request, v request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.setHeaders(h, r.Header.Get("Origin"))
	h.Set("X-Route", string(v.route))
}

// pause waits. It reports false when the client left or the engine was closed meanwhile.
func (e *Engine) pause(ctx context.Context, d time.Duration) bool {
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

// work does what the route is for and returns the answer.
func (e *Engine) work(r *http.Request, v request) answer {
	switch v.route {
	case RouteEcho, RouteUpload:
		return e.echo(r, v)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	e.mu.Lock()
	defer e.mu.Unlock()
	v.call.Body = body
	switch {
	case err != nil:
		return e.failure(http.StatusBadRequest, "BAD_REQUEST", "request aborted")
	case len(body) > maxBody:
		return e.failure(http.StatusRequestEntityTooLarge, "PAYLOAD_TOO_LARGE", "request entity too large")
	}
	return e.route(r, v, body)
}

// statusWriter remembers the status of an answer; 0 means that none was sent.
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
