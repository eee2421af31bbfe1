package proxy

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"qrgate/compat"
	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// QRService obtains the QRs of sessions and caches their states. Its errors are a *session.EngineError when the engine
// itself refuses the credential or does not know the session, the context's error when the client left, and
// session.ErrStopped when qrgate stops.
type QRService interface {
	// WaitQR waits for a QR, as long as preferred.
	WaitQR(ctx context.Context, c session.Caller, id string, preferred session.WaitPreference) (*session.Snapshot, error)
	// Get returns the session's snapshot. It starts nothing, and polls the engine at most once.
	Get(ctx context.Context, c session.Caller, id string) (*session.Snapshot, error)
	// Status is Get for a client that polls for the scan.
	Status(ctx context.Context, c session.Caller, id string) (*session.Snapshot, error)
	// Follow follows all changes of a session. It returns session.ErrTooManyWaiters when no more may wait.
	Follow(ctx context.Context, c session.Caller, id string) (session.Follower, error)

	// AdmitCreate waits until a create may be sent; the caller calls release when the engine has responded. wait is above
	// 0, and the create is not sent, when the engine's rate limit leaves no call for that long.
	AdmitCreate(ctx context.Context, c session.Caller) (release func(), wait time.Duration)
	// OnCreateRefused records that the engine refused to create a session of this name.
	OnCreateRefused(c session.Caller, name string)
	// WasCreateRefused reports whether the create of a session of this name was just refused.
	WasCreateRefused(c session.Caller, name string) bool
	// AdmitConnect returns how long a connect must wait for the engine's rate limit; 0 if it may be sent.
	AdmitConnect(c session.Caller) (wait time.Duration)
	// OnConnect records that the engine accepted a connect or restart.
	OnConnect(ctx context.Context, c session.Caller, o session.SessionReport, mode session.ConnectMode) error
	// OnConnectError continues a connect that failed, and waits for it no longer than max.
	OnConnectError(
		ctx context.Context, c session.Caller, r session.Ref, err error, max time.Duration,
	) (*session.Snapshot, error)
	// OnSessions records ids and states that the engine reported; created marks a session that was just created.
	OnSessions(ctx context.Context, c session.Caller, reports []session.SessionReport, created bool)
	// OnRateLimits records what the engine reports of its rate limits; limited marks a 429.
	OnRateLimits(c session.Caller, limits []session.RateLimit, limited bool, retryAfter time.Duration)
	// Invalidate drops the cached state of a session that was disconnected, restarted or deleted.
	Invalidate(ctx context.Context, c session.Caller, r session.Ref, deleted bool) error

	// Resolve finds the session that a caller means by id.
	Resolve(ctx context.Context, c session.Caller, id string) session.Ref
	// RetryOnStaleID calls the engine for the session *ref that a client means by id. If the engine denies an integer that
	// the client did not write, it resolves *ref anew and repeats the call once.
	RetryOnStaleID(ctx context.Context, c session.Caller, id string, ref *session.Ref, call func() error) error
	// Cached returns the cached snapshots of sessions, without a call.
	Cached(c session.Caller, refs []session.Ref) []*session.Snapshot
}

// sessionRequest is one request on a session route.
type sessionRequest struct {
	*Handler
	c           *gin.Context
	w           *responseWriter
	caller      session.Caller
	id          string      // as the client wrote it; "" on list and create
	ref         session.Ref // the session that id means
	traceLinked bool        // the request's span is linked to the session's acquisition
}

// Values of headers that every response of a session route has. net/http does not change them.
var (
	headerNoStore = []string{"no-store"}
	headerVary    = []string{"X-API-Key, Authorization, Prefer, Accept, Accept-Language"}
)

// sessionHandler makes the handler of a session route.
func (h *Handler) sessionHandler(serve func(*sessionRequest)) gin.HandlerFunc {
	return func(c *gin.Context) {
		if c.Request.Method == http.MethodHead { // the same header as for GET (RFC 9110, 9.3.2); net/http omits the body
			c.Request.Method = http.MethodGet
			c.Request.Header = c.Request.Header.Clone()
			c.Request.Header.Del("Accept") // no event stream
		}
		w := writerOf(c.Writer)
		s := &sessionRequest{Handler: h, c: c, w: w, caller: h.callerOf(w), id: c.Param("id")}
		header := w.Header()
		header["Cache-Control"], header["Vary"] = headerNoStore, headerVary
		serve(s)
		s.linkTrace()
		w.session = cmp.Or(s.ref.Name, s.id)
	}
}

