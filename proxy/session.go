package proxy

import (
	"cmp"
	"context"
	"net/http"
	"path"
	"strings"
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
	// OnCreateRefused records that the engine refused to create a session of this name; WasCreateRefused reports it.
	OnCreateRefused(c session.Caller, name string)
	WasCreateRefused(c session.Caller, name string) bool
	// AdmitConnect returns how long a connect must wait for the engine's rate limit; 0 if it may be sent.
	AdmitConnect(c session.Caller) (wait time.Duration)
	// OnConnect records that the engine accepted a connect or restart.
	OnConnect(ctx context.Context, c session.Caller, o session.SessionReport, mode session.ConnectMode) error
	// OnConnectError continues a connect that failed, and waits for it no longer than max.
	OnConnectError(
		ctx context.Context, c session.Caller, r session.Ref, err error, max time.Duration,
	) (*session.Snapshot, error)
	// OnConnectRefused records that the engine refused a connect for good. It reports whether the engine denies a
	// session that it has just created.
	OnConnectRefused(ctx context.Context, c session.Caller, r session.Ref, err error) (isDenied bool)
	// OnSessions records ids and states that the engine reported; created marks a session that was just created.
	OnSessions(ctx context.Context, c session.Caller, reports []session.SessionReport, created bool)
	// OnRateLimits records what the engine reports of its rate limits; limited marks a 429.
	OnRateLimits(c session.Caller, limits []session.RateLimit, limited bool, retryAfter time.Duration)
	// Invalidate drops the cached state of a session that was disconnected, restarted or deleted.
	Invalidate(ctx context.Context, c session.Caller, r session.Ref, deleted bool) error

	// OnEngineUnreachable makes codes that were obtained until now be confirmed before they are shown again.
	OnEngineUnreachable()
	Resolve(ctx context.Context, c session.Caller, id string) session.Ref
	// RetryOnStaleID calls the engine for the session *ref that a client means by id. If the engine denies an integer
	// that the client did not write, it resolves *ref anew and repeats the call once.
	RetryOnStaleID(ctx context.Context, c session.Caller, id string, ref *session.Ref, call func() error) error
	// Cached returns the cached snapshots of sessions, without a call.
	Cached(c session.Caller, refs []session.Ref) []*session.Snapshot
}

// sessionRequest is one request on a session route.
type sessionRequest struct {
	*responseWriter
	service     QRService
	caller      session.Caller
	id          string      // as the client wrote it; "" on list and create
	ref         session.Ref // the session that id means
	isPicture   bool        // the client wants the picture of the QR, not JSON
	traceLinked bool        // the request's span is linked to the session's acquisition
}

func (h *Handler) sessionHandler(serve func(*sessionRequest)) gin.HandlerFunc {
	return func(c *gin.Context) {
		w := writerOf(c)
		if w.request.Method == http.MethodHead { // the same header as for GET (RFC 9110, 9.3.2); net/http omits the body
			w.request.Method = http.MethodGet
			if strings.Contains(w.request.Header.Get("Accept"), "text/event-stream") {
				w.request.Header = w.request.Header.Clone()
				w.request.Header.Del("Accept")
			}
		}
		s := &sessionRequest{responseWriter: w, service: h.config.QRService, caller: h.callerOf(w), id: c.Param("id")}
		w.Header()["Cache-Control"], w.Header()["Vary"] = headerNoStore, headerVary
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

func (s *sessionRequest) ctx() context.Context { return s.request.Context() }

func (s *sessionRequest) hasLeft() bool { return s.ctx().Err() != nil }

func (s *sessionRequest) resolve() { s.ref = s.service.Resolve(s.ctx(), s.caller, s.id) }

// linkTrace links the request's span to the session's acquisition, once, while the session is cached.
func (s *sessionRequest) linkTrace() {
	if s.handler.config.Tracer == nil || s.traceLinked || s.ref.IsZero() {
		return
	}
	if v := s.service.Cached(s.caller, []session.Ref{s.ref})[0]; !v.Session.Ref.IsZero() {
		s.traceLinked = true
		s.handler.config.Tracer.Link(s.ctx(), s.caller, &v.Session)
	}
}

// sessionPath is the engine's path of the session, or of all sessions, with a verb.
func (s *sessionRequest) sessionPath(verb string) string {
	return path.Join(compat.SessionsPath, s.ref.URLSegment(), verb)
}

// callWithRetry is call, repeated once if the engine denies an outdated id. A denied call changed nothing.
func (s *sessionRequest) callWithRetry(op, verb string, timeout time.Duration) (response compat.Response, err error) {
	err = s.service.RetryOnStaleID(s.ctx(), s.caller, s.id, &s.ref, func() (err error) {
		if len(s.buffered) > 0 {
			s.setBody(s.buffered)
		}
		response, err = s.call(op, verb, timeout)
		return err
	})
	return response, err
}

// forget drops the cached state of the session, even if the client has left.
func (s *sessionRequest) forget(deleted bool) {
	_ = s.service.Invalidate(context.WithoutCancel(s.ctx()), s.caller, s.ref, deleted)
}

// writeEngineError responds when a forwarded call failed, and forgets a session that the engine does not know.
func (s *sessionRequest) writeEngineError(res compat.Response, err error) {
	if session.KindOf(err) == session.KindSessionNotFound && !s.ref.IsZero() && !s.hasLeft() {
		s.forget(true) // the id is outdated; the next request resolves it again
	}
	s.replyEngineError(res, err)
}

// replyEngineError responds with the engine's own 4xx, normalized, or with 503.
func (s *sessionRequest) replyEngineError(res compat.Response, err error) {
	if s.hasLeft() {
		return
	}
	if session.KindOf(err) != session.KindBadResponse && res.Status >= 400 && res.Status < 500 {
		if body, err := compat.Parse(res.Body); err == nil {
			if compat.ErrorText(body) == "" {
				body["message"] = s.ownText(textRefused)
			}
			s.reply(ownResponse{
				status: res.Status, body: compat.NormalizeErrorBody(body, res.Status, res.At), header: res.Header,
				code:       compat.ErrorCode(body),
				retryAfter: retryAfterReset(res),
			})
			return
		}
	}
	s.reply(engineProblem(err))
}

// retryAfterReset is how long a rate limit that the engine reports still refuses calls; 0 if the response is no 429.
func retryAfterReset(res compat.Response) (wait time.Duration) {
	if res.Status != http.StatusTooManyRequests {
		return 0
	}
	for _, limit := range compat.RateLimits(res.Header, res.At) {
		if limit.Remaining == 0 {
			wait = max(wait, limit.Reset)
		}
	}
	return max(wait, time.Second)
}
