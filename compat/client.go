// Package compat is the documented API on the wire: bodies, states and errors as existing clients depend on them, and a
// [Client] that calls it. Apart from the client it is pure. Dialects of other engines are packages below it.
//
// Section numbers in comments (contract 4.2, C7) are those of docs/CONTRACT.md.
package compat

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"qrgate/internal/session"
)

// Client calls the documented API of an engine or of a gateway. It starts nothing, follows no redirect (the key would
// go with it) and reads no body beyond a bound.
type Client struct {
	BaseURL   *url.URL          // without /api
	Transport http.RoundTripper // must not decompress: a body is bounded by its size on the wire
	UserAgent string
}

// Request is one call.
type Request struct {
	Op     string // of the EngineError
	Method string
	Path   []string   // below the base URL, unescaped
	Query  url.Values // may be nil
	Body   string     // JSON; "" for none
	Prefer string     // the Prefer header (RFC 7240); "" for none
}

// SessionRequest is a call about one session. An empty verb is the session itself.
func SessionRequest(op, method string, r session.Ref, verb string) Request {
	return Request{Op: op, Method: method, Path: []string{"api", "sessions", r.URLSegment(), verb}}
}

// ListRequest asks for one page of sessions, of the largest size.
func ListRequest(page int) Request {
	query := url.Values{"page": {strconv.Itoa(page)}, "limit": {strconv.Itoa(MaxPageSize)}}
	return Request{Op: session.OpList, Method: http.MethodGet, Path: []string{"api", "sessions"}, Query: query}
}

// HealthRequest asks for the engine's health.
func HealthRequest() Request {
	return Request{Op: session.OpHealth, Method: http.MethodGet, Path: []string{"health"}}
}

// maxResponse bounds a body, in bytes. A hundred sessions with their QRs take about 300 kB.
const maxResponse = 1 << 20

// Do sends one request with the caller's credential. The error is a [*session.EngineError]; the response is what
// could be read even then.
func (c *Client) Do(ctx context.Context, caller session.Caller, r Request) (Response, error) {
	var sent sendTracker
	response, err := c.send(sent.watch(ctx), caller, r)
	response.At = time.Now()
	if err != nil {
		failure := TransportError(ctx, r.Op, err)
		failure.Status = response.Status
		failure.HasNoEffect = sent.isNotSent() || ClassifyTransportError(err).IsNotConnected() // as a circuit breaker repeats
		return response, failure
	}
	if failure := response.EngineError(r.Op); failure != nil {
		return response, failure
	}
	return response, nil
}

