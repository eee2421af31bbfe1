// Package proxy is the front of the gate: an http.Handler that receives every request of a client. It is
// the only room that knows Gin.
//
// A request passes, in this order,
//
//	gate      raw target, method and size; what two parsers could read differently is refused (gate.go)
//	identity  X-Request-Id, on the answer and on the way to the engine (requestid.go)
//	recovery  a panic becomes the documented 503, and no header is printed (finish.go)
//	router    the documented session routes (routes.go); everything else passes through (pass.go)
//
// and is reported once, as a flat Exchange, to Config.Observe: logs and metrics are made of those
// elsewhere.
//
// New and Server start nothing. The listener given to the server should be wrapped in Guard.
package proxy

import (
	"crypto/rand"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/gin-gonic/gin"

	"qrgate/compat"
	"qrgate/internal/seal"
	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// Config says how a Front behaves. Only Engine is needed for a useful one; the zero value of every other
// field has the meaning given beside it.
type Config struct {
	// Engine is the base URL of the engine: scheme, host and, rarely, a path that stands before every
	// path of a client. Without one, whatever is no session route is answered 404.
	Engine *url.URL

	// Transport carries the calls to the engine. Default: Transport(TransportOptions{}).
	Transport http.RoundTripper

	// TrustedProxies are the networks whose X-Forwarded-* and client address headers are believed.
	// Default: none, so that those headers are replaced by what the gate sees itself.
	TrustedProxies []netip.Prefix

	// Observe is told of every request, once, after its answer was written. It must not block and may be
	// called by many goroutines at once. Default: nobody is told.
	Observe func(RequestLog)

	// TrafficClass tells the gate's own probes from users, by the key presented in X-API-Key.
	// Default: everything comes from users.
	TrafficClass func(key secret.Secret) session.TrafficClass

	// QRService answers the session routes. Without one they pass through.
	QRService QRService

	// Loop knows the gate's own requests again, should the engine's address lead back to it. Its Transport carries
	// what QRService asks. Default: one of the front's own.
	Loop *Loop

	// Trail ties requests to the journeys that they are part of. Default: nobody traces.
	Trail Tracer

	// Vault makes tenants of credentials. It must be set when QRService is.
	Vault *seal.Sealer

	// Logger takes panics, and nothing else. Default: they are not logged, only observed as 503.
	Logger *slog.Logger

	// PassBody bounds the body of a request that passes through, in bytes; beyond it the answer is 413.
	// Default: 128 MiB, which leaves room for the documented uploads of 100 MB.
	PassBody int64

	// SessionBody bounds the body of a request on a session route, in bytes. Default: 1 MiB.
	SessionBody int64

	// SessionBodyTime is how long a client may take to send the whole body of a request on a session
	// route. Default: 15 s.
	SessionBodyTime time.Duration

	// Idle is how long a request that passes through may go without a byte in either direction, before
	// the engine's answer as well as during it. There is no total bound. Default: 120 s.
	Idle time.Duration
}

// withDefaults fills what is zero.
func (c Config) withDefaults() Config {
	if c.Transport == nil {
		c.Transport = Transport(TransportOptions{})
	}
	if c.Observe == nil {
		c.Observe = func(RequestLog) {}
	}
	if c.TrafficClass == nil {
		c.TrafficClass = func(secret.Secret) session.TrafficClass { return session.UserTraffic }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Loop == nil {
		c.Loop = NewLoop()
	}
	c.PassBody = positive(c.PassBody, 128<<20)
	c.SessionBody = positive(c.SessionBody, 1<<20)
	c.SessionBodyTime = positive(c.SessionBodyTime, 15*time.Second)
	c.Idle = positive(c.Idle, 120*time.Second)
	return c
}

// positive is v, or fallback where v is zero or less.
func positive[T int64 | time.Duration](v, fallback T) T {
	if v <= 0 {
		return fallback
	}
	return v
}

// Handler is the handler that every client talks to. Make one with New.
type Handler struct {
	config     Config
	router     *gin.Engine
	routeSet   routeSet
	cors       *corsCache
	buffers    *bufferPool
	discardLog *log.Logger // httputil's: the Exchange tells what it would say
}

// New builds a front and starts nothing.
//
// It puts Gin into release mode, for the process and once: in any other mode Gin prints its routes and,
// on a panic, the headers of the request.
func New(config Config) *Handler {
	f := &Handler{
		config:     config.withDefaults(),
		cors:       newCORSCache(),
		buffers:    newBufferPool(),
		discardLog: log.New(io.Discard, "", 0),
	}
	f.router = f.newRouter()
	f.routeSet = newRouteSet(f.router.Routes())
	return f
}

// Handler is the front as an [http.Handler].
func (f *Handler) Handler() http.Handler { return http.HandlerFunc(f.serve) }

// serve takes one request from the gate to the observer.
func (f *Handler) serve(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	target, refusal := f.validate(r)
	r = withRequestID(r)
	rec := f.record(w, r)
	rec.route = target.route
	defer func() { f.finish(rec, r, began, recover()) }()
	if refusal != nil {
		rec.closeConn = true
		f.writeError(rec, r, *refusal)
		return
	}
	f.router.ServeHTTP(rec, target.apply(r, rec, f.config))
}

const (
	headerRequestID = "X-Request-Id"
	maxRequestID    = 64
)

// withRequestID is a copy of the server's request, headers included, which handlers must not change. It has an
// X-Request-Id: the client's if there is exactly one and it can be printed safely, else a new one.
func withRequestID(r *http.Request) *http.Request {
	r = r.WithContext(r.Context())
	r.Header = r.Header.Clone()
	if ids := r.Header[headerRequestID]; len(ids) != 1 || !validRequestID(ids[0]) {
		r.Header.Set(headerRequestID, rand.Text())
	}
	return r
}

// validRequestID reports whether id is within ^[A-Za-z0-9._-]{1,64}$.
func validRequestID(id string) bool {
	if id == "" || len(id) > maxRequestID {
		return false
	}
	for i := range len(id) {
		c := id[i]
		ok := c == '.' || c == '_' || c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !ok {
			return false
		}
	}
	return true
}

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
