// Package inboxhub is the documented REST engine as a [session.Engine]: the calls that qrgate makes itself. Client
// requests are forwarded by package proxy.
//
//	Connect   POST /api/sessions/{id}/connect | restart
//	QR        GET  /api/sessions/{id}/qr
//	Status    GET  /api/sessions/{id}/status
//	List      GET  /api/sessions?page=1&limit=100
package inboxhub

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"qrgate/compat"
	"qrgate/internal/session"
)

// Timeouts of one call. A real engine responds within 150 ms (contract 7); its connect may wait for a socket.
const (
	PollTimeout     = 5 * time.Second
	SlowPollTimeout = 15 * time.Second // the most that a caller may set itself
	ConnectTimeout  = 9 * time.Second
)

// Engine calls the documented API. It holds no connection and starts nothing.
type Engine struct {
	client  compat.Client
	codeTTL time.Duration
}

var _ session.Engine = (*Engine)(nil)

// New returns the engine at base. The transport must not decompress.
func New(base *url.URL, transport http.RoundTripper) *Engine {
	return &Engine{client: compat.Client{BaseURL: base, Transport: transport, UserAgent: "qrgate"}}
}

// WithCodeTTL returns the engine with codes that live for ttl; 0 means as long as WhatsApp's own.
func (e *Engine) WithCodeTTL(ttl time.Duration) *Engine {
	e.codeTTL = ttl
	return e
}

// Connect implements [session.Engine].
func (e *Engine) Connect(
	ctx context.Context, c session.Caller, r session.Ref, mode session.ConnectMode,
) (session.SessionReport, error) {
	ctx, cancel := context.WithTimeout(ctx, ConnectTimeout)
	defer cancel()
	response, err := e.client.Connect(ctx, c, r, mode)
	return response.SessionReport(session.OpConnect, r, err)
}

// QR implements [session.Engine]. An ambiguous error is confirmed by the session's status, and so is one of a server in
// front that does not reach the engine: some engines fail at this route alone once they have lost the session.
func (e *Engine) QR(ctx context.Context, c session.Caller, r session.Ref) (session.SessionReport, error) {
	report, err := e.poll(ctx, c, r, session.OpQR)
	failure := session.AsEngineError(err)
	isInFront := failure != nil && failure.Kind == session.KindUnreachable && failure.Status >= 500
	if failure == nil || !failure.IsAmbiguous && !isInFront {
		return report, err
	}
	status, statusErr := e.Status(ctx, c, r)
	if len(status.Limits) > 0 {
		report.Limits = status.Limits
	}
	isDenied := statusErr == nil && status.State != session.Connected && status.State != session.Unknown
	isLost := isDenied && (status.State == session.Disconnected || status.State == session.Failed)
	switch kind := session.KindOf(statusErr); {
	case failure.Kind == session.KindAlreadyPaired && isDenied:
		failure.Kind = session.KindNotReady
	case isInFront && failure.IsAmbiguous && (kind == "" || kind == session.KindSessionNotFound):
		failure.Kind, failure.Reason = session.KindRateLimited, failure.Reason+"; other routes respond"
	case isInFront && isLost:
		failure.Kind, failure.Reason = session.KindServerError, failure.Reason+"; other routes respond"
	}
	return report, failure
}

// Status implements [session.Engine].
func (e *Engine) Status(ctx context.Context, c session.Caller, r session.Ref) (session.SessionReport, error) {
	return e.poll(ctx, c, r, session.OpStatus)
}

// List returns the caller's first hundred sessions. An image that is not valid spoils no other session.
func (e *Engine) List(ctx context.Context, c session.Caller) (session.SessionList, error) {
	ctx, cancel := withTimeout(ctx, PollTimeout)
	defer cancel()
	response, err := e.client.Do(ctx, c, compat.ListRequest(1))
	list := session.SessionList{At: response.At, Limits: compat.RateLimits(response.Header, response.At)}
	if err != nil {
		return list, err
	}
	list.Sessions = response.SessionReports()
	for i := range list.Sessions {
		list.Sessions[i].Expiry.Limit = e.codeTTL
	}
	return list, nil
}

// withTimeout bounds a call. A deadline within SlowPollTimeout is meant for this call and stands as it is.
func withTimeout(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= SlowPollTimeout {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, timeout)
}

// poll makes a GET about one session; its path ends with the operation.
func (e *Engine) poll(ctx context.Context, c session.Caller, r session.Ref, op string) (session.SessionReport, error) {
	ctx, cancel := withTimeout(ctx, PollTimeout)
	defer cancel()
	response, err := e.client.Do(ctx, c, compat.SessionRequest(op, http.MethodGet, r, op))
	report, err := response.SessionReport(op, r, err)
	report.Expiry.Limit = e.codeTTL
	return report, err
}
