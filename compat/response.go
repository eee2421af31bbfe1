package compat

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/redact"
	"qrgate/internal/secret"
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
// "not ready" with eight different statuses.
func (r Response) EngineError(op string) *session.EngineError {
	if len(r.Body) == 0 && (op == session.OpDelete && r.Status/100 == 2 || isDone(op, r.Status)) {
		return nil // 204 is a documented success of a deletion
	}
	e := &session.EngineError{
		Op: op, Status: r.Status, RetryAfter: RetryAfter(r.Header, r.At), HasNoEffect: isRejected(r.Status),
	}
	if age := ageOf(r.Header); op == session.OpQR && age > session.FirstQRTTL {
		e.Kind, e.Reason = session.KindBadResponse, fmt.Sprintf("from a cache in front of the engine, %s old", age)
		return e
	}
	body, err := r.parse()
	if err != nil || !r.Complete {
		r.classifyPage(e)
		return e
	}
	if r.Status/100 == 2 && (!IsFailure(body) || isUnpairedState(op, body)) {
		return nil
	}
	e.Code, e.Text = ErrorCode(body), withStatus(ErrorText(body), body, r.Status)
	switch {
	case IsCloudflare(body):
		r.classifyPage(e)
		e.Code, e.Text = "", ""
	case op == session.OpQR && hasLiveCode(body, e.Text):
		return nil
	default:
		classifyJSON(e, body)
	}
	if own, err := strconv.Atoi(r.Header.Get(EngineStatusHeader)); err == nil {
		e.Status = own
		if e.Code == CodeConnectionError {
			e.Code = "" // the documented API's for any error
		}
	}
	return e
}

// IsFailure reports whether the body of a 2xx is that of an error: it states so, or it has an error and nothing of a
// session.
func IsFailure(body Object) bool {
	if body["success"] == false || body["success"] == "false" || body["error"] == true {
		return true
	}
	status := strings.ToLower(StringOf(body["status"]))
	inner, isObject := body["error"].(Object)
	hasError := StringOf(body["error"]) != "" || isObject && len(inner) > 0 || Int(body["statusCode"]) >= 400 ||
		body["status"] == false || slices.Contains([]string{"error", "fail", "failed", "failure"}, status)
	if !hasError || body["success"] == true {
		return false
	}
	s := SessionOf(body)
	isState := StateOf(s) != session.Unknown && StateOf(s) != session.Failed
	return !isState && !hasCode(s) && RefOf(s).IsZero() && len(SessionsOf(body)) == 0
}

// isDone reports whether a status means by itself that the engine did, or will do, what an action asked for.
func isDone(op string, status int) bool {
	isAction := slices.Contains([]string{session.OpConnect, "restart", "disconnect"}, op)
	return isAction && (status == http.StatusNoContent || status == http.StatusAccepted)
}

// EngineStatusHeader has the status of an engine of another API, where its error became one of the documented API.
const EngineStatusHeader = "QRGate-Engine-Status"

// IsCloudflare reports whether a body is an error page of Cloudflare's, as JSON.
func IsCloudflare(body Object) bool { return body["cloudflare_error"] == true }

// hasLiveCode reports whether the body of an error shows a QR. Some engines report an unpaired session as an error, and
// send the code with it.
func hasLiveCode(body Object, text string) bool {
	image, _ := QRImageOf(SessionOf(body))
	return !image.Empty() && !expiredCode.MatchString(text)
}

var expiredCode = regexp.MustCompile(`(?i)expired|expirad|vencid`)

// parse reads the body. Some engines send a list with the session, or the QR itself: the bytes of an image, its text,
// as JSON or not, or a page that shows it.
func (r Response) parse() (Object, error) {
	body, err := Parse(r.Body)
	var text string
	if err != nil && json.Unmarshal(r.Body, &text) == nil && strings.HasPrefix(text, "{") {
		return Parse([]byte(text)) // encoded twice
	}
	if err == nil || r.Status/100 != 2 || len(r.Body) > maxImage {
		return body, err
	}
	var list []json.RawMessage
	if json.Unmarshal(r.Body, &list) == nil && len(list) == 1 {
		return Parse(list[0])
	}
	image := r.image()
	if image.Empty() {
		return nil, err
	}
	return Object{"data": Object{imageFields[0]: image.Reveal()}}, nil
}

