package proxy

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"qrgate/compat"
	"qrgate/internal/session"
)

// list handles GET /api/sessions: the engine's page, normalized, with cached states for sessions whose QR is being
// obtained. A list that is too large to normalize, and has a known length, passes through.
func (s *sessionRequest) list() {
	query, page, limit := clampLimit(s.request.URL.RawQuery)
	res, err := s.forward(session.OpList, &s.request, compat.SessionsPath, query, callTimeout)
	switch {
	case err == nil:
		body, _ := compat.Parse(res.Body)
		items := s.normalizeAll(compat.SessionsOf(body), res)
		s.writeJSON(http.StatusOK, compat.NormalizeListBody(body, items, page, limit), res.Header)
	case session.KindOf(err) == session.KindBadResponse && res.Status == http.StatusOK && !res.Complete &&
		res.Header.Get("Content-Length") != "":
		s.request.URL.RawQuery = query
		s.passThrough()
	default:
		s.writeEngineError(res, err)
	}
}

// clampLimit returns the list's query with a limit of at most 100: engines refuse more (contract C13).
func clampLimit(raw string) (query string, page, limit int) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return raw, 1, compat.MaxPageSize
	}
	if page, err = strconv.Atoi(values.Get("page")); err != nil || page < 1 {
		page = 1
	}
	limit, _ = strconv.Atoi(values.Get("limit")) // 0 if it is no number, and the largest int if it is out of range
	switch {
	case limit < 1:
		return raw, page, compat.MaxPageSize
	case limit <= compat.MaxPageSize:
		return raw, page, limit
	}
	values.Set("limit", strconv.Itoa(compat.MaxPageSize))
	return values.Encode(), page, compat.MaxPageSize
}

// normalizeAll records the states of a page of sessions and normalizes its items.
func (s *sessionRequest) normalizeAll(items []compat.Object, res compat.Response) []compat.Object {
	reports := make([]session.SessionReport, len(items))
	refs := make([]session.Ref, len(items))
	for i, item := range items {
		reports[i], _ = compat.ParseSession(item, compat.ExpiryClock(res.Header, res.At), res.At)
		refs[i] = reports[i].Ref
	}
	s.acquirer.OnSessions(s.ctx(), s.caller, reports, false)
	views := s.acquirer.Cached(s.caller, refs)
	out := make([]compat.Object, len(items))
	for i, item := range items {
		out[i] = s.formatItem(compat.Normalize(item, views[i], res.At))
	}
	return out
}

// get handles GET /api/sessions/{id}: the session nested, with flat copies beside it.
func (s *sessionRequest) get() {
	if res, ok := s.act("get", ""); ok {
		body, normalized := s.parseSession(res)
		s.writeJSON(http.StatusOK, compat.NormalizeSessionBody(body, normalized), res.Header)
	}
}

// parseSession parses and normalizes a response about the requested session, in which engines omit one id or both.
func (s *sessionRequest) parseSession(res compat.Response) (body, normalized compat.Object) {
	body, _ = compat.Parse(res.Body)
	item := compat.SessionOf(body)
	if compat.Int(item["id"]) == 0 && s.ref.ID > 0 {
		item["id"] = json.Number(strconv.FormatInt(s.ref.ID, 10))
	}
	normalized = s.normalizeAll([]compat.Object{item}, res)[0]
	if compat.StringOf(normalized["sessionId"]) == "" {
		normalized["sessionId"] = s.id
	}
	return body, normalized
}

// status handles GET …/status: from the cache while qrgate obtains a QR, else from the engine.
func (s *sessionRequest) status() {
	v, err := s.acquirer.Status(s.ctx(), s.caller, s.id)
	s.ref = v.Session.Ref
	if s.hasLeft() {
		return
	}
	if err == nil && v.Authorized && v.Session.State.Acquiring() && !v.Session.AcquiringSince.IsZero() {
		s.writeJSON(http.StatusOK, compat.Status(cachedSession(v, s.id)), nil)
		return
	}
	s.resolve()
	res, err := s.call("status", "status", callTimeout)
	if err != nil {
		s.statusFailed(res, err, v)
		return
	}
	body, normalized := s.parseSession(res)
	s.writeJSON(http.StatusOK, compat.NormalizeStatusBody(body, normalized), res.Header)
}

// statusFailed responds when the engine denies the state of a session. A 404 there stops clients for good, so qrgate
// first looks for the session elsewhere in the engine and in its cache (contract C18).
func (s *sessionRequest) statusFailed(res compat.Response, err error, v *session.Snapshot) {
	if session.KindOf(err) != session.KindSessionNotFound {
		s.writeEngineError(res, err)
		return
	}
	item, other, otherErr := s.findElsewhere()
	switch {
	case otherErr == nil:
		normalized := s.normalizeAll([]compat.Object{item}, other)[0]
		s.writeJSON(http.StatusOK, compat.NormalizeStatusBody(nil, normalized), other.Header)
	case v.Authorized && v.Session.CreatedHere:
		s.writeJSON(http.StatusOK, compat.Status(cachedSession(v, s.id)), nil)
	case session.KindOf(otherErr) != session.KindSessionNotFound:
		s.writeEngineError(other, otherErr) // an unknown state must not look like a 404
	default:
		s.writeEngineError(res, err)
	}
}

// findElsewhere finds a session whose state the engine denies: under its own path, or in the list of an engine without
// that route.
func (s *sessionRequest) findElsewhere() (item compat.Object, res compat.Response, err error) {
	err = s.acquirer.RetryOnStaleID(s.ctx(), s.caller, s.id, &s.ref, func() (err error) {
		item, res, err = s.findOnce()
		return err
	})
	return item, res, err
}

func (s *sessionRequest) findOnce() (compat.Object, compat.Response, error) {
	res, err := s.fetch("get", s.sessionPath(""), s.request.URL.RawQuery)
	body, _ := compat.Parse(res.Body)
	switch {
	case err == nil && !compat.RefOf(compat.SessionOf(body)).IsZero():
		return compat.SessionOf(body), res, nil
	case compat.ErrorCode(body) == compat.CodeSessionNotFound, session.KindOf(err) == session.KindRateLimited:
		return nil, res, err
	}
	wanted := s.ref
	wanted.Name = cmp.Or(wanted.Name, s.id)
	return s.findInList(wanted)
}

func (s *sessionRequest) findInList(wanted session.Ref) (compat.Object, compat.Response, error) {
	res, err := s.fetch(session.OpList, compat.SessionsPath, "limit=100")
	if err != nil {
		return nil, res, err
	}
	body, _ := compat.Parse(res.Body)
	for _, item := range compat.SessionsOf(body) {
		r := compat.RefOf(item)
		if r.ID > 0 && r.ID == wanted.ID || r.Name != "" && r.Name == wanted.Name {
			return item, res, nil
		}
	}
	return nil, res, &session.EngineError{Op: session.OpList, Kind: session.KindSessionNotFound}
}

// cachedSession is a session as qrgate reports it without a call to the engine.
func cachedSession(v *session.Snapshot, id string) compat.Session {
	s := &v.Session
	at := cmp.Or(s.LastPolledAt, s.Since, v.At)
	return compat.Session{
		ID: s.Ref.ID, SessionID: cmp.Or(s.Ref.Name, id), Status: compat.Wire(s.State), LastActivity: compat.Millis(at),
		IsConnected: s.State == session.Connected, HasQR: s.State == session.AwaitingScan,
	}
}
