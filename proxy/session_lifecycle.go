package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"qrgate/compat"
	"qrgate/internal/session"
)

const (
	textBadJSON = "The body is not a JSON object. Send one, with Content-Type: application/json."
	textBadName = "sessionId has 1 to 100 characters out of A-Z, a-z, 0-9, _ and -. Choose another one."
)

// jsonBody reads the request's body as a JSON object; an empty one counts as {}, and so does one that does not claim to be
// plain JSON: engines that take forms, or unpack, judge it themselves. The body stays readable.
func (s *sessionRequest) jsonBody() (compat.Object, bool) {
	body, _ := io.ReadAll(s.c.Request.Body) // it is in memory: bufferBody has read it
	if len(bytes.TrimSpace(body)) == 0 {
		s.c.Request.Body, s.c.Request.ContentLength = http.NoBody, 0 // engines refuse a blank that is no JSON
		return compat.Object{}, true
	}
	s.c.Request.Body = io.NopCloser(bytes.NewReader(body))
	o, err := compat.Parse(body)
	if err != nil && !claimsJSON(s.c.Request.Header) {
		return compat.Object{}, true
	}
	return o, err == nil
}

// claimsJSON reports whether a body must be JSON as it is: its type says so, or nothing is said.
func claimsJSON(h http.Header) bool {
	kind, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	packed := h.Get("Content-Encoding")
	return (kind == "" || strings.HasSuffix(kind, "json")) && (packed == "" || strings.EqualFold(packed, "identity"))
}

// sendCreate sends a create as soon as the engine's rate limit allows it.
func (s *sessionRequest) sendCreate(wanted compat.Object) (a compat.Response, err error) {
	release, wait := s.config.QRService.AdmitCreate(s.c.Request.Context(), s.caller)
	if wait > 0 {
		err = &session.EngineError{Op: "create", Kind: session.KindRateLimited, RetryAfter: wait}
	} else {
		a, err = s.forwardRequest("create", s.enginePath(""), askTime)
		release()
	}
	if name, _ := wanted["sessionId"].(string); session.KindOf(err) == session.KindRateLimited {
		s.config.QRService.OnCreateRefused(s.caller, name)
	}
	return a, err
}

// create answers POST /api/sessions: the engine's own create, sent once, with the session in it in both
// documented places (contract C1-C4).
func (s *sessionRequest) create() {
	wanted, ok := s.jsonBody()
	if !ok {
		s.reply(problem(http.StatusBadRequest, compat.CodeValidationError, textBadJSON, time.Now()))
		return
	}
	if name, said := wanted["sessionId"].(string); said && !session.ValidID(name) {
		s.reply(problem(http.StatusBadRequest, compat.CodeValidationError, textBadName, time.Now()))
		return
	}
	a, err := s.sendCreate(wanted)
	if err != nil {
		s.writeEngineError(a, err)
		return
	}
	body, _ := compat.Parse(a.Body)
	made := compat.SessionOf(body)
	if name, said := wanted["sessionId"].(string); said && compat.StringOf(made["sessionId"]) == "" {
		made["sessionId"] = name
	}
	if name := compat.StringOf(made["sessionId"]); compat.Int(made["id"]) == 0 && name != "" {
		if item, _, err := s.findInList(session.Ref{Name: name}); err == nil { // an engine that names no id still has one
			made["id"] = item["id"]
		}
	}
	o, _ := compat.ParseSession(made, compat.EngineClock(a.Header, a.At), a.At)
	s.config.QRService.OnSessions(s.c.Request.Context(), s.caller, []session.SessionReport{o}, true)
	s.ref = o.Ref
	whole := compat.Normalize(made, &session.Snapshot{}, a.At)
	if o.Image.Empty() && o.State == session.AwaitingScan {
		whole["status"], whole["hasQR"] = compat.WireConnecting, false // "pending" says that a QR comes, not that it is there
	}
	s.writeJSON(http.StatusCreated, compat.NormalizeSessionBody(body, whole), a.Header)
}

// enginePath is the engine's path for what the client asked, with the query untouched.
func (s *sessionRequest) enginePath(verb string) target {
	path := sessionsPrefix
	if s.id != "" {
		path += "/" + s.ref.URLSegment()
	}
	if verb != "" {
		path += "/" + verb
	}
	return target{path: path, query: s.c.Request.URL.RawQuery}
}

