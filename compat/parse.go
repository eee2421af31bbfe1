package compat

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// Object is a JSON object as it came, with unknown fields kept and numbers untouched.
type Object = map[string]any

// ErrNotObject says that a body is no JSON object.
var ErrNotObject = errors.New("the body is not a JSON object")

// byteOrderMark is what some Windows programs write before UTF-8. Express and most other readers skip it.
var byteOrderMark = []byte("\xef\xbb\xbf")

// Parse reads a body that must be one JSON object and nothing more.
func Parse(body []byte) (Object, error) {
	d := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(body, byteOrderMark)))
	d.UseNumber()
	var o Object
	if err := d.Decode(&o); err != nil || o == nil {
		return nil, ErrNotObject
	}
	if d.More() {
		return nil, ErrNotObject
	}
	return o, nil
}

// Data is the object under "data", or the body itself where an engine sends no envelope.
func Data(body Object) Object {
	if data, ok := body["data"].(Object); ok {
		return data
	}
	return body
}

// SessionOf finds the session in an answer about one: data.session, or data itself (contract C1). What
// belongs to the envelope is left out; the result is never nil.
func SessionOf(body Object) Object {
	data := Data(body)
	if s, ok := data["session"].(Object); ok {
		return s
	}
	s := maps.Clone(data)
	for _, name := range []string{"session", "success", "message", "data"} {
		delete(s, name)
	}
	if s == nil {
		s = Object{}
	}
	return s
}

// SessionsOf finds the list in an answer: data.sessions as documented, and the shapes that clients
// tolerate (contract C14).
func SessionsOf(body Object) []Object {
	for _, candidate := range []any{Data(body)["sessions"], body["sessions"], body["data"], Data(body)["items"], Data(body)["data"]} {
		if list, ok := candidate.([]any); ok {
			out := make([]Object, 0, len(list))
			for _, item := range list {
				if o, ok := item.(Object); ok {
					out = append(out, o)
				}
			}
			return out
		}
	}
	return nil
}

// RefOf reads both ids of a session; a part that is missing or not valid stays empty.
func RefOf(s Object) session.Ref {
	r := session.Ref{ID: Int(s["id"])}
	if name := StringOf(s["sessionId"]); session.ValidID(name) {
		r.Name = name
	}
	return r
}

// StateOf reads a session's state. "connected" beside isConnected:false is a stale database row: the
// socket is the truth (contract 7, quirk 7).
func StateOf(s Object) session.State {
	state := ParseState(StringOf(s["status"]))
	linked, said := parseBool(s["isConnected"])
	switch {
	case said && linked && (state == session.Connected || state == session.Unknown):
		return session.Connected
	case said && !linked && state == session.Connected:
		return session.Disconnected
	}
	return state
}

// parseBool is v as a boolean: some engines count 1 and 0. said is false for anything else.
func parseBool(v any) (yes, said bool) {
	switch v := v.(type) {
	case bool:
		return v, true
	case json.Number:
		return v == "1", v == "1" || v == "0"
	}
	return false, false
}

// imageFields are the names under which engines have put the QR (contract C6), the documented one first.
var imageFields = []string{"qrCode", "qr_code", "qr", "qr_data", "qr_code_data_url", "base64", "qrcode"}

// QRImageOf reads a session's QR; empty if it has none, ErrNotQR if it has something else there.
func QRImageOf(s Object) (secret.Secret, error) {
	for _, name := range imageFields {
		if text := StringOf(s[name]); text != "" {
			return NormalizeQRImage(text)
		}
	}
	return secret.Secret{}, nil
}

// ExpiryOf reads when a session's QR ends, relative to clock, the engine's own time of the answer.
func ExpiryOf(s Object, clock time.Time) session.Expiry {
	for _, name := range []string{"expiresAt", "qrCodeExpiresAt", "expires_at"} {
		if at, ok := dateOf(s[name]); ok {
			return session.Expiry{Known: true, In: at.Sub(clock)}
		}
	}
	return session.Expiry{}
}

// dateOf reads a date as documented, or as JavaScript and UNIX count: milliseconds or seconds.
func dateOf(v any) (time.Time, bool) {
	if at, err := time.Parse(time.RFC3339, StringOf(v)); err == nil {
		return at, true
	}
	switch n, isNumber := v.(json.Number); {
	case !isNumber || Int(n) < 1e9:
		return time.Time{}, false
	case Int(n) < 1e11:
		return time.Unix(Int(n), 0), true
	default:
		return time.UnixMilli(Int(n)), true
	}
}

// ParseSession reads everything the gate wants to know from one session's object. clock is the engine's time
// of the answer. The error is ErrNotQR; the observation is good without its image even then.
func ParseSession(s Object, clock, now time.Time) (session.SessionReport, error) {
	image, err := QRImageOf(s)
	o := session.SessionReport{Ref: RefOf(s), State: StateOf(s), Image: image, Reason: ReasonOf(s), At: now}
	if !image.Empty() {
		o.Expiry = ExpiryOf(s, clock)
	}
	return o, err
}

// ReasonOf reads what an engine says of a session's last disconnect: lastDisconnect.{code,message,cause} and
// the words under error. A code may be a word or a number, and a number means nothing without its message.
// It is scrubbed as ErrorText is.
func ReasonOf(s Object) string {
	last, ok := s["lastDisconnect"].(Object)
	if !ok {
		return Scrub(StringOf(s["error"]))
	}
	code := StringOf(last["code"])
	if n, isNumber := last["code"].(json.Number); isNumber {
		code = n.String()
	}
	parts := []string{code, StringOf(last["message"]), StringOf(last["cause"])}
	if said := StringOf(s["error"]); said != parts[1] {
		parts = append(parts, said)
	}
	return Scrub(strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), " "))
}

// StringOf is v if it is a string, else "".
func StringOf(v any) string {
	s, _ := v.(string)
	return s
}

// Int is v as an integer > 0, else 0. Some engines write ids as strings.
func Int(v any) int64 {
	var text string
	switch v := v.(type) {
	case json.Number:
		text = v.String()
	case string:
		text = strings.TrimSpace(v)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 {
		return 0
	}
	return n
}
