package compat

import (
	"maps"
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
	if image.Empty() {
		out["qrCode"] = nil
	} else {
		out["qrCode"] = image.Reveal()
	}
	if StringOf(out["lastActivity"]) == "" {
		out["lastActivity"] = lastActivity(s, now)
	}
	for _, name := range []string{"phoneNumber", "sessionName"} {
		if _, ok := out[name]; !ok {
			out[name] = nil
		}
	}
	return out
}

// lastActivity is a time that the engine reports, else now: a null crashes the portal (contract 4.3).
func lastActivity(s Object, now time.Time) string {
	for _, name := range []string{"lastSeen", "updatedAt", "createdAt"} {
		if at := StringOf(s[name]); at != "" {
			return at
		}
	}
	return Millis(now)
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
	data := Object{}
	if d, ok := body["data"].(Object); ok {
		data = maps.Clone(d)
	}
	data["sessions"] = sessions
	p, _ := data["pagination"].(Object)
	p = maps.Clone(p)
	if p == nil {
		p = Object{}
	}
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
	data := Object{}
	if d, ok := body["data"].(Object); ok {
		data = maps.Clone(d)
	}
	if r.ID > 0 {
		data["id"] = r.ID
	}
	if r.Name != "" {
		data["sessionId"] = r.Name
	} else if _, ok := data["sessionId"]; !ok {
		data["sessionId"] = r.URLSegment()
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
	out := maps.Clone(body)
	if out == nil {
		out = Object{}
	}
	out["success"] = false
	text := errorMessage(out)
	if text == "" {
		text = "The engine refused the request."
	}
	if out["code"] = ErrorCode(body); out["code"] == "" {
		out["code"] = codeFor(status)
	}
	out["error"], out["message"] = text, text
	if at, err := time.Parse(time.RFC3339, StringOf(out["timestamp"])); err == nil {
		now = at
	}
	out["timestamp"] = Seconds(now) // no milliseconds: .429Z looks like a rate limit (contract 4.2)
	return out
}

func codeFor(status int) string {
	switch status {
	case 401:
		return CodeInvalidAPIKey
	case 403:
		return "AUTHORIZATION_FAILED"
	case 404:
		return CodeSessionNotFound
	case 429:
		return CodeRateLimitExceeded
	}
	return CodeValidationError
}

func envelope(body, data Object) Object {
	out := maps.Clone(body)
	if out == nil {
		out = Object{}
	}
	out["success"], out["data"] = true, data
	return out
}