// callerOf identifies the caller by its credential alone, never by another header.
func (h *Handler) callerOf(w *responseWriter) session.Caller {
	header := w.request.Header
	c := session.Caller{
		Key:         secret.NewSecret(header.Get("X-Api-Key")),
		Bearer:      secret.NewSecret(header.Get("Authorization")),
		Traffic:     w.traffic,
		RequestMeta: session.Request{ID: w.requestID, Trace: h.traceparent(w.request.Context())},
	}
	c.Tenant = h.config.Sealer.Tenant(c.Credential())
	return c
}

func (s *sessionRequest) ctx() context.Context { return s.c.Request.Context() }

// clientGone reports whether the client has left.
func (s *sessionRequest) clientGone() bool { return s.ctx().Err() != nil }

// resolve finds out which session the client means.
func (s *sessionRequest) resolve() { s.ref = s.config.QRService.Resolve(s.ctx(), s.caller, s.id) }

// linkTrace links the request's span to the session's acquisition, once, while the session is cached.
func (s *sessionRequest) linkTrace() {
	if s.config.Tracer == nil || s.traceLinked || s.ref.IsZero() {
		return
	}
	if v := s.config.QRService.Cached(s.caller, []session.Ref{s.ref})[0]; !v.Session.Ref.IsZero() {
		s.traceLinked = true
		s.config.Tracer.Link(s.ctx(), s.caller, &v.Session)
	}
}

// sessionPath is the engine's path of the session, or of all sessions, with a verb.
func (s *sessionRequest) sessionPath(verb string) string {
	path := compat.SessionsPath
	if s.id != "" {
		path += "/" + s.ref.URLSegment()
	}
	if verb != "" {
		path += "/" + verb
	}
	return path
}

// call forwards the request to the session under the engine's id for it.
func (s *sessionRequest) call(op, verb string, timeout time.Duration) (compat.Response, error) {
	return s.forwardRequest(op, s.sessionPath(verb), s.c.Request.URL.RawQuery, timeout)
}

// callWithRetry is call, repeated once if the engine denies an outdated id. A denied call changed nothing.
func (s *sessionRequest) callWithRetry(op, verb string, timeout time.Duration) (response compat.Response, err error) {
	body, _ := io.ReadAll(s.c.Request.Body) // it is in memory; see bufferBody
	err = s.retryOnStaleID(func() (err error) {
		if len(body) > 0 {
			s.c.Request.Body = io.NopCloser(bytes.NewReader(body))
		}
		response, err = s.call(op, verb, timeout)
		return err
	})
	return response, err
}

// retryOnStaleID is QRService.RetryOnStaleID for the session of the request.
func (s *sessionRequest) retryOnStaleID(call func() error) error {
	return s.config.QRService.RetryOnStaleID(s.ctx(), s.caller, s.id, &s.ref, call)
}

// forget drops the cached state of the session, even if the client has left.
func (s *sessionRequest) forget(deleted bool) {
	_ = s.config.QRService.Invalidate(context.WithoutCancel(s.ctx()), s.caller, s.ref, deleted)
}

// writeEngineError responds when a forwarded call failed: with the engine's own 4xx, normalized, or with 503.
func (s *sessionRequest) writeEngineError(a compat.Response, err error) {
	if s.clientGone() {
		return
	}
	e, ok := errors.AsType[*session.EngineError](err)
	if ok && e.Kind == session.KindSessionNotFound && !s.ref.IsZero() {
		s.forget(true) // the id is outdated; the next request resolves it again
	}
	if ok && a.Status >= 400 && a.Status < 500 {
		if body, err := compat.Parse(a.Body); err == nil {
			s.w.code = compat.ErrorCode(body)
			s.writeJSON(a.Status, compat.NormalizeErrorBody(body, a.Status, a.At), a.Header)
			return
		}
	}
	if r, ok := engineErrorResponse(err, time.Now()); ok {
		s.reply(r)
		return
	}
	s.reply(unavailableResponse(e, time.Now()))
}