// writeEngineError answers when a forwarded call failed: the engine's own refusal as it is, made whole; its failures
// as 503 with its code.
func (s *sessionRequest) writeEngineError(a compat.Response, err error) {
	if clientGone(s.c.Request.Context()) {
		return
	}
	f, ok := errors.AsType[*session.EngineError](err)
	if ok && f.Kind == session.KindSessionNotFound && !s.ref.IsZero() {
		s.forget(true) // what the gate learned of this id is no longer true; the next request asks anew
	}
	if ok && a.Status >= 400 && a.Status < 500 {
		if body, err := compat.Parse(a.Body); err == nil {
			recorderOf(s.c.Writer).code = compat.ErrorCode(body)
			s.writeJSON(a.Status, compat.NormalizeErrorBody(body, a.Status, a.At), a.Header)
			return
		}
	}
	if r, ok := engineErrorResponse(err, time.Now()); ok {
		s.reply(r)
		return
	}
	s.reply(unavailableResponse(f, time.Now()))
}

// clampLimit is the list's query with a limit above 100 cut down to it: engines refuse more, clients ask for
// 200 (contract C13).
func clampLimit(raw string) (query string, page, limit int) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return raw, 1, compat.MaxPageSize
	}
	page, limit = number(values.Get("page"), 1), number(values.Get("limit"), compat.MaxPageSize)
	if _, err := strconv.Atoi(values.Get("limit")); errors.Is(err, strconv.ErrRange) {
		limit = compat.MaxPageSize + 1
	}
	if limit > compat.MaxPageSize {
		limit = compat.MaxPageSize
		values.Set("limit", "100")
		return values.Encode(), page, limit
	}
	return raw, page, limit
}

// connect answers POST …/connect, in well under ten seconds. A connect that fails, or that must wait for the engine's
// rate limit, is carried on; the client is told so.
func (s *sessionRequest) connect() {
	wanted, ok := s.jsonBody()
	if !ok {
		s.reply(problem(http.StatusBadRequest, compat.CodeValidationError, textBadJSON, time.Now()))
		return
	}
	how := session.Connect
	if force, _ := wanted["force"].(bool); force {
		how = session.Force
	}
	began := time.Now()
	s.resolve()
	if wait := s.config.QRService.AdmitConnect(s.caller); wait > 0 {
		s.queueConnect(wait)
		return
	}
	a, err := s.callWithRetry(session.OpConnect, "connect", askConnect)
	if err != nil {
		s.connectFailed(a, err, askConnect-time.Since(began))
		return
	}
	s.connectAccepted(a, how, compat.TextConnecting)
}

// connectAccepted tells the gate's heart that a session was begun, and the client that it is connecting.
func (s *sessionRequest) connectAccepted(a compat.Response, how session.ConnectMode, text string) {
	body, _ := compat.Parse(a.Body)
	o, _ := compat.ParseSession(compat.SessionOf(body), compat.EngineClock(a.Header, a.At), a.At)
	o.Ref = s.ref.Merge(o.Ref)
	if o.State != session.Connected {
		o.State = session.Connecting
	}
	_ = s.config.QRService.OnConnect(context.WithoutCancel(s.c.Request.Context()), s.caller, o, how)
	s.writeJSON(http.StatusOK, compat.NormalizeActionBody(body, o.Ref, compat.Wire(o.State), text), a.Header)
}

// connectFailed hands a failed connect to the flight and answers when it succeeds, or when the time is
// over. What the engine refuses for good is its own answer.
func (s *sessionRequest) connectFailed(a compat.Response, err error, left time.Duration) {
	switch session.KindOf(err) {
	case session.KindKeyRefused, session.KindSessionNotFound, session.KindAlreadyPaired, session.KindNotReady, session.KindCanceled:
		s.writeEngineError(a, err)
		return
	}
	if a.Status >= 400 && a.Status < 500 && a.Status != http.StatusTooManyRequests {
		s.writeEngineError(a, err)
		return
	}
	if session.KindOf(err) == session.KindRateLimited && s.createRefused() {
		return
	}
	startedAt := time.Now()
	v, ferr := s.config.QRService.OnConnectError(s.c.Request.Context(), s.caller, s.ref, err, left)
	if clientGone(s.c.Request.Context()) {
		return
	}
	if r, isError := engineErrorResponse(ferr, time.Now()); isError {
		s.reply(r)
		return
	}
	switch {
	case v.Session.State == session.Connected, !v.Session.ConnectedAt.Before(startedAt):
		s.writeJSON(http.StatusOK, compat.NormalizeActionBody(nil, v.Session.Ref.Merge(s.ref), compat.Wire(v.Session.State), compat.TextConnecting), nil)
	case v.Session.State == session.Connecting && v.Session.RateLimited():
		s.replyQueued(v)
	case v.Session.State == session.Connecting:
		body := compat.NormalizeActionBody(nil, v.Session.Ref.Merge(s.ref), compat.WireConnecting, textStillConnecting)
		body["retrying"] = true
		if d := s.inLanguage(v).Diagnosis; !d.Healthy() {
			body["diagnosis"] = d
		}
		s.writeJSON(http.StatusOK, body, nil)
	default:
		s.writeEngineError(a, err)
	}
}

