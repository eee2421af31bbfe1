package compat

import (
	"net/http"
	"regexp"
	"strings"
	"time"

	"qrgate/internal/redact"
	"qrgate/internal/session"
)

// Response is what an engine sent back, read within bounds.
type Response struct {
	Status   int
	Header   http.Header
	Body     []byte
	Complete bool // false when the body was cut at the bound
	At       time.Time
}

// EngineError classifies an answer to op that is no success, or returns nil when it is one. Body and content
// type decide before the number does: not ready has been answered in seven ways (engines 0.7).
func (a Response) EngineError(op string) *session.EngineError {
	f := &session.EngineError{Op: op, Status: a.Status, RetryAfter: RetryAfter(a.Header, a.At)}
	body, err := Parse(a.Body)
	if err != nil || !a.Complete {
		f.Kind = a.classifyNonJSON()
		return f
	}
	f.Code, f.Text = ErrorCode(body), ErrorText(body)
	if ok, said := body["success"].(bool); a.Status/100 == 2 && (ok || !said) {
		return nil
	}
	f.Kind = kindOf(op, a.Status, strings.ToLower(f.Code+" "+f.Text))
	return f
}

// classifyNonJSON classifies an answer that is not the API's JSON: a proxy before the engine, or garbage.
func (a Response) classifyNonJSON() session.ErrorKind {
	switch a.Status {
	case http.StatusBadGateway, http.StatusServiceUnavailable:
		return session.KindUnreachable
	case http.StatusGatewayTimeout:
		return session.KindTimeout
	case http.StatusUnauthorized, http.StatusForbidden:
		return session.KindKeyRefused
	case http.StatusTooManyRequests:
		return session.KindRateLimited
	case http.StatusNoContent:
		return session.KindNotReady
	}
	return session.KindBadResponse
}

// pairedPhrases are how engines say, in an error, that there is nothing to scan.
var pairedPhrases = []string{"already_connected", "already connected", "already_paired", "already paired", "already linked",
	"already logged", "already_logged_in", "ya está conectada", "ya esta conectada", "ya conectada", "session_connected"}

func kindOf(op string, status int, words string) session.ErrorKind {
	for _, w := range pairedPhrases {
		if strings.Contains(words, w) {
			return session.KindAlreadyPaired
		}
	}
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return session.KindKeyRefused
	case status == http.StatusTooManyRequests:
		return session.KindRateLimited
	case status == http.StatusMethodNotAllowed || status == http.StatusNotImplemented:
		return session.KindBadResponse // somebody else's API has this path, or none of its methods
	case strings.Contains(words, "qr_generation_error"), strings.Contains(words, "qr_not_ready"):
		return session.KindNotReady
	case status == http.StatusNotFound && op == session.OpQR && strings.Contains(words, "qr"):
		return session.KindNotReady
	case status == http.StatusNotFound:
		return session.KindSessionNotFound
	case status/100 == 3:
		return session.KindBadResponse
	case op == session.OpQR && status < 500:
		return session.KindNotReady
	}
	return session.KindServerError
}

var codeShape = regexp.MustCompile(`^[A-Za-z0-9_]{1,64}$`)

// ErrorCode is the engine's own code, if it is one. Some engines put it into an object under error.
func ErrorCode(body Object) string {
	inner, _ := body["error"].(Object)
	for _, v := range []any{body["code"], body["errorCode"], inner["code"]} {
		if code := StringOf(v); codeShape.MatchString(code) {
			return code
		}
	}
	return ""
}

// ErrorText is the engine's own words of an error, scrubbed, with the reason that some engines add.
func ErrorText(body Object) string {
	text := errorMessage(body)
	if class := StringOf(body["error"]); class != "" && class != text {
		text = class + ": " + text // "Bad Request" beside a message that says why
	}
	if reason := ReasonOf(Object{"lastDisconnect": body["lastDisconnect"]}); reason != "" {
		text += " (" + reason + ")"
	}
	return Scrub(text)
}

// errorMessage is the sentence of an error: its message, or its error, which some engines make an object.
func errorMessage(body Object) string {
	inner, _ := body["error"].(Object)
	for _, v := range []any{body["message"], body["error"], inner["message"]} {
		if text := StringOf(v); text != "" {
			return text
		}
	}
	return ""
}

// Scrub redacts the text of an engine's error to one line.
func Scrub(text string) string { return redact.Line(text) }
