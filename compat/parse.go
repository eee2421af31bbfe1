package compat

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"qrgate/internal/redact"
	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// Object is a decoded JSON object. It keeps unknown fields, and numbers as json.Number.
type Object = map[string]any

// ErrNotObject reports that a body is not a JSON object.
var ErrNotObject = errors.New("the body is not a JSON object")

// byteOrderMark precedes UTF-8 text of some Windows programs. Express and most other readers skip it.
var byteOrderMark = []byte("\xef\xbb\xbf")

// Parse reads a body that must be exactly one JSON object.
func Parse(body []byte) (Object, error) {
	d := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(body, byteOrderMark)))
	d.UseNumber()
	var o Object
	if err := d.Decode(&o); err != nil || o == nil || d.More() {
		return nil, ErrNotObject
	}
	return o, nil
}

// Data returns the object under "data", or the body itself if an engine sends no envelope.
func Data(body Object) Object {
	if data, ok := body["data"].(Object); ok {
		return data
	}
	return body
}

// envelopes are the names of objects in which engines put a session or its code.
var envelopes = []string{"session", "instance", "result", "results", "response", "payload", "data"}

// SessionOf returns the session in a response about one: data.session, or data itself (contract C1), without the
// fields of the envelope. A code that an engine puts beside data.session or data, or into another object there, belongs
// to the session, too. The result is never nil.
func SessionOf(body Object) Object {
	data := Data(body)
	if list, _ := body["data"].([]any); len(list) == 1 {
		data = cloneObject(list[0])
	}
	for _, name := range envelopes[:2] {
		if s, ok := data[name].(Object); ok {
			return withCodeOf(withCodeOf(s, data), body)
		}
	}
	s := cloneObject(data)
	for _, name := range []string{"session", "success", "message", "data"} {
		delete(s, name)
	}
	for _, name := range []string{"data", "value", "result", "results"} { // instead of an object, or as the only field
		if image, err := NormalizeQRImage(StringOf(body[name])); err == nil {
			s["qrCode"] = image.Reveal()
		}
	}
	return withCodeBelow(withCodeBelow(withCodeOf(s, body), data, 1), body, 1)
}

// withCodeBelow returns s with the code of an envelope in o, or of one in that.
func withCodeBelow(s, o Object, depth int) Object {
	for _, name := range envelopes {
		inner := cloneObject(o[name])
		s = withCodeOf(s, inner)
		if depth > 0 {
			s = withCodeBelow(s, inner, depth-1)
		}
	}
	return s
}

// withCodeOf returns s with the code of another object and its expiry, if s has no code.
func withCodeOf(s, other Object) Object {
	if !hasCode(other) || hasCode(s) { // most often other is empty, and an image in s may have to be read
		return s
	}
	out := maps.Clone(s)
	for _, name := range slices.Concat(imageFields, expiryFields) {
		if v, ok := other[name]; ok {
			out[name] = v
		}
	}
	if image := otherImageOf(other); !image.Empty() {
		out[imageFields[0]] = image.Reveal()
	}
	return out
}

func hasCode(s Object) bool {
	return slices.ContainsFunc(imageFields, func(name string) bool {
		return len(nestedTexts(s[name])) > 0 || strings.TrimSpace(StringOf(s[name])) != ""
	}) || !otherImageOf(s).Empty()
}

