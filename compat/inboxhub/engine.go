// Package inboxhub is the documented REST engine as a [qrgate.Engine]: the calls that the gate makes on
// its own account. What clients ask is forwarded by the proxy and never passes here.
//
//	Connect   POST /api/sessions/{id}/connect | restart
//	QR        GET  /api/sessions/{id}/qr
//	Status    GET  /api/sessions/{id}/status
//	List      GET  /api/sessions?limit=100
package inboxhub

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"time"

	"qrgate/compat"
	"qrgate/internal/session"
)

// Time-outs of one call. A real engine answers within 150 ms (contract 7); its connect may wait for a socket.
const (
	PollTimeout     = 5 * time.Second
	SlowPollTimeout = 15 * time.Second // the most that a caller may set itself
	ConnectTimeout  = 9 * time.Second
)

// maxBody bounds an answer, in bytes. A hundred sessions with their codes have some 300 kB.
const maxBody = 1 << 20

// Engine calls the documented API. It holds no connection of its own and starts nothing.
type Engine struct {
	base      *url.URL
	transport http.RoundTripper
}

var _ session.Engine = (*Engine)(nil)

// New returns the engine at base. The transport must not decompress: a body is bounded by its size on
// the wire.
func New(base *url.URL, transport http.RoundTripper) *Engine {
	return &Engine{base: base, transport: transport}
}

// Connect asks the engine to begin with a session. Some versions refuse an empty body, none refuses {}.
func (e *Engine) Connect(ctx context.Context, c session.Caller, r session.Ref, how session.ConnectMode) (session.SessionReport, error) {
	verb, body := "connect", "{}"
	switch how {
	case session.Force:
		body = `{"force":true}`
	case session.Restart:
		verb = "restart"
	}
	ctx, cancel := context.WithTimeout(ctx, ConnectTimeout)
	defer cancel()
	return e.sessionCall(ctx, c, r, call{session.OpConnect, http.MethodPost, e.session(r, verb), body})
}

// QR asks for the current code.
func (e *Engine) QR(ctx context.Context, c session.Caller, r session.Ref) (session.SessionReport, error) {
	ctx, cancel := withTimeout(ctx, PollTimeout)
	defer cancel()
	o, err := e.sessionCall(ctx, c, r, call{session.OpQR, http.MethodGet, e.session(r, "qr"), ""})
	if err == nil && o.Image.Empty() && o.State != session.Connected {
		return o, &session.EngineError{Op: session.OpQR, Kind: session.KindNotReady, Status: http.StatusOK}
	}
	return o, err
}

// Status asks for the state.
func (e *Engine) Status(ctx context.Context, c session.Caller, r session.Ref) (session.SessionReport, error) {
	ctx, cancel := withTimeout(ctx, PollTimeout)
	defer cancel()
	return e.sessionCall(ctx, c, r, call{session.OpStatus, http.MethodGet, e.session(r, "status"), ""})
}

// withTimeout bounds a call. A deadline within SlowPollTimeout is meant for this call and stands as it is.
func withTimeout(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= SlowPollTimeout {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, timeout)
}

// List asks for the first hundred sessions of the caller: one call refreshes them all.
func (e *Engine) List(ctx context.Context, c session.Caller) (session.SessionList, error) {
	ctx, cancel := withTimeout(ctx, PollTimeout)
	defer cancel()
	target := e.base.JoinPath("api", "sessions")
	target.RawQuery = "limit=100"
	a, err := e.do(ctx, c, call{session.OpList, http.MethodGet, target, ""})
	roll := session.SessionList{At: a.At, Limits: compat.RateLimits(a.Header, a.At)}
	if err != nil {
		return roll, err
	}
	body, _ := compat.Parse(a.Body) // a body without a fault parses
	for _, item := range compat.SessionsOf(body) {
		o, _ := compat.ParseSession(item, compat.EngineClock(a.Header, a.At), a.At) // one bad image spoils no other session
		roll.Sessions = append(roll.Sessions, o)
	}
	return roll, nil
}

func (e *Engine) session(r session.Ref, verb string) *url.URL {
	return e.base.JoinPath("api", "sessions", r.URLSegment(), verb)
}

// call is one request in the making.
type call struct {
	op, method string
	target     *url.URL
	body       string
}

// sessionCall makes a call whose answer is about one session.
func (e *Engine) sessionCall(ctx context.Context, c session.Caller, r session.Ref, k call) (session.SessionReport, error) {
	a, err := e.do(ctx, c, k)
	o := session.SessionReport{Ref: r, At: a.At, Limits: compat.RateLimits(a.Header, a.At)}
	if err != nil {
		return o, err
	}
	body, _ := compat.Parse(a.Body)
	seen, err := compat.ParseSession(compat.SessionOf(body), compat.EngineClock(a.Header, a.At), a.At)
	seen.Ref, seen.Limits = r.Merge(seen.Ref), o.Limits
	if err != nil {
		return seen, &session.EngineError{Op: k.op, Kind: session.KindBadResponse, Status: a.Status, Code: "QR_INVALID", Err: err}
	}
	return seen, nil
}

func (e *Engine) do(ctx context.Context, c session.Caller, k call) (compat.Response, error) {
	a, err := e.send(ctx, c, k)
	a.At = time.Now()
	if err != nil {
		f := compat.TransportError(ctx, k.op, err)
		f.Status = a.Status
		return a, f
	}
	if f := a.EngineError(k.op); f != nil {
		return a, f
	}
	return a, nil
}

func (e *Engine) send(ctx context.Context, c session.Caller, k call) (compat.Response, error) {
	req, err := http.NewRequestWithContext(ctx, k.method, k.target.String(), bytes.NewReader([]byte(k.body)))
	if err != nil {
		return compat.Response{}, err
	}
	if k.method == http.MethodGet {
		req.Body, req.GetBody, req.ContentLength = nil, nil, 0
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "qrgate")
	if !c.Key.Empty() {
		req.Header.Set("X-API-Key", c.Key.Reveal())
	}
	if !c.Bearer.Empty() {
		req.Header.Set("Authorization", c.Bearer.Reveal())
	}
	res, err := e.transport.RoundTrip(req)
	if err != nil {
		return compat.Response{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	if err != nil {
		return compat.Response{Status: res.StatusCode, Header: res.Header}, err
	}
	return compat.Response{Status: res.StatusCode, Header: res.Header, Body: body, Complete: len(body) <= maxBody}, nil
}
