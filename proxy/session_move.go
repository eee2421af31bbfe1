package proxy

import (
	"context"
	"net/http"
	"time"

	"qrgate/compat"
	"qrgate/internal/session"
)

// connect answers POST …/connect, in well under ten seconds. A failing engine is tried again within that
// time and by the flight afterwards; the client is told "connecting", because that is what happens.
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
	_ = s.config.Pairing.OnConnect(context.WithoutCancel(s.c.Request.Context()), s.caller, o, how)
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
	v, ferr := s.config.Pairing.OnConnectError(s.c.Request.Context(), s.caller, s.ref, err, left)
	if clientGone(s.c.Request.Context()) {
		return
	}
	if r, no := engineErrorResponse(ferr, time.Now()); no {
		s.reply(r)
		return
	}
	state := v.Session.State
	if state != session.Connected {
		state = session.Connecting
	}
	s.writeJSON(http.StatusOK, compat.NormalizeActionBody(nil, v.Session.Ref.Merge(s.ref), compat.Wire(state), compat.TextConnecting), nil)
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
	_ = s.config.Pairing.Invalidate(context.WithoutCancel(s.c.Request.Context()), s.caller, s.ref, deleted)
}