// SessionsOf returns the sessions of a list response: data.sessions as documented, or the shapes that clients
// tolerate (contract C14).
func SessionsOf(body Object) []Object {
	data := Data(body)
	for _, candidate := range []any{data["sessions"], body["sessions"], body["data"], data["items"], data["data"]} {
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

// RefOf reads both ids of a session. A part that is missing or not valid is empty.
func RefOf(s Object) session.Ref {
	r := session.Ref{ID: Int(s["id"])}
	if name := StringOf(s["sessionId"]); session.ValidID(name) {
		r.Name = name
	}
	return r
}

// StateOf reads a session's state. "connected" beside isConnected:false is a stale database row; isConnected comes from
// the socket (contract 7, quirk 7). Some engines name it connected, or write it as 1 or 0.
func StateOf(s Object) session.State {
	var word string
	state := session.Unknown
	for _, text := range stringsOf(s, stateFields) { // "status":"success" is the response's own
		if word, state = text, ParseState(text); state != session.Unknown {
			break
		}
	}
	isPaired := slices.ContainsFunc(pairedFields, func(name string) bool { return isTrue(s[name]) })
	isOpen := s["connection"] == "open" && !hasCode(s) // Baileys' own; elsewhere it may be the socket
	switch {
	case (isPaired || isOpen) && state == session.Unknown:
		return session.Connected
	case state == session.Connected && (isFalse(s["isConnected"]) || isFalse(s["connected"])):
		return session.Disconnected
	case slices.Contains(readyStates, strings.ToLower(strings.TrimSpace(word))) && hasCode(s):
		return session.AwaitingScan // the code is ready
	}
	return state
}

// stateFields are the names under which engines write a session's state, the documented one first.
var stateFields = []string{
	"status", "state", "connectionStatus", "connectionState", "connection_status", "stateInstance", "sessionStatus",
	"session_status", "instanceStatus", "instance_status",
}

// pairedFields are true for a paired session. "connected" is not among them: in engines on whatsmeow it is the socket.
var pairedFields = []string{
	"isConnected", "authenticated", "isAuthenticated", "loggedIn", "LoggedIn", "isLoggedIn", "logged_in", "is_logged_in",
}

// isUnpaired reports whether one of pairedFields is false, and none is true.
func isUnpaired(s Object) bool {
	has := func(is func(any) bool) bool {
		return slices.ContainsFunc(pairedFields, func(name string) bool { return is(s[name]) })
	}
	return has(isFalse) && !has(isTrue)
}

// readyStates are states that some engines also give a session whose code is ready.
var readyStates = []string{"ready", "online"}

// isTrue reports whether v is true, in one of the forms in which engines write it.
func isTrue(v any) bool { return v == true || v == json.Number("1") || v == "true" }

func isFalse(v any) bool { return v == false || v == json.Number("0") || v == "false" }

var (
	// imageFields are the names under which engines send the QR (contract C6), the documented one first.
	imageFields = []string{
		"qrCode", "qr_code", "qr", "qr_data", "qr_code_data_url", "base64", "qrcode", "QRCode", "Qrcode", "qrImage",
		"qr_image", "qrDataUrl", "qrCodeBase64", "qrcodeBase64", "qr_base64", "urlcode", "rawcode",
	}
	// nestedImageFields are the names inside an object under one of imageFields, an image before its text.
	nestedImageFields = []string{"base64", "image", "data", "dataUrl", "url", "qrCode", "qrcode", "qr", "value", "code"}
	expiryFields      = []string{"expiresAt", "qrCodeExpiresAt", "expires_at"}
)

// QRImageOf reads a session's QR image from the first field that contains one. It is empty if there is none; the error
// is a [NotQRError] if a field contains something else.
func QRImageOf(s Object) (image secret.Secret, err error) {
	texts := stringsOf(s, imageFields)
	for _, name := range imageFields {
		texts = append(texts, nestedTexts(s[name])...)
	}
	for _, text := range texts {
		image, invalid := NormalizeQRImage(text)
		if invalid == nil {
			return image, nil
		}
		err = cmp.Or(err, invalid)
	}
	if image = otherImageOf(s); !image.Empty() {
		return image, nil
	}
	return secret.Secret{}, err
}

// otherImageOf reads a QR image from a field under a name that is not in imageFields. Such a name says little, so it
// must say "qr", or the image must be a readable QR of WhatsApp: others are profile pictures.
func otherImageOf(s Object) secret.Secret {
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if slices.Contains(imageFields, name) || slices.Contains(envelopes, name) {
			continue
		}
		text := StringOf(s[name])
		if texts := nestedTexts(s[name]); len(texts) > 0 {
			text = texts[0]
		}
		if len(text) < minImage {
			continue
		}
		image, err := NormalizeQRImage(text)
		if err == nil && !strings.Contains(strings.ToLower(name), "qr") {
			_, err = ReadQR(image)
		}
		if err == nil {
			return image
		}
	}
	return secret.Secret{}
}

// nestedTexts returns the texts of an object, the bytes of a Node.js Buffer as base64, or the first text of a list: of
// whatsmeow's codes it is the current one.
func nestedTexts(v any) []string {
	switch v := v.(type) {
	case Object:
		list, isBuffer := v["data"].([]any)
		if !isBuffer {
			texts := stringsOf(v, nestedImageFields)
			for _, name := range nestedImageFields {
				texts = append(texts, nestedTexts(v[name])...)
			}
			return texts
		}
		raw := make([]byte, len(list))
		for i, n := range list {
			raw[i] = byte(Int(n))
		}
		return []string{base64.StdEncoding.EncodeToString(raw)}
	case []any:
		if len(v) > 0 && StringOf(v[0]) != "" {
			return []string{StringOf(v[0])}
		}
	}
	return nil
}

// ExpiryOf reads when a session's QR expires, relative to clock, the engine's own time of the response.
func ExpiryOf(s Object, clock time.Time) session.Expiry {
	for _, name := range expiryFields {
		if at, ok := dateOf(s[name]); ok {
			return session.Expiry{Known: true, In: at.Sub(clock)}
		}
	}
	return session.Expiry{}
}

// dateOf reads a date in RFC 3339, or as UNIX milliseconds or seconds.
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

// ParseSession reads one session's object. clock is the engine's time of the response. The error is a [NotQRError]; the
// report is good without its image even then.
func ParseSession(s Object, clock, now time.Time) (session.SessionReport, error) {
	image, err := QRImageOf(s)
	report := session.SessionReport{
		Ref: RefOf(s), State: StateOf(s), IsUnpaired: isUnpaired(s), Image: image, Reason: ReasonOf(s),
		QueuePosition: queuePosition(s), At: now, Phone: secret.NewSecret(StringOf(s["phoneNumber"])),
	}
	if !image.Empty() {
		report.Expiry = ExpiryOf(s, clock)
	}
	return report, err
}

// queuePosition is the session's place in the engine's own queue, in a session or in the error of GET …/qr.
func queuePosition(s Object) int { return int(Int(s["queuePosition"])) }

// reasonFields are the names under which engines write the error that ended a session's connection.
var reasonFields = []string{
	"error", "lastError", "last_error", "disconnectReason", "disconnect_reason", "reason", "statusReason",
}

// ReasonOf reads why a session disconnected: lastDisconnect.{code,message,cause}, or Baileys' own lastDisconnect.error,
// and the fields of reasonFields. It is redacted as ErrorText is.
func ReasonOf(s Object) string {
	last, _ := s["lastDisconnect"].(Object)
	boomCode, boomText := boomOf(last)
	code := cmp.Or(StringOf(last["code"]), numberOf(last["code"]), boomCode)
	text := cmp.Or(StringOf(last["message"]), boomText)
	parts := []string{code, text, StringOf(last["cause"]), StringOf(last["error"])}
	for _, name := range reasonFields {
		inner, _ := s[name].(Object)
		code, text := boomOf(inner)
		parts = append(parts, StringOf(s[name]), numberOf(s[name]), code, text)
	}
	var out []string
	for _, part := range parts {
		if part = messageInJSON(part); part != "" && !slices.Contains(out, part) {
			out = append(out, part)
		}
	}
	return redact.Line(strings.Join(out, " "))
}

// boomOf reads the status and the text of an error of Baileys, a Boom. Engines return the whole error, its output, only
// the payload of that, or the node of WhatsApp's protocol.
func boomOf(o Object) (status, text string) {
	for {
		status = cmp.Or(numberOf(o["statusCode"]), status)
		text = cmp.Or(StringOf(o["message"]), nodeOf(o), text)
		inner, isInner := o["error"].(Object)
		for _, name := range []string{"output", "payload"} {
			if v, ok := o[name].(Object); ok {
				inner, isInner = v, true
			}
		}
		if !isInner {
			return status, text
		}
		o = inner
	}
}

// nodeOf returns a node of WhatsApp's protocol, an object in Baileys, as the XML that whatsmeow logs; "" for another
// object.
func nodeOf(o Object) string {
	attributes, ok := o["attrs"].(Object)
	if tag := StringOf(o["tag"]); ok && tag != "" {
		text := "<" + tag
		for _, name := range []string{"code", "reason", "type"} {
			if value := cmp.Or(StringOf(attributes[name]), numberOf(attributes[name])); value != "" {
				text += " " + name + "=" + strconv.Quote(value)
			}
		}
		return text + ">"
	}
	return ""
}

// numberOf returns v as text if it is a number, else "".
func numberOf(v any) string {
	n, _ := v.(json.Number)
	return n.String()
}

// stringsOf returns the named fields that are strings and not blank.
func stringsOf(s Object, names []string) (out []string) {
	for _, name := range names {
		if text := StringOf(s[name]); strings.TrimSpace(text) != "" {
			out = append(out, text)
		}
	}
	return out
}

// firstString returns the first of the named fields that is a string and not empty.
func firstString(s Object, names ...string) string {
	if found := stringsOf(s, names); len(found) > 0 {
		return found[0]
	}
	return ""
}

// StringOf returns v if it is a string, else "".
func StringOf(v any) string {
	s, _ := v.(string)
	return s
}

// Int returns v if it is a positive integer, else 0. Some engines write ids as strings.
func Int(v any) int64 {
	var text string
	switch v := v.(type) {
	case json.Number:
		text = v.String()
	case string:
		text = strings.TrimSpace(v)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return max(n, 0)
}
