package proxy

import (
	"bytes"
	"cmp"
	"context"
	"mime"
	"net/http"
	"strings"
	"time"

	"qrgate/compat"
	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// jsonBody reads the body as a JSON object, and responds 400 if it is none. An empty body counts as {}, and so does one
// that does not claim to be plain JSON: some engines accept forms or compressed bodies. [] is how PHP writes {}.
func (s *sessionRequest) jsonBody() (compat.Object, bool) {
	switch string(bytes.TrimSpace(s.buffered)) {
	case "":
		s.setBody(nil) // engines refuse white space as invalid JSON
		return compat.Object{}, true
	case "[]":
		s.setBody([]byte("{}"))
		return compat.Object{}, true
	}
	o, err := compat.Parse(s.buffered)
	kind, _, _ := mime.ParseMediaType(s.request.Header.Get("Content-Type"))
	isPlain := cmp.Or(strings.ToLower(s.request.Header.Get("Content-Encoding")), "identity") == "identity"
	if err != nil && isPlain && (kind == "" || strings.HasSuffix(kind, "json")) {
		s.reply(validationProblem(textBadJSON))
		return nil, false
	}
	return o, true
}

// create handles POST /api/sessions. It sends the engine's own create once and responds with the session in both
// documented places (contract C1-C4).
func (s *sessionRequest) create() {
	wanted, ok := s.jsonBody()
	if !ok {
		return
	}
	name, hasName := wanted["sessionId"].(string)
	if hasName && !session.ValidID(name) {
		s.reply(validationProblem(textBadName))
		return
	}
	res, release, err := s.sendCreate(name)
	defer release() // not before the session is recorded: other creates count it, here or there
	if err != nil && res.Status == http.StatusConflict && hasName {
		s.createConflict(res, err, name)
		return
	} else if err != nil {
		s.writeEngineError(res, err)
		return
	}
	body, _ := compat.Parse(res.Body)
	created := compat.SessionOf(body)
	if hasName && compat.StringOf(created["sessionId"]) == "" {
		created["sessionId"] = name
	}
	if name := compat.StringOf(created["sessionId"]); compat.Int(created["id"]) == 0 && name != "" {
		if item, _, err := s.findInList(session.Ref{Name: name}); err == nil { // some engines omit the id in the response
			created["id"] = item["id"]
		}
	}
	report, _ := compat.ParseSession(created, compat.ExpiryClock(res.Header, res.At), res.At)
	s.acquirer.OnSessions(s.ctx(), s.caller, []session.SessionReport{report}, true)
	s.ref = report.Ref
	normalized := s.formatItem(compat.Normalize(created, &session.Snapshot{}, res.At))
	if report.Image.Empty() && report.State == session.AwaitingScan {
		normalized["status"], normalized["hasQR"] = compat.WireConnecting, false // "pending" promises a QR; none is there yet
	}
	s.writeJSON(http.StatusCreated, compat.NormalizeSessionBody(body, normalized), res.Header)
}

// createConflict responds to a create of a session that exists. A client that lost the response to its first create
// gets the session here, in the places of a 201.
func (s *sessionRequest) createConflict(refused compat.Response, refusal error, name string) {
	s.id = name
	item, res, err := s.findInList(session.Ref{Name: name})
	if err != nil {
		s.resolve() // the list may end before it
		item, res, err = s.findElsewhere()
	}
	body, parseErr := compat.Parse(refused.Body)
	if err != nil || parseErr != nil {
		s.writeEngineError(refused, refusal)
		return
	}
	existing := compat.NormalizeSessionBody(nil, s.normalizeAll([]compat.Object{item}, res)[0])
	body = compat.NormalizeErrorBody(body, refused.Status, refused.At)
	body["data"] = existing["data"]
	s.writeJSON(refused.Status, body, refused.Header)
}

// sendCreate sends a create as soon as the rate limit allows it. The caller calls release once the outcome is recorded.
func (s *sessionRequest) sendCreate(name string) (res compat.Response, release func(), err error) {
	release, wait := s.acquirer.AdmitCreate(s.ctx(), s.caller)
	if wait > 0 {
		err = &session.EngineError{Op: "create", Kind: session.KindRateLimited, RetryAfter: wait}
	} else {
		res, err = s.call("create", "", callTimeout)
	}
	if session.KindOf(err) == session.KindRateLimited {
		s.acquirer.OnCreateRefused(s.caller, name)
	}
	return res, release, err
}

// connect handles POST …/connect, in well under ten seconds. The acquisition continues a connect that fails or must
// wait for the engine's rate limit, and the response states that.
func (s *sessionRequest) connect() {
	wanted, ok := s.jsonBody()
	if !ok {
		return
	}
	mode := session.Connect
	if force, _ := wanted["force"].(bool); force {
		mode = session.Force
	}
	startedAt := time.Now()
	s.resolve()
	if wait := s.acquirer.AdmitConnect(s.caller); wait > 0 {
		limited := &session.EngineError{Op: session.OpConnect, Kind: session.KindRateLimited, RetryAfter: wait}
		s.continueConnect(compat.Response{}, limited, 0)
		return
	}
	res, err := s.callWithRetry(session.OpConnect, "connect", connectTimeout)
	if err != nil {
		s.continueConnect(res, err, connectTimeout-time.Since(startedAt))
		return
	}
	s.connectAccepted(res, mode, textConnecting)
}

// connectAccepted records an accepted connect or restart and responds that the session is connecting.
func (s *sessionRequest) connectAccepted(res compat.Response, mode session.ConnectMode, text string) {
	body, _ := compat.Parse(res.Body)
	report, _ := compat.ParseSession(compat.SessionOf(body), compat.ExpiryClock(res.Header, res.At), res.At)
	report.Ref = s.ref.Merge(report.Ref)
	if report.State != session.Connected {
		report.State = session.Connecting
	}
	_ = s.acquirer.OnConnect(context.WithoutCancel(s.ctx()), s.caller, report, mode)
	s.writeJSON(http.StatusOK, s.actionBody(body, report.Ref, compat.Wire(report.State), text), res.Header)
}

// continueConnect hands a connect that failed, or must wait for the engine's rate limit, to the acquisition, and
// responds when it succeeds, or after max. A permanent refusal of the engine is the response itself.
func (s *sessionRequest) continueConnect(res compat.Response, err error, max time.Duration) {
	kind := session.KindOf(err)
	isFinal := res.Status >= 400 && res.Status < 500 &&
		res.Status != http.StatusTooManyRequests && res.Status != http.StatusRequestTimeout
	switch {
	case kind == session.KindCanceled: // the client may ask for the QR all the same
		const reason = "the client left before the response"
		err = &session.EngineError{Op: session.OpConnect, Kind: session.KindTimeout, Reason: reason}
		_, _ = s.acquirer.OnConnectError(context.WithoutCancel(s.ctx()), s.caller, s.ref, err, 0)
		return
	case kind == session.KindKeyRefused, kind == session.KindSessionNotFound, kind == session.KindAlreadyPaired,
		kind == session.KindNotReady, isFinal && !isTransient(err):
		isKnown := kind == session.KindAlreadyPaired || kind == session.KindNotReady
		if res.Status >= 400 && !isKnown &&
			s.acquirer.OnConnectRefused(context.WithoutCancel(s.ctx()), s.caller, s.ref, err) {
			s.replyEngineError(res, err)
			return
		}
		s.writeEngineError(res, err)
		return
	case kind == session.KindRateLimited && s.ref.ID == 0 && s.acquirer.WasCreateRefused(s.caller, s.id):
		s.reply(problem(http.StatusNotFound, compat.CodeSessionNotFound, textCreateRefused))
		return
	}
	ctx := s.ctx()
	if max <= 0 {
		ctx = context.WithoutCancel(ctx) // nothing to wait for
	}
	startedAt := time.Now()
	v, waitErr := s.acquirer.OnConnectError(ctx, s.caller, s.ref, err, max)
	if s.hasLeft() {
		return
	}
	if waitErr != nil {
		s.reply(engineProblem(waitErr))
		return
	}
	ref := v.Session.Ref.Merge(s.ref)
	switch {
	case v.Session.State == session.Connected:
		s.writeJSON(http.StatusOK, s.actionBody(nil, ref, compat.WireConnected, textConnecting), nil)
	case v.Session.State == session.AwaitingScan, !v.Session.ConnectedAt.Before(startedAt): // a poll found the code
		s.writeJSON(http.StatusOK, s.actionBody(nil, ref, compat.WireConnecting, textConnecting), nil)
	case v.Session.State == session.Connecting && v.Session.RateLimited():
		s.replyQueued(v)
	case v.Session.State == session.Connecting:
		body := s.actionBody(nil, ref, compat.WireConnecting, textStillConnecting)
		body["retrying"] = true
		if d := s.localize(v).Diagnosis; !d.Healthy() {
			body["diagnosis"] = d
		}
		s.writeJSON(http.StatusOK, body, nil)
	default:
		s.writeEngineError(res, err)
	}
}

// isTransient reports whether an error is about the engine's connection to WhatsApp, which the next connect may get.
// Baileys' errors have statuses of their own, which wrappers pass on as 4xx.
func isTransient(err error) bool {
	e := session.AsEngineError(err)
	p, _ := diagnosis.MatchError(e.Text)
	part := p.Code.Part()
	isOpen := part == diagnosis.NoPart || part == diagnosis.Network || part == diagnosis.WhatsApp
	return e.Kind == session.KindServerError && isOpen && diagnosis.ConnectionWords(e.Text) != ""
}

// replyQueued responds that a connect waits, with its queue position.
func (s *sessionRequest) replyQueued(v *session.Snapshot) {
	wait := max(v.RateLimitWait, retrySoon)
	body := s.actionBody(nil, v.Session.Ref.Merge(s.ref), compat.WireConnecting, textConnectQueued)
	body["code"], body["timestamp"] = codeConnectQueued, compat.Seconds(time.Now())
	data, _ := body["data"].(compat.Object)
	data["queue"] = Queue{max(v.QueuePosition, 1), int(wait / time.Second)}
	s.reply(ownResponse{status: http.StatusAccepted, code: codeConnectQueued, retryAfter: wait, body: body})
}

// actionBody is the body of an action, with a text of qrgate if the engine has none.
func (s *sessionRequest) actionBody(body compat.Object, ref session.Ref, status, text string) compat.Object {
	if compat.StringOf(body["message"]) == "" {
		text = s.ownText(text)
	}
	return compat.NormalizeActionBody(body, ref, status, text)
}

// act sends an action on the session to the engine; false if it responded, because the engine refused or failed.
func (s *sessionRequest) act(op, verb string) (res compat.Response, ok bool) {
	s.resolve()
	s.linkTrace() // forget drops the session from the cache
	res, err := s.callWithRetry(op, verb, callTimeout)
	if err != nil {
		s.writeEngineError(res, err)
	}
	return res, err == nil
}

// restart handles POST …/restart: it drops the cached state, and the acquisition starts again.
func (s *sessionRequest) restart() {
	if _, ok := s.jsonBody(); !ok {
		return
	}
	if res, ok := s.act("restart", "restart"); ok {
		s.forget(false)
		s.connectAccepted(res, session.Restart, textRestarting)
	}
}

func (s *sessionRequest) disconnect() {
	if res, ok := s.act("disconnect", "disconnect"); ok {
		s.forget(false)
		s.replyDisconnected(res, textDisconnected)
	}
}

// deleteSession handles DELETE /api/sessions/{id}. It responds 200 with a body to every 2xx of the engine, because the
// production client accepts nothing else (contract 4.1, S10).
func (s *sessionRequest) deleteSession() {
	if res, ok := s.act(session.OpDelete, ""); ok {
		s.forget(true)
		s.replyDisconnected(res, textDeleted)
	}
}

func (s *sessionRequest) replyDisconnected(res compat.Response, text string) {
	body, _ := compat.Parse(res.Body)
	body = s.actionBody(body, s.ref, compat.WireDisconnected, text)
	s.writeJSON(http.StatusOK, body, res.Header)
}