func (c *Client) send(ctx context.Context, caller session.Caller, r Request) (Response, error) {
	target := c.BaseURL.JoinPath(r.Path...)
	target.RawQuery = r.Query.Encode()
	var body io.Reader
	if r.Body != "" {
		body = strings.NewReader(r.Body)
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, target.String(), body)
	if err != nil {
		return Response{}, err
	}
	header := map[string]string{
		"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": c.UserAgent, "Prefer": r.Prefer,
		"Cache-Control": "no-cache", // a cache in front of the engine must not return an old code
		"X-API-Key":     caller.Key.Reveal(), "Authorization": caller.Bearer.Reveal(),
	}
	if r.Body != "" {
		header["Content-Type"] = "application/json"
	}
	for name, value := range header {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	res, err := c.Transport.RoundTrip(req)
	if err != nil {
		return Response{}, err
	}
	text, isComplete, err := ReadBody(res, maxResponse)
	return Response{Status: res.StatusCode, Header: res.Header, Body: text, Complete: isComplete}, err
}

// CloseIdleConnections makes the next call open a connection of its own.
func (c *Client) CloseIdleConnections() {
	(&http.Client{Transport: c.Transport}).CloseIdleConnections()
}

// Create makes a session and returns how the engine names it. The name must be a valid sessionId.
func (c *Client) Create(ctx context.Context, caller session.Caller, name, displayName string) (session.Ref, error) {
	r := Request{Op: session.OpCreate, Method: http.MethodPost, Path: []string{"api", "sessions"}}
	r.Body = fmt.Sprintf(`{"sessionId":%q,"sessionName":%q}`, name, displayName)
	response, err := c.Do(ctx, caller, r)
	if err != nil {
		return session.Ref{}, err
	}
	body, _ := Parse(response.Body) // a response without an error parses
	return RefOf(SessionOf(body)), nil
}

// Connect asks the engine to connect a session. Some engines refuse an empty body; none refuses {}.
func (c *Client) Connect(
	ctx context.Context, caller session.Caller, r session.Ref, mode session.ConnectMode,
) (Response, error) {
	request := SessionRequest(session.OpConnect, http.MethodPost, r, "connect")
	request.Body = "{}"
	switch mode {
	case session.Force:
		request.Body = `{"force":true}`
	case session.Restart:
		request.Path[3] = "restart"
	}
	return c.Do(ctx, caller, request)
}

// Bounds of a deletion.
const (
	deleteRetryDelay = 250 * time.Millisecond
	maxListPages     = 5
)

// Delete deletes a session and retries until ctx, which needs a deadline, ends. isAbsent reports that the engine does
// not know the session. The first attempt gets most of the time: an engine that closes the session's connection takes
// seconds.
func (c *Client) Delete(ctx context.Context, caller session.Caller, r session.Ref) (isAbsent bool, err error) {
	for delay := deleteRetryDelay; ; delay *= 2 {
		end, _ := ctx.Deadline()
		attempt, cancel := context.WithTimeout(ctx, time.Until(end)*4/5)
		isAbsent, err = c.DeleteOnce(attempt, caller, r)
		cancel()
		failure := session.AsEngineError(err)
		if failure == nil || failure.Kind == session.KindKeyRefused {
			return isAbsent, err
		}
		if !Sleep(ctx, max(delay, failure.RetryAfter)) {
			return false, err
		}
	}
}

// DeleteOnce deletes a session. If the engine does not know the name, the integer id is looked up in the list: some
// engines take only that (contract C9).
func (c *Client) DeleteOnce(ctx context.Context, caller session.Caller, r session.Ref) (isAbsent bool, err error) {
	_, err = c.Do(ctx, caller, SessionRequest(session.OpDelete, http.MethodDelete, r, ""))
	if session.KindOf(err) != session.KindSessionNotFound {
		return false, err
	}
	if r.ID > 0 {
		return true, nil
	}
	r, err = c.FindSession(ctx, caller, r.Name)
	if err != nil || r.ID == 0 {
		return err == nil, err
	}
	return c.DeleteOnce(ctx, caller, r)
}

// FindSession looks up the integer id of a session in the list. A zero ref means that the list does not have it.
func (c *Client) FindSession(ctx context.Context, caller session.Caller, name string) (session.Ref, error) {
	for page := 1; page <= maxListPages; page++ {
		response, err := c.Do(ctx, caller, ListRequest(page))
		if err != nil {
			return session.Ref{}, err
		}
		body, _ := Parse(response.Body)
		sessions := SessionsOf(body)
		for _, s := range sessions {
			if r := RefOf(s); r.Name == name && r.ID > 0 {
				return r, nil
			}
		}
		if len(sessions) < MaxPageSize {
			break
		}
	}
	return session.Ref{}, nil
}

// Sleep waits for d. It returns false when ctx ends first, and at once when its deadline is before the end of d.
func Sleep(ctx context.Context, d time.Duration) bool {
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// sendTracker watches whether one request was sent.
type sendTracker struct{ wantedConn, gotConn atomic.Bool }

func (t *sendTracker) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { t.wantedConn.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { t.gotConn.Store(true) },
	})
}

// isNotSent reports whether the request certainly was not sent: a connection was wanted and none was opened. A
// transport that reports neither proves nothing.
func (t *sendTracker) isNotSent() bool { return t.wantedConn.Load() && !t.gotConn.Load() }
