package proxy

import (
	"bytes"
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
