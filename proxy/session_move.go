package proxy

import (
	"context"
	"net/http"
	"time"

	"qrgate/compat"
	"qrgate/internal/session"
)

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