const (
	textStillConnecting = "The engine has not accepted the connect yet. qrgate keeps trying for a minute; ask for the QR meanwhile."
	textConnectQueued   = "The connect waits for the engine's rate limit. qrgate sends it as soon as the limit allows; ask for the QR meanwhile."
	textCreateRefused   = "The session does not exist: its create was refused. Create it first."
)

// createRefused answers 404 for a session that does not exist because its create was just refused.
func (s *sessionRequest) createRefused() bool {
	if s.ref.ID > 0 || !s.config.QRService.WasCreateRefused(s.caller, s.id) {
		return false
	}
	s.reply(problem(http.StatusNotFound, compat.CodeSessionNotFound, textCreateRefused, time.Now()))
	return true
}

// queueConnect hands a connect that must wait for the engine's rate limit to the acquisition.
func (s *sessionRequest) queueConnect(wait time.Duration) {
	if s.createRefused() {
		return
	}
	held := &session.EngineError{Op: session.OpConnect, Kind: session.KindRateLimited, RetryAfter: wait}
	ctx := context.WithoutCancel(s.c.Request.Context())
	v, err := s.config.QRService.OnConnectError(ctx, s.caller, s.ref, held, 0)
	if r, isError := engineErrorResponse(err, time.Now()); isError {
		s.reply(r)
		return
	}
	s.replyQueued(v)
}

// replyQueued answers that a connect waits, and its place.
func (s *sessionRequest) replyQueued(v *session.Snapshot) {
	wait := max(v.RateLimitWait, retrySoon)
	data, _ := compat.NormalizeActionBody(nil, v.Session.Ref.Merge(s.ref), compat.WireConnecting, "")["data"].(compat.Object)
	data["queue"] = Queue{max(v.QueuePosition, 1), int(wait / time.Second)}
	r := problem(http.StatusAccepted, codeConnectQueued, textConnectQueued, time.Now())
	body, _ := r.body.(compat.Problem)
	r.body, r.retry = queuedConnect{body, data}, wait
	s.reply(r)
}

// codeConnectQueued is the code of a 202 for a connect.
const codeConnectQueued = "CONNECT_QUEUED"

// queuedConnect is a connect that was not sent yet, with the session and its place.
type queuedConnect struct {
	compat.Problem
	Data compat.Object `json:"data"`
}

// restart answers POST …/restart: what the gate knew is dropped, and a QR is sought anew.
func (s *sessionRequest) restart() {
	if _, ok := s.jsonBody(); !ok {
		s.reply(problem(http.StatusBadRequest, compat.CodeValidationError, textBadJSON, time.Now()))
		return
	}
	s.resolve()
	a, err := s.callWithRetry("restart", "restart", askTime)
	if err != nil {
		s.writeEngineError(a, err)
		return
	}
	s.forget(false)
	s.connectAccepted(a, session.Restart, compat.TextRestarting)
}

// disconnect answers POST …/disconnect.
func (s *sessionRequest) disconnect() {
	s.resolve()
	s.join() // it is out of mind afterwards
	a, err := s.callWithRetry("disconnect", "disconnect", askTime)
	if err != nil {
		s.writeEngineError(a, err)
		return
	}
	s.forget(false)
	body, _ := compat.Parse(a.Body)
	s.writeJSON(http.StatusOK, compat.NormalizeActionBody(body, s.ref, compat.WireDisconnected, compat.TextDisconnected), a.Header)
}

// deleteSession answers DELETE /api/sessions/{id}. It is answered 200 with a body whatever the engine's 2xx is,
// because the production client takes nothing else (contract 4.1, S10). Even a DELETE that finds nothing
// drops what the gate knew (C22).
func (s *sessionRequest) deleteSession() {
	s.resolve()
	s.join() // it is out of mind afterwards
	a, err := s.callWithRetry("delete", "", askTime)
	kind := session.KindOf(err)
	empty := a.Status == http.StatusNoContent || a.Status/100 == 2 && len(a.Body) == 0
	if err == nil || empty || kind == session.KindSessionNotFound {
		s.forget(true)
	}
	if err != nil && !empty {
		s.writeEngineError(a, err)
		return
	}
	body, _ := compat.Parse(a.Body)
	s.writeJSON(http.StatusOK, compat.NormalizeActionBody(body, s.ref, compat.WireDisconnected, compat.TextDeleted), a.Header)
}

// forget drops what the gate knew. The client's leaving must not stop it.
func (s *sessionRequest) forget(deleted bool) {
	_ = s.config.QRService.Invalidate(context.WithoutCancel(s.c.Request.Context()), s.caller, s.ref, deleted)
}
