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
	"qrgate/internal/acquire"
	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// sessionRequest is one request on a session route.
type sessionRequest struct {
	*responseWriter
	acquirer    *acquire.Manager
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
		s := &sessionRequest{responseWriter: w, acquirer: h.config.Acquirer, caller: h.callerOf(w), id: c.Param("id")}
		w.Header()["Cache-Control"], w.Header()["Vary"] = headerNoStore, headerVary
		serve(s)
		s.linkTrace()
		w.session = cmp.Or(s.ref.Name, s.id)
		if w.status == 0 && s.hasLeft() {
			w.status, w.clientGone = StatusClientGone, true // Gin would write a 200
		}
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

func (s *sessionRequest) resolve() { s.ref = s.acquirer.Resolve(s.ctx(), s.caller, s.id) }

// linkTrace links the request's span to the session's acquisition, once, while the session is cached.
func (s *sessionRequest) linkTrace() {
	if s.handler.config.Tracer == nil || s.traceLinked || s.ref.IsZero() {
		return
	}
	if v := s.acquirer.Cached(s.caller, []session.Ref{s.ref})[0]; !v.Session.Ref.IsZero() {
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
	err = s.acquirer.RetryOnStaleID(s.ctx(), s.caller, s.id, &s.ref, func() (err error) {
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
	_ = s.acquirer.Invalidate(context.WithoutCancel(s.ctx()), s.caller, s.ref, deleted)
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
