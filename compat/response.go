package compat

import (
	"cmp"
	"net/http"
	"regexp"
	"strings"
	"time"

	"qrgate/internal/redact"
	"qrgate/internal/session"
)

// Response is an HTTP response of an engine, read within bounds.
type Response struct {
	Status   int
	Header   http.Header
	Body     []byte
	Complete bool // false if the body exceeded the bound or broke off
	At       time.Time
}

// EngineError classifies a response to op; nil means success. The body decides before the status does: engines report
// "not ready" with seven different statuses.
func (r Response) EngineError(op string) *session.EngineError {
	if op == session.OpDelete && r.Status/100 == 2 && len(r.Body) == 0 {
		return nil // 204 is a documented success
	}
	e := &session.EngineError{
		Op: op, Status: r.Status, RetryAfter: RetryAfter(r.Header, r.At), HasNoEffect: isRejected(r.Status),
	}
	body, err := Parse(r.Body)
	if err != nil || !r.Complete {
		e.Kind = cmp.Or(nonJSONKinds[r.Status], session.KindBadResponse)
		return e
	}
	e.Code, e.Text = ErrorCode(body), ErrorText(body)
	if success, isSet := body["success"].(bool); r.Status/100 == 2 && (success || !isSet) {
		return nil
	}
	e.Kind = classifyJSON(op, r.Status, strings.ToLower(e.Code+" "+e.Text))
	return e
}

// isRejected reports whether a status proves that the engine did nothing. A timeout (408) and a client that closed its
// connection (499) do not: the work may have begun.
func isRejected(status int) bool {
	return status >= 400 && status < 500 && status != http.StatusRequestTimeout && status != 499
}

// SessionReport reads the result of a call about session ref; err is the call's error. A QR response without a QR is
// KindNotReady. The report has what could be read even if there is an error.
func (r Response) SessionReport(op string, ref session.Ref, err error) (session.SessionReport, error) {
	body, _ := Parse(r.Body)
	if err != nil {
		return session.SessionReport{
			Ref: ref, At: r.At, Limits: RateLimits(r.Header, r.At), QueuePosition: queuePosition(body),
		}, err
	}
	report, err := ParseSession(SessionOf(body), EngineClock(r.Header, r.At), r.At)
	report.Ref, report.Limits = ref.Merge(report.Ref), RateLimits(r.Header, r.At)
	switch {
	case err != nil:
		return report, &session.EngineError{
			Op: op, Kind: session.KindBadResponse, Status: r.Status, Code: "QR_INVALID", Err: err,
		}
	case op == session.OpQR && report.Image.Empty() && report.State != session.Connected:
		return report, &session.EngineError{Op: op, Kind: session.KindNotReady, Status: r.Status}
	}
	return report, nil
}

// SessionReports reads a successful list response. An image that is not valid spoils no other session.
func (r Response) SessionReports() (reports []session.SessionReport) {
	body, _ := Parse(r.Body)
	for _, s := range SessionsOf(body) {
		report, _ := ParseSession(s, EngineClock(r.Header, r.At), r.At)
		reports = append(reports, report)
	}
	return reports
}

// nonJSONKinds are for responses that are not the API's JSON, for example of a proxy in front of the engine. Any other
// status is KindBadResponse.
var nonJSONKinds = map[int]session.ErrorKind{
	http.StatusBadGateway:         session.KindUnreachable,
	http.StatusServiceUnavailable: session.KindUnreachable,
	http.StatusGatewayTimeout:     session.KindTimeout,
	http.StatusUnauthorized:       session.KindKeyRefused,
	http.StatusForbidden:          session.KindKeyRefused,
	http.StatusTooManyRequests:    session.KindRateLimited,
	http.StatusNoContent:          session.KindNotReady,
}

// pairedPhrases are how engines report, in an error, that a phone is paired.
var pairedPhrases = []string{
	"already_connected", "already connected", "already_paired", "already paired", "already linked", "already logged",
	"already_logged_in", "ya está conectada", "ya esta conectada", "ya conectada", "session_connected",
}

func classifyJSON(op string, status int, text string) session.ErrorKind {
	for _, phrase := range pairedPhrases {
		if strings.Contains(text, phrase) {
			return session.KindAlreadyPaired
		}
	}
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return session.KindKeyRefused
	case status == http.StatusTooManyRequests:
		return session.KindRateLimited
	case status == http.StatusMethodNotAllowed || status == http.StatusNotImplemented:
		return session.KindBadResponse // another API has this path
	case strings.Contains(text, "qr_generation_error"), strings.Contains(text, "qr_not_ready"):
		return session.KindNotReady
	case status == http.StatusNotFound && op == session.OpQR && strings.Contains(text, "qr"):
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

// ErrorCode returns the engine's own error code, "" if it has none. Some engines put it into an object under error.
func ErrorCode(body Object) string {
	inner, _ := body["error"].(Object)
	for _, v := range []any{body["code"], body["errorCode"], inner["code"]} {
		if code := StringOf(v); codeShape.MatchString(code) {
			return code
		}
	}
	return ""
}

// ErrorText returns the engine's own error message, redacted, with the reason that some engines add.
func ErrorText(body Object) string {
	text := errorMessage(body)
	if class := StringOf(body["error"]); class != "" && class != text {
		text = class + ": " + text // "Bad Request" beside a message that explains it
	}
	if reason := ReasonOf(Object{"lastDisconnect": body["lastDisconnect"]}); reason != "" {
		text += " (" + reason + ")"
	}
	return redact.Line(text)
}

// errorMessage is the message of an error, or its error, which some engines make an object.
func errorMessage(body Object) string {
	inner, _ := body["error"].(Object)
	return cmp.Or(firstString(body, "message", "error"), StringOf(inner["message"]))
}