// image returns the QR in a body that is no object. A page may show other images, too.
func (r Response) image() (image secret.Secret) {
	text, mediaType := strings.TrimSpace(string(r.Body)), imageType(r.Body)
	_ = json.Unmarshal(r.Body, &text)
	if codes := []string{}; json.Unmarshal(r.Body, &codes) == nil && len(codes) > 0 {
		text = codes[0] // whatsmeow's codes: the first is the present one
	}
	switch {
	case mediaType != "":
		image, _ = NormalizeQRImage(base64.StdEncoding.EncodeToString(r.Body))
	case !strings.HasPrefix(text, "<"):
		image, _ = NormalizeQRImage(text)
	default:
		for _, tag := range imageTag.FindAllStringSubmatch(text, -1) {
			shown, _ := NormalizeQRImage(tag[1])
			if _, err := ReadQR(shown); err == nil {
				return shown
			}
		}
	}
	return image
}

// isRejected reports whether a status proves that the engine did nothing. A timeout (408) and a client that closed its
// connection (499) do not: the work may have begun.
func isRejected(status int) bool {
	return status >= 400 && status < 500 && status != http.StatusRequestTimeout && status != 499
}

// SessionReport reads the result of a call about session ref; err is the call's error. A QR response without a QR is
// KindNotReady. The report has what could be read even if there is an error.
func (r Response) SessionReport(op string, ref session.Ref, err error) (session.SessionReport, error) {
	body, _ := r.parse()
	if err != nil {
		report := session.SessionReport{
			Ref: ref, At: r.At, Limits: RateLimits(r.Header, r.At), QueuePosition: queuePosition(body),
			IsUnpaired: isUnpairedState(op, body),
		}
		if StringOf(body["status"]) != "error" { // that is the response's own
			report.State = StateOf(SessionOf(body))
		}
		return report, err
	}
	report, err := ParseSession(SessionOf(body), ExpiryClock(r.Header, r.At), r.At)
	if age := ageOf(r.Header); age > 0 && !report.Image.Empty() && !report.Expiry.Known {
		report.Expiry = session.Expiry{Known: true, In: session.FirstQRTTL - age}
	}
	report.IsUnpaired = report.IsUnpaired || isUnpairedState(op, body)
	got := report.Ref
	report.Ref, report.Limits = ref.Merge(got), RateLimits(r.Header, r.At)
	switch {
	case isOther(ref, got): // a phone that scans its code pairs with that session
		return session.SessionReport{Ref: ref, At: r.At, Limits: report.Limits}, &session.EngineError{
			Op: op, Kind: session.KindBadResponse, Status: r.Status, Code: "OTHER_SESSION",
			Reason: "the response is about another session",
		}
	case report.State == session.Connected:
		return report, nil
	case err != nil:
		return report, &session.EngineError{
			Op: op, Kind: session.KindBadResponse, Status: r.Status, Code: "QR_INVALID", Reason: err.Error(), Err: err,
		}
	case op == session.OpQR && report.Image.Empty():
		e := &session.EngineError{
			Op: op, Kind: session.KindNotReady, Status: r.Status, Code: ErrorCode(body), Text: ErrorText(body),
		}
		if states(pairedPhrase, strings.ToLower(e.Text)) {
			e.Kind, e.IsAmbiguous = session.KindAlreadyPaired, true
		}
		return report, e
	}
	return report, nil
}

