package proxy

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"qrgate/compat"
	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// QRService obtains the QRs of sessions and keeps what is known of them. Its errors are a *session.EngineError when the
// engine itself refuses the credential or does not know the session, the context's error when the client left, and
// session.ErrStopped when qrgate stops.
type QRService interface {
	// WaitQR waits for a code, as long as preferred.
	WaitQR(ctx context.Context, c session.Caller, id string, preferred session.WaitPreference) (*session.Snapshot, error)
	// Get returns what is known. It starts nothing, and polls the engine at most once.
	Get(ctx context.Context, c session.Caller, id string) (*session.Snapshot, error)
	// Status is Get for a client that polls for the scan.
	Status(ctx context.Context, c session.Caller, id string) (*session.Snapshot, error)
	// Follow follows all changes of a session. It returns session.ErrTooManyWaiters when no more may wait.
	Follow(ctx context.Context, c session.Caller, id string) (session.Follower, error)

	// AdmitCreate waits until a create may be sent; release is called when the engine has answered. wait is above 0 when
	// the engine's rate limit leaves no call for it so long.
	AdmitCreate(ctx context.Context, c session.Caller) (release func(), wait time.Duration)
	// OnCreateRefused takes that the engine refused to create a session of this name.
	OnCreateRefused(c session.Caller, name string)
	// WasCreateRefused reports whether the create of a session of this name was just refused.
	WasCreateRefused(c session.Caller, name string) bool
	// AdmitConnect returns how long a connect must wait for the engine's rate limit; 0 if it may be sent.
	AdmitConnect(c session.Caller) (wait time.Duration)
	// OnConnect takes that the engine accepted a connect or restart.
	OnConnect(ctx context.Context, c session.Caller, o session.SessionReport, mode session.ConnectMode) error
	// OnConnectError takes that a connect failed; it is carried on, and awaited no longer than max.
	OnConnectError(ctx context.Context, c session.Caller, r session.Ref, err error, max time.Duration) (*session.Snapshot, error)
	// OnSessions takes ids and states that the engine told; created marks a session created just now.
	OnSessions(ctx context.Context, c session.Caller, reports []session.SessionReport, created bool)
	// OnRateLimits takes what the engine says of its limits; limited marks a 429.
	OnRateLimits(c session.Caller, limits []session.RateLimit, limited bool, retryAfter time.Duration)
	// Invalidate drops what is known of a session that was disconnected, restarted or deleted.
	Invalidate(ctx context.Context, c session.Caller, r session.Ref, deleted bool) error

	// Resolve finds the session that a caller means by id.
	Resolve(ctx context.Context, c session.Caller, id string) session.Ref
	// RefreshID finds it again by its name, after the engine denied its integer.
	RefreshID(ctx context.Context, c session.Caller, r session.Ref) session.Ref
	// Cached returns what is known of sessions and asks nobody.
	Cached(c session.Caller, refs []session.Ref) []*session.Snapshot
}

// sessionRequest is one request on a session route.
type sessionRequest struct {
	*Handler
	c           *gin.Context
	caller      session.Caller
	id          string      // as the client wrote it; "" on the list and on create
	ref         session.Ref // what it means
	traceLinked bool        // its journey is linked
}

// handle makes a handler of a session route: the caller and the session are found out, then h answers.
func (f *Handler) handle(h func(*sessionRequest)) gin.HandlerFunc {
	return func(c *gin.Context) {
		if c.Request.Method == http.MethodHead {
			c.Request.Method = http.MethodGet // the server sends no body; whoever monitors wants the same head (RFC 9110, 9.3.2)
			c.Request.Header.Del("Accept")    // and no stream of heads
		}
		s := &sessionRequest{Handler: f, c: c, caller: f.callerOf(c.Request), id: c.Param("id")}
		c.Writer.Header().Set("Cache-Control", "no-store")
		c.Writer.Header().Add("Vary", "X-API-Key, Authorization, Prefer, Accept, Accept-Language")
		if s.id != "" && !session.ValidID(s.id) {
			s.writeError(c.Writer, c.Request, apiError{http.StatusBadRequest, compat.CodeValidationError, textBadID})
			return
		}
		h(s)
		s.join()
		recorderOf(c.Writer).session = s.name()
	}
}

// name is how the log names the session: by the client's own id where it is known.
func (s *sessionRequest) name() string {
	if s.ref.Name != "" {
		return s.ref.Name
	}
	return s.id
}

const textBadID = "A session id has 1 to 100 characters out of A-Z, a-z, 0-9, _ and -. Correct the id in the path."

// callerOf reads who asks. The credential alone says it, never another header.
func (f *Handler) callerOf(r *http.Request) session.Caller {
	c := session.Caller{Key: secret.NewSecret(r.Header.Get("X-Api-Key")), Bearer: secret.NewSecret(r.Header.Get("Authorization"))}
	c.Traffic = f.config.TrafficClass(c.Key)
	c.Tenant = f.config.Vault.Tenant(c.Credential())
	c.RequestMeta = session.Request{ID: r.Header.Get(headerRequestID), Trace: f.traceparent(r.Context())}
	return c
}

// resolve finds out which session is meant.
func (s *sessionRequest) resolve() {
	s.ref = s.config.QRService.Resolve(s.c.Request.Context(), s.caller, s.id)
}

// writeJSON writes a JSON answer. Headers of the engine's own answer may come with it.
func (s *sessionRequest) writeJSON(status int, body any, from http.Header) {
	b, err := json.Marshal(body)
	if err != nil {
		s.writeError(s.c.Writer, s.c.Request, apiError{http.StatusServiceUnavailable, compat.CodeInternalError, textInternal})
		return
	}
	h := s.c.Writer.Header()
	for name, values := range from {
		if keepHeader(name) {
			h[name] = append(h[name], values...)
		}
	}
	s.writeHead(status, len(b))
	_, _ = s.c.Writer.Write(b)
}

// writeHead writes the head of a JSON answer of the given length.
func (s *sessionRequest) writeHead(status, length int) {
	h := s.c.Writer.Header()
	h.Set("Content-Type", compat.ContentType)
	h.Set("Content-Length", strconv.Itoa(length))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	s.c.Writer.WriteHeader(status)
}

// keepHeader reports whether a header of the engine's answer still holds for a body that the gate has made
// whole. Cache-Control and the like are the gate's own.
func keepHeader(name string) bool {
	switch name {
	case "Content-Type", "Content-Length", "Content-Encoding", "Etag", "Last-Modified", "Cache-Control", "Expires", "Pragma",
		"Connection", "Keep-Alive", "Transfer-Encoding", "Trailer", "Upgrade", "Proxy-Authenticate", "Te", "Date", "Location",
		"X-Content-Type-Options", "Referrer-Policy", "Accept-Ranges", headerRequestID:
		return false
	}
	return true
}
