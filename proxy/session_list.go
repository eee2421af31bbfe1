package proxy

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"qrgate/compat"
	"qrgate/internal/session"
)

// list answers GET /api/sessions: the engine's page, every item made whole, and those that are on their way
// to a QR shown as what they are.
func (s *sessionRequest) list() {
	query, page, limit := clampLimit(s.c.Request.URL.RawQuery)
	a, err := s.forwardRequest("list", target{path: sessionsPrefix, query: query}, askTime)
	if err != nil && tooLargeToRewrite(a) {
		s.c.Request.URL.RawQuery = query
		s.pass(s.c)
		return
	}
	if err != nil {
		s.writeEngineError(a, err)
		return
	}
	body, _ := compat.Parse(a.Body)
	items := compat.SessionsOf(body)
	s.writeJSON(a.Status, compat.NormalizeListBody(body, s.normalizeAll(items, a), page, limit), a.Header)
}

// tooLargeToRewrite reports whether a list is too large to be made whole, and yet has an end: then it goes out as the engine has it.
func tooLargeToRewrite(a compat.Response) bool {
	_, err := strconv.ParseInt(a.Header.Get("Content-Length"), 10, 64)
	return a.Status == http.StatusOK && !a.Complete && err == nil
}

// normalizeAll tells the gate's heart what a page of sessions says, and makes its items whole.
func (s *sessionRequest) normalizeAll(items []compat.Object, a compat.Response) []compat.Object {
	seen := make([]session.SessionReport, len(items))
	refs := make([]session.Ref, len(items))
	for i, item := range items {
		seen[i], _ = compat.ParseSession(item, compat.EngineClock(a.Header, a.At), a.At)
		refs[i] = seen[i].Ref
	}
	s.config.QRService.OnSessions(s.c.Request.Context(), s.caller, seen, false)
	views := s.config.QRService.Cached(s.caller, refs)
	out := make([]compat.Object, len(items))
	for i, item := range items {
		out[i] = compat.Normalize(item, views[i], a.At)
	}
	return out
}

// get answers GET /api/sessions/{id}: nested, with flat copies beside it.
func (s *sessionRequest) get() {
	s.resolve()
	a, err := s.callWithRetry("get", "", askTime)
	if err != nil {
		s.writeEngineError(a, err)
		return
	}
	body, whole := s.parseSession(a)
	s.writeJSON(a.Status, compat.NormalizeSessionBody(body, whole), a.Header)
}

// parseSession reads an answer about the session that was asked for, in which engines leave out an id or both.
func (s *sessionRequest) parseSession(a compat.Response) (body, whole compat.Object) {
	body, _ = compat.Parse(a.Body)
	item := compat.SessionOf(body)
	if compat.Int(item["id"]) == 0 && s.ref.ID > 0 {
		item["id"] = json.Number(strconv.FormatInt(s.ref.ID, 10))
	}
	whole = s.normalizeAll([]compat.Object{item}, a)[0]
	if compat.StringOf(whole["sessionId"]) == "" {
		whole["sessionId"] = s.id
	}
	return body, whole
}

// status answers GET …/status. While the gate is obtaining a QR it knows better than the engine, and
// answers itself; otherwise the engine is the truth.
func (s *sessionRequest) status() {
	v, err := s.config.QRService.Status(s.c.Request.Context(), s.caller, s.id)
	s.ref = v.Session.Ref
	if clientGone(s.c.Request.Context()) {
		return
	}
	if err == nil && v.Authorized && v.Session.State.Acquiring() && !v.Session.AcquiringSince.IsZero() {
		s.writeJSON(200, compat.Status(cachedSession(v, s.id)), nil)
		return
	}
	s.resolve()
	a, err := s.forwardRequest("status", s.enginePath("status"), askTime)
	if err != nil {
		s.statusNotFound(a, err, v)
		return
	}
	body, whole := s.parseSession(a)
	s.writeJSON(a.Status, compat.NormalizeStatusBody(body, whole), a.Header)
}

// statusNotFound answers when the engine denies the state of a session. A 404 there stops clients for good,
// so a session that the engine has elsewhere, or that the gate knows, is not denied (contract C18).
func (s *sessionRequest) statusNotFound(a compat.Response, err error, v *session.Snapshot) {
	if session.KindOf(err) != session.KindSessionNotFound {
		s.writeEngineError(a, err)
		return
	}
	item, other, oerr := s.findElsewhere()
	if session.KindOf(oerr) == session.KindSessionNotFound && s.refreshID() {
		item, other, oerr = s.findElsewhere()
	}
	switch {
	case oerr == nil:
		s.writeJSON(200, compat.NormalizeStatusBody(nil, s.normalizeAll([]compat.Object{item}, other)[0]), other.Header)
	case v.Authorized && v.Session.CreatedHere:
		s.writeJSON(200, compat.Status(cachedSession(v, s.id)), nil)
	case session.KindOf(oerr) != session.KindSessionNotFound:
		s.writeEngineError(other, oerr) // nobody knows, which must not look like a no
	default:
		s.writeEngineError(a, err)
	}
}

// findElsewhere finds the session where an engine has it although it denies its state: under its own path,
// which finds it among any number, or in the list of an engine without that route.
func (s *sessionRequest) findElsewhere() (compat.Object, compat.Response, error) {
	a, err := s.fetch("get", s.enginePath(""))
	body, _ := compat.Parse(a.Body)
	switch {
	case err == nil && !compat.RefOf(compat.SessionOf(body)).IsZero():
		return compat.SessionOf(body), a, nil
	case compat.ErrorCode(body) == compat.CodeSessionNotFound, session.KindOf(err) == session.KindRateLimited:
		return nil, a, err
	}
	wanted := s.ref
	if wanted.Name == "" {
		wanted.Name = s.id
	}
	return s.findInList(wanted)
}

// findInList finds a session in the engine's list, by either of its ids.
func (s *sessionRequest) findInList(wanted session.Ref) (compat.Object, compat.Response, error) {
	a, err := s.fetch(session.OpList, target{path: sessionsPrefix, query: "limit=100"})
	if err != nil {
		return nil, a, err
	}
	body, _ := compat.Parse(a.Body)
	for _, item := range compat.SessionsOf(body) {
		r := compat.RefOf(item)
		if r.ID > 0 && r.ID == wanted.ID || r.Name != "" && r.Name == wanted.Name {
			return item, a, nil
		}
	}
	return nil, a, &session.EngineError{Op: session.OpList, Kind: session.KindSessionNotFound}
}

// cachedSession is a session as the gate can show it without asking the engine.
func cachedSession(v *session.Snapshot, id string) compat.Session {
	b := v.Session
	name := b.Ref.Name
	if name == "" {
		name = id
	}
	at := b.LastPolledAt
	if at.IsZero() {
		at = b.Since
	}
	if at.IsZero() {
		at = v.At
	}
	return compat.Session{
		ID: b.Ref.ID, SessionID: name, Status: compat.Wire(b.State), LastActivity: compat.Millis(at),
		IsConnected: b.State == session.Connected, HasQR: b.State == session.AwaitingScan,
	}
}

// number is text as a whole number above zero, else other.
func number(text string, other int) int {
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		return other
	}
	return n
}

// sinceNow is the whole seconds from now until at, never less than zero.
func sinceNow(at, now time.Time) int { return max(int(at.Sub(now)/time.Second), 0) }
