package proxy

import (
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"time"

	"qrgate/compat"
	"qrgate/internal/secret"
)

const textInternal = "Something failed inside the gate. Try again, and give the X-Request-Id of this answer to whoever runs it."

// finish ends one request: it answers after a panic, tells the observer, and lets the connection go.
func (f *Handler) finish(rec *responseWriter, r *http.Request, began time.Time, panicked any) {
	abort := panicked != nil
	if panicked != nil && panicked != http.ErrAbortHandler {
		f.logPanic(rec, r, panicked)
		if rec.status == 0 {
			f.writeError(rec, r, apiError{http.StatusServiceUnavailable, compat.CodeInternalError, textInternal})
			abort = false
		}
	}
	f.config.Observe(f.exchange(rec, r, time.Since(began), abort))
	if abort {
		panic(http.ErrAbortHandler) // the only way to tell net/http, and with it the client, that the answer is cut
	}
	drainBody(rec, r)
}

// logPanic says where and what, never what the client sent: Gin's own recovery prints every header but
// Authorization, X-API-Key included. The value of a panic may hold anything, so only the runtime's own are printed.
func (f *Handler) logPanic(rec *responseWriter, r *http.Request, panicked any) {
	what := fmt.Sprintf("a value of type %T", panicked)
	if err, ok := panicked.(runtime.Error); ok {
		what = err.Error()
	}
	f.config.Logger.Error("a request panicked", "panic", what, "method", methodLabel(r.Method),
		"route", rec.route, "request_id", r.Header.Get(headerRequestID), "stack", string(debug.Stack()))
}

// exchange is the report of one request.
func (f *Handler) exchange(rec *responseWriter, r *http.Request, took time.Duration, aborted bool) RequestLog {
	left := rec.clientGone
	if rec.status == 0 || aborted {
		left = left || r.Context().Err() != nil // later than that, a client may go as it likes
	}
	gone := rec.failed || left && !isReadTimeout(rec.body.failure())
	status := rec.status
	if status == 0 {
		status = http.StatusOK // net/http sends it when the handler wrote nothing
		if gone || aborted {
			status = StatusClientGone
		}
	}
	return RequestLog{
		Method: methodLabel(r.Method), Route: rec.route, Status: status, Code: rec.code, Took: took,
		BytesIn: rec.body.count(), BytesOut: rec.bytes, RequestID: r.Header.Get(headerRequestID), Session: rec.session, Trace: f.traceparent(r.Context()),
		Traffic:    f.config.TrafficClass(secret.NewSecret(r.Header.Get("X-API-Key"))),
		ClientGone: gone, Truncated: aborted && !gone,
	}
}
