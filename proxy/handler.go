// Package proxy is the public HTTP front: an http.Handler that receives every request of a client. It is the only
// package that imports Gin.
//
// A request passes, in this order,
//
//	validate.go     raw target, framing, method and size: what two parsers could read differently is refused
//	routes.go       Gin finds the handler of a documented session route; every other path passes through
//	session*.go     session routes: the engine's responses, normalized, and the QR
//	pairing.go      links, and the page that they open
//	passthrough.go  everything else, byte for byte
//	accesslog.go    one session.RequestLog per request, for Config.Observe: logs and metrics are made from it
//
// New and Server start nothing. Serve on a listener wrapped by DetectSmuggling.
package proxy

import (
	"cmp"
	"context"
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
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	lru "github.com/hashicorp/golang-lru/v2"

	"qrgate/compat"
	"qrgate/internal/acquire"
	"qrgate/internal/seal"
	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// Config configures a Handler. A zero field has the default given beside it.
type Config struct {
	// Engine is the engine's base URL: scheme, host and, rarely, a path that precedes every client's path.
	// Without one, every path that is no session route gets a 404.
	Engine    *url.URL
	Transport http.RoundTripper // carries the calls to the engine; default: Transport()

	// Acquirer serves the session routes. Without one they pass through.
	Acquirer *acquire.Manager
	Sealer   *seal.Sealer // derives tenants from credentials; required with Acquirer

	// SlowWrongKeys lets addresses that present wrong keys wait. Default: the engine protects itself.
	SlowWrongKeys bool

	// Native serves the clients of another engine's own API, instead of the documented one. Default: none.
	Native *NativeFront

	// Pairing configures the pages that people open by links. Without its Links there are none.
	Pairing Pairing

	// QRFormats is how QRs are written into JSON. Default: as data URLs.
	QRFormats QRFormats

	// CORSOrigins are the origins whose pages may read qrgate's responses, or "*", whatever the engine allows.
	CORSOrigins []string

	// TrustedProxies are the networks whose X-Forwarded-* and client IP headers are forwarded. Default: none.
	TrustedProxies []netip.Prefix

	// TrafficClass distinguishes probes from users by the key in X-API-Key. Default: every request is a user's.
	TrafficClass func(key secret.Secret) session.TrafficClass

	// Loop recognizes requests that qrgate sent itself, should the engine's address lead back to it. The transport of
	// Acquirer must be wrapped by the same Loop. Default: a new one.
	Loop *Loop

	// Observe receives every request once, after its response was written. It must not block. Default: none.
	Observe func(session.RequestLog)
	Tracer  Tracer       // default: no tracing
	Logger  *slog.Logger // receives panics and nothing else; default: none

	limits limits // tests shorten them
}

type limits struct {
	passThroughBody    int64         // bytes; documented uploads have up to 100 MB
	sessionBody        int64         // bytes
	sessionBodyTimeout time.Duration // for the whole body of a request on a session route
	idleTimeout        time.Duration // without a byte in either direction while a request passes through
}

func (c Config) withDefaults() Config {
	if c.Observe == nil {
		c.Observe = func(session.RequestLog) {}
	}
	if c.TrafficClass == nil {
		c.TrafficClass = func(secret.Secret) session.TrafficClass { return session.UserTraffic }
	}
	c.Transport = cmp.Or[http.RoundTripper](c.Transport, Transport())
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	c.Loop = cmp.Or(c.Loop, NewLoop())
	c.limits = cmp.Or(c.limits, limits{128 << 20, 1 << 20, 15 * time.Second, 120 * time.Second})
	return c
}

// Handler serves all clients. Make one with New.
type Handler struct {
	config  Config
	router  *gin.Engine
	cors    *lru.Cache[string, corsEntry] // by Origin
	buffers bufferPool

	preflights chan struct{} // those in progress
	wrongKeys  wrongKeys
	byPhone    atomic.Pointer[byPhone]

	draining context.Context    // ends when qrgate stops
	Drain    context.CancelFunc // ends streams, whose clients connect again

	trustedProxies atomic.Pointer[[]netip.Prefix] // changes when the settings are reloaded, as does
	corsOrigins    atomic.Pointer[[]string]
	discardLog     *log.Logger // httputil's own log: the request log holds the same facts
}

// New makes a Handler. It puts Gin into release mode for the whole process: in any other mode Gin prints its routes.
func New(config Config) *Handler {
	gin.SetMode(gin.ReleaseMode)
	h := &Handler{
		config:     config.withDefaults(),
		cors:       newCache[string, corsEntry](maxOrigins),
		preflights: make(chan struct{}, maxPreflights),
		wrongKeys:  newWrongKeys(),
		buffers:    bufferPool{sync.Pool{New: func() any { return new([32 << 10]byte) }}},
		discardLog: log.New(io.Discard, "", 0),
	}
	h.draining, h.Drain = context.WithCancel(context.Background())
	h.SetTrustedProxies(config.TrustedProxies)
	h.SetCORSOrigins(config.CORSOrigins)
	h.router = h.newRouter()
	return h
}

// newCache returns a cache that drops the entry that was used least recently when it is full.
func newCache[K comparable, V any](size int) *lru.Cache[K, V] {
	cache, _ := lru.New[K, V](size) // fails for a size of 0
	return cache
}

// untilDraining returns a context that ends with ctx, or when qrgate stops.
func (h *Handler) untilDraining(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(h.draining, cancel)
	return ctx, func() { stop(); cancel() }
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.handle(w, r, (*responseWriter).dispatch)
}

// ServeAmbiguous responds to a request for a session that several engines have. A client of an engine's own API that
// names none gets that engine's own response to a client with several sessions.
func (h *Handler) ServeAmbiguous(w http.ResponseWriter, r *http.Request) {
	h.handle(w, r, func(rw *responseWriter) {
		front, text := h.config.Native, textAmbiguousSession
		if front != nil {
			text = textAmbiguousName
			if native := front.dialect.Native; native.NoName.Status != 0 && native.Subject(r, noBody).IsOnly {
				writeResponse(rw, native.NoName, "")
				return
			}
		}
		rw.reply(problem(http.StatusConflict, compat.CodeSessionAmbiguous, text))
	})
}

func noBody() compat.Object { return nil }

// handle validates a request and passes it to next.
func (h *Handler) handle(w http.ResponseWriter, r *http.Request, next func(*responseWriter)) {
	rw := h.newResponseWriter(w, r)
	defer func() { h.finish(rw, recover()) }()
	t, refusal := h.validate(r)
	rw.route = t.route
	if refusal.status != 0 {
		rw.closeConn = true
		rw.reply(refusal)
		return
	}
	rw.setTarget(t)
	if !rw.awaitPenalty() {
		return
	}
	next(rw)
}

// dispatch finds the handler of a request.
func (w *responseWriter) dispatch() {
	h := w.handler
	if rest, ok := strings.CutPrefix(w.url.Path, h.pairPrefix()); ok && h.config.Pairing.Links != nil {
		h.servePairing(w, rest)
		return
	}
	if h.config.Native != nil {
		h.serveNative(w)
		return
	}
	h.router.ServeHTTP(w, &w.request)
}

// finish ends one request: it responds after a panic, reports the request and ends the connection if it must end.
func (h *Handler) finish(w *responseWriter, panicked any) {
	abort := panicked != nil
	if panicked != nil && panicked != http.ErrAbortHandler {
		h.logPanic(w, panicked)
		if w.status == 0 {
			w.reply(problem(http.StatusServiceUnavailable, compat.CodeInternalError, textInternal))
			abort = false
		}
	}
	w.recordKey()
	log := h.requestLog(w, abort)
	if h.config.Tracer != nil {
		h.config.Tracer.ObserveRequest(w.request.Context(), log)
	}
	h.config.Observe(log)
	if abort {
		panic(http.ErrAbortHandler) // only this makes net/http, and so the client, see that the response is truncated
	}
	w.drainBody()
}

// logPanic logs where a panic happened, and never what the client sent: Gin's own recovery prints every header except
// Authorization, X-API-Key included. The value of a panic may hold anything, so only runtime errors are printed.
func (h *Handler) logPanic(w *responseWriter, panicked any) {
	what := fmt.Sprintf("a value of type %T", panicked)
	if err, ok := panicked.(runtime.Error); ok {
		what = err.Error()
	}
	h.config.Logger.Error("request panicked", "panic", what, "method", methodLabel(w.request.Method),
		"route", w.route, "request_id", w.requestID, "stack", string(debug.Stack()))
}

const (
	headerRequestID     = "X-Request-Id"
	maxRequestIDSize    = 64
	requestIDCharacters = "0123456789._-ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// requestIDOf is the client's X-Request-Id if there is exactly one and it is valid, else a new one.
func requestIDOf(h http.Header) string {
	if ids := h[headerRequestID]; len(ids) == 1 && isRequestID(ids[0]) {
		return ids[0]
	}
	return rand.Text()
}

func isRequestID(id string) bool {
	return id != "" && len(id) <= maxRequestIDSize && strings.Trim(id, requestIDCharacters) == ""
}
