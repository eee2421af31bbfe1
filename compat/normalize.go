package compat

import (
	"cmp"
	"maps"
	"net/http"
	"time"

	"qrgate/internal/session"
)

// Normalize completes one session's object for every client (contract 0): both ids, a status on which no client stops
// polling, isConnected and hasQR as booleans, a lastActivity that is not null. Unknown fields stay. State and code are
// v's if they are newer than the engine's response.
func Normalize(s Object, v *session.Snapshot, now time.Time) Object {
	out := maps.Clone(s)
	r := RefOf(s).Merge(v.Session.Ref)
	if r.ID > 0 {
		out["id"] = r.ID
	}
	if r.Name != "" {
		out["sessionId"] = r.Name
	}
	state := StateOf(s)
	image, _ := QRImageOf(s)
	if v.Authorized && v.Session.State.Acquiring() && state != session.Connected {
		state = v.Session.State
		if q := v.Session.QR; q.Fresh(now) {
			image = q.Image
			out["qrCodeGeneratedAt"], out["qrCodeExpiresAt"] = Millis(q.SeenAt), Millis(q.ExpiresAt)
		}
	}
	out["status"] = Wire(state)
	out["isConnected"] = state == session.Connected
	out["hasQR"] = state == session.AwaitingScan
	out["qrCode"] = nil
	if !image.Empty() {
		out["qrCode"] = image.Reveal()
	}
	// A time that the engine reports, else now: a null crashes the portal (contract 4.3).
	out["lastActivity"] = firstString(s, "lastActivity", "lastSeen", "updatedAt", "createdAt")
	if out["lastActivity"] == "" {
		out["lastActivity"] = Millis(now)
	}
	for _, name := range []string{"phoneNumber", "sessionName"} {
		if _, ok := out[name]; !ok {
			out[name] = nil
		}
	}
	return out
}

// NormalizeSessionBody is a body about one session: flat and nested, because clients read either (contract C1).
func NormalizeSessionBody(body, session Object) Object {
	data := maps.Clone(session)
	for k, v := range Data(body) {
		if _, ok := data[k]; !ok {
			data[k] = v
		}
	}
	data["session"] = session
	return envelope(body, data)
}

// NormalizeStatusBody is the body of GET …/status: flat.
func NormalizeStatusBody(body, session Object) Object {
	data := maps.Clone(session)
	delete(data, "qrCode")
	return envelope(body, data)
}

// NormalizeListBody is the body of GET /api/sessions with its sessions replaced, and every count that a client
// reads filled in (contract C14).
func NormalizeListBody(body Object, sessions []Object, page, limit int) Object {
	data := cloneObject(body["data"])
	data["sessions"] = sessions
	p := cloneObject(data["pagination"])
	total := max(int(Int(p["total"])), int(Int(data["total"])), len(sessions))
	pages := (total + limit - 1) / limit
	for name, v := range map[string]int{"total": total, "page": page, "limit": limit, "pages": pages} {
		if _, ok := p[name]; !ok {
			p[name] = v
		}
	}
	data["pagination"], data["total"] = p, p["total"]
	return envelope(body, data)
}

// NormalizeActionBody is the body of connect, restart, disconnect and delete: the engine's, with the session named
// in both ways and the status given.
func NormalizeActionBody(body Object, r session.Ref, status, message string) Object {
	data := cloneObject(body["data"])
	if r.ID > 0 {
		data["id"] = r.ID
	}
	if _, ok := data["sessionId"]; !ok || r.Name != "" {
		data["sessionId"] = cmp.Or(r.Name, r.URLSegment())
	}
	data["status"] = status
	out := envelope(body, data)
	if StringOf(out["message"]) == "" {
		out["message"] = message
	}
	return out
}

// NormalizeErrorBody is an engine's own error with what clients read of it filled in (contract C17).
func NormalizeErrorBody(body Object, status int, now time.Time) Object {
	out := cloneObject(body)
	out["success"] = false
	text := cmp.Or(errorMessage(out), "The engine refused the request.")
	out["error"], out["message"] = text, text
	code := cmp.Or(ErrorCode(body), defaultCodes[status], CodeValidationError)
	if ErrorCode(body) == "" && (isOfBaileys(body) || namesCause("", withStatus(ErrorText(body), body, status))) {
		code = CodeConnectionError // the request was good
	}
	out["code"] = code
	if at, err := time.Parse(time.RFC3339, StringOf(out["timestamp"])); err == nil {
		now = at
	}
	out["timestamp"] = Seconds(now) // no milliseconds: .429Z looks like a rate limit (contract 4.2)
	return out
}

// defaultCodes are for engines' errors without a code.
var defaultCodes = map[int]string{
	http.StatusUnauthorized:    CodeInvalidAPIKey,
	http.StatusForbidden:       "AUTHORIZATION_FAILED",
	http.StatusNotFound:        CodeSessionNotFound,
	http.StatusConflict:        CodeConflict,
	http.StatusTooManyRequests: CodeRateLimitExceeded,
}

// cloneObject returns a copy of v if it is an object, else an empty one.
func cloneObject(v any) Object {
	if o, _ := v.(Object); o != nil {
		return maps.Clone(o)
	}
	return Object{}
}

func envelope(body, data Object) Object {
	out := cloneObject(body)
	out["success"], out["data"] = true, data
	return out
}