// SessionReports reads a successful list response. An image that is not valid spoils no other session.
func (r Response) SessionReports() (reports []session.SessionReport) {
	body, _ := Parse(r.Body)
	for _, s := range SessionsOf(body) {
		report, _ := ParseSession(s, ExpiryClock(r.Header, r.At), r.At)
		reports = append(reports, report)
	}
	return reports
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
	if class := messageInJSON(StringOf(body["error"])); class != "" && class != text {
		text = class + ": " + text // "Bad Request" beside a message that explains it
	}
	if reason := ReasonOf(Object{"lastDisconnect": body["lastDisconnect"]}); reason != "" {
		text += " (" + reason + ")"
	}
	return redact.Line(text)
}

// withStatus precedes the text of an error about WhatsApp's connection by the status that WhatsApp or Baileys gave it,
// as lastDisconnect has it: the status decides what the text means. Engines write it into the body, and many use it as
// the status of their response. A 5xx there is often the engine's own, and clients look for the digits of a rate limit.
// An error that has only such a status is not the engine's either.
func withStatus(text string, body Object, httpStatus int) string {
	own := numberOf(body["status"])
	if text == "" && httpStatus == http.StatusInternalServerError && own != "" && own != "500" {
		return "status " + own
	}
	status, _ := boomOf(body)
	status = cmp.Or(status, numberOf(body["code"]))
	if status == "" && httpStatus/100 == 4 {
		status = strconv.Itoa(httpStatus)
	}
	isStatus := len(status) == 3 && status != "500" && status != "429"
	if !isStatus || diagnosis.ConnectionWords(text) == "" || strings.Contains(text, status) {
		return text
	}
	return status + " " + text
}

// errorMessage is the message of an error, or its error, which some engines make an object, a list, or JSON in a text.
func errorMessage(body Object) string {
	text := messageIn(body)
	// "Not Found", beside a response that has the message.
	isClass := text != "" && text == messageInJSON(StringOf(body["error"]))
	if text != "" && !isClass {
		return text
	}
	for _, name := range []string{"error", "response", "exception", "data", "context"} {
		inner, _ := body[name].(Object)
		if isClass && name != "response" {
			continue
		}
		if text := messageIn(inner); text != "" {
			return text
		}
	}
	if isClass {
		return text
	}
	if _, text = boomOf(body); text == "" && isOfBaileys(body) {
		return "BaileysError" // has no message
	}
	inner, _ := body["error"].(Object)
	return cmp.Or(text, systemError(body), systemError(inner))
}

// messageInJSON returns an error's text with the object at its end, if there is one, as its status and message.
// Programs write an error into a text so, and redact.Line would take the object for one long word.
func messageInJSON(text string) string {
	head, _, found := strings.Cut(text, "{")
	if !found {
		return text
	}
	inner, err := Parse([]byte(text[len(head):]))
	if err != nil {
		return text
	}
	status, message := boomOf(inner)
	if message = cmp.Or(errorMessage(inner), message); message == "" {
		return text
	}
	return strings.TrimSpace(head + strings.TrimSpace(status+" "+message))
}

// systemError returns an error of Node.js that has lost its message as the text that it had.
func systemError(o Object) string {
	code, call := StringOf(o["code"]), StringOf(o["syscall"])
	if code == "" || call == "" {
		return ""
	}
	peer := cmp.Or(StringOf(o["hostname"]), StringOf(o["address"]))
	if port := numberOf(o["port"]); port != "" {
		peer += ":" + port
	}
	return strings.TrimSpace(call + " " + code + " " + peer)
}

// messageIn is the first message of an object. Validators send a list of them, and .NET and Go names in capitals.
func messageIn(o Object) string {
	fields := Object{}
	for _, name := range slices.Sorted(maps.Keys(o)) { // small letters come last
		fields[strings.ToLower(name)] = o[name]
	}
	if list, _ := fields["message"].([]any); len(list) > 0 {
		return messageInJSON(StringOf(list[0]))
	}
	return messageInJSON(firstString(fields, messageFields...))
}

// messageFields are the names of an error's text, in small letters.
var messageFields = []string{"message", "error", "msg", "detail", "reason", "mensaje", "mensagem", "erro", "note",
	"error_msg", "errmsg", "err", "errormessage", "error_message", "error_description", "description", "title"}
