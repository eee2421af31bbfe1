package proxy

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/language"

	"qrgate/compat"
	"qrgate/internal/acquire"
	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// ownResponse is a response of qrgate's own that is decided and not yet written: a problem, or a body.
type ownResponse struct {
	status     int
	code       string              // of a problem, for the body and the access log
	text       string              // of a problem; "": the texts of its cause
	reason     string              // why the engine is unreachable; "" if unknown
	cause      diagnosis.Diagnosis // of a problem
	retryAfter time.Duration       // 0: no Retry-After

	body     any                   // of no problem
	header   http.Header           // of the engine's response; what still holds of it is kept
	prepared *session.PreparedBody // instead of body
	number   int                   // between the head and the tail of prepared
	repeated bool                  // an earlier response had the same QR
}

const (
	codeBodyTimeout   = "REQUEST_TIMEOUT" // of a 408: the client stopped sending its body
	codeConnectQueued = "CONNECT_QUEUED"  // of a 202 for a connect
)

const (
	retrySoon      = 2 * time.Second // Retry-After of "not yet": a retry costs the engine nothing
	retryWhenFixed = 5 * time.Second // Retry-After of a 503 and a 504
)

func problem(status int, code, text string) ownResponse {
	r := ownResponse{status: status, code: code, text: text}
	if status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout {
		r.retryAfter = retryWhenFixed
	}
	return r
}

func validationProblem(text string) ownResponse {
	return problem(http.StatusBadRequest, compat.CodeValidationError, text)
}

func bodyProblem(err error) ownResponse {
	switch {
	case errors.Is(err, errTooLarge):
		return problem(http.StatusRequestEntityTooLarge, compat.CodePayloadTooLarge, textTooLarge)
	case isReadTimeout(err):
		return problem(http.StatusRequestTimeout, codeBodyTimeout, textBodyTimeout)
	}
	return validationProblem(textBodyBroken)
}

// engineProblems are the responses to a failed call by the kind of its error. An engine that fails is a 503, because a
// 500 makes clients of the session routes give up.
var engineProblems = map[session.ErrorKind]ownResponse{
	session.KindKeyRefused:      problem(http.StatusUnauthorized, compat.CodeInvalidAPIKey, textKeyRefused),
	session.KindSessionNotFound: problem(http.StatusNotFound, compat.CodeSessionNotFound, textNoSession),
	session.KindRateLimited:     problem(http.StatusTooManyRequests, compat.CodeRateLimitExceeded, textRateLimited),
	session.KindUnreachable:     problem(http.StatusServiceUnavailable, compat.CodeEngineUnreachable, textUnreachable),
	session.KindTimeout:         problem(http.StatusServiceUnavailable, compat.CodeEngineTimeout, textTimeout),
	session.KindServerError:     problem(http.StatusServiceUnavailable, compat.CodeConnectionError, textRefused),
}

// engineProblem is the response to an error of the Acquirer or of a forwarded call, with the engine's own code and
// text if there are any.
func engineProblem(err error) ownResponse {
	e, ok := errors.AsType[*session.EngineError](err)
	switch {
	case errors.Is(err, session.ErrTooManyWaiters):
		r := problem(http.StatusTooManyRequests, compat.CodeRateLimitExceeded, textTooManyWaiters)
		r.retryAfter = retryWhenFixed
		return r
	case !ok:
		return problem(http.StatusServiceUnavailable, compat.CodeGateStopping, textStopping)
	}
	r, ok := engineProblems[e.Kind]
	if !ok {
		r = problem(http.StatusServiceUnavailable, compat.CodeEngineBadAnswer, textBadAnswer)
	}
	r.code, r.text, r.reason = cmp.Or(e.Code, r.code), cmp.Or(e.Text, r.text), e.Reason
	switch e.Kind {
	case session.KindKeyRefused:
		r.status = cmp.Or(e.Status, r.status)
	case session.KindRateLimited:
		r.retryAfter = max(e.RetryAfter, time.Second)
	}
	return r
}

func decideQR(v *session.Snapshot, err error, now time.Time) ownResponse {
	s := &v.Session
	switch {
	case err != nil:
		return engineProblem(err)
	case v.Authorized && v.Ready && s.QR.Fresh(now.Add(-acquire.ResponseDelay)):
		r := ownResponse{status: http.StatusOK, number: max(int(s.QR.TTL(now)/time.Second), 0)}
		r.prepared, r.repeated = preparedQR(v)
		return r
	case v.Authorized && s.State == session.Connected:
		return problem(http.StatusConflict, compat.CodeSessionAlreadyConnected, textPaired)
	case v.Diagnosis.NeedsPerson(), isEngineBroken(v, now):
		r := problem(http.StatusServiceUnavailable, string(v.Diagnosis.Code), "")
		r.cause = v.Diagnosis
		return r
	}
	r := problem(http.StatusAccepted, compat.CodeQRNotReady, textNotReady)
	r.retryAfter = max(retrySoon, v.RateLimitWait) // nothing changes before the rate limit allows a poll
	if v.Authorized {
		r.cause = v.Diagnosis
	}
	return r
}

// slowEngineDelay is how long after the connect a QR may still come from an engine that does not respond: then all
// recovery steps have run.
const slowEngineDelay = 30 * time.Second

// isEngineBroken reports whether the engine, or its connection to WhatsApp, is so broken that "being generated" would
// be wrong. A cause that is only inferred from qrgate's own connectivity check counts once the engine had its time.
func isEngineBroken(v *session.Snapshot, now time.Time) bool {
	if v.Diagnosis.Inferred && now.Sub(v.Diagnosis.Since) < slowEngineDelay {
		return false
	}
	switch v.Diagnosis.Code {
	case diagnosis.EngineUnreachable, diagnosis.EngineBadResponse, diagnosis.EngineTimeout,
		diagnosis.DNSFailed, diagnosis.NetworkBlocked, diagnosis.TLSIntercepted, diagnosis.ProxyRefused:
		return true
	}
	return false
}

// preparedQR is the body of a QR, which all responses with this QR share, and whether an earlier one had it. It names
// the QR as it will be one second before it expires, so that expiresIn has one digit, which the number replaces.
func preparedQR(v *session.Snapshot) (body *session.PreparedBody, repeated bool) {
	repeated = true
	prepare := func() *session.PreparedBody {
		repeated = false
		const field = `"expiresIn":`
		s := &v.Session
		body, _ := json.Marshal(compat.QR(s.Ref, s.QR, s.QR.ExpiresAt.Add(-time.Second))) // plain fields cannot fail
		i := bytes.LastIndex(body, []byte(field)) + len(field)
		return &session.PreparedBody{Head: body[:i:i], Tail: body[i+1:]}
	}
	if v.Body == nil {
		return prepare(), false
	}
	body = v.Body.Load(prepare)
	return body, repeated
}

// explainedProblem is a problem with its cause.
type explainedProblem struct {
	compat.Problem
	Diagnosis *diagnosis.Diagnosis `json:"diagnosis,omitempty"`
}

// problemBody is the body of a problem in a language. isKnown is false if the text is the engine's own.
func (r *ownResponse) problemBody(languageName string, now time.Time) (body explainedProblem, isKnown bool) {
	cause := r.cause.Localize(languageName)
	text, isKnown := localize(r.text, languageName)
	if r.text == "" {
		return explainedProblem{Problem: compat.NewProblem(r.code, cause.Title+". "+cause.Help, now)}, true
	}
	if r.reason != "" && isKnown {
		text += localizeReason(r.reason, languageName)
	}
	body = explainedProblem{Problem: compat.NewProblem(r.code, text, now)}
	if !cause.Healthy() {
		// Clients that search bodies for the status of a rate limit would find one (contract 4.2).
		cause.Evidence = slices.DeleteFunc(slices.Clone(cause.Evidence), func(text string) bool {
			return strings.Contains(text, "429")
		})
		body.Diagnosis = &cause
	}
	return body, isKnown
}

// encode is the body of r in up to three parts. What came from JSON, and plain fields, can always be encoded.
func (w *responseWriter) encode(r *ownResponse) (parts [3][]byte) {
	if r.prepared != nil {
		return [...][]byte{r.prepared.Head, strconv.AppendInt(nil, int64(r.number), 10), r.prepared.Tail}
	}
	body := r.body
	if body == nil {
		languageName := languageOf(&w.request)
		var isKnown bool
		if body, isKnown = r.problemBody(languageName, time.Now()); isKnown {
			w.Header().Set("Content-Language", languageName)
		}
	}
	parts[0], _ = json.Marshal(body)
	return parts
}

// Values of headers that qrgate's own responses have. net/http does not change them.
var (
	headerJSON       = []string{compat.ContentType}
	headerNoStore    = []string{"no-store"}
	headerNoSniff    = []string{"nosniff"}
	headerNoReferrer = []string{"no-referrer"}
	headerVary       = []string{"X-API-Key, Authorization, Prefer, Accept, Accept-Language"} // of a session route
)

// reply writes a response.
func (w *responseWriter) reply(r ownResponse) {
	h := w.Header()
	parts := w.encode(&r)
	w.code, w.repeated = r.code, r.repeated
	w.closeConn = w.boundDrain() || w.closeConn
	for name, values := range r.header {
		if _, isSet := h[name]; keepsHeader(name) && !(isSet && name == "Content-Language") {
			h[name] = append(h[name], values...)
		}
	}
	if r.status == http.StatusMethodNotAllowed && h.Get("Allow") == "" {
		h.Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
	}
	if r.retryAfter > 0 && h.Get("Retry-After") == "" {
		h["Retry-After"] = []string{strconv.Itoa(int((r.retryAfter + time.Second - 1) / time.Second))}
	}
	h["Content-Type"], h["Cache-Control"] = headerJSON, headerNoStore
	h["X-Content-Type-Options"], h["Referrer-Policy"] = headerNoSniff, headerNoReferrer
	h["Content-Length"] = []string{strconv.Itoa(len(parts[0]) + len(parts[1]) + len(parts[2]))}
	if c := connOf(&w.request); c != nil && r.prepared != nil {
		c.delayNextWrite()
	}
	w.WriteHeader(r.status)
	for _, part := range parts {
		if len(part) > 0 {
			_, _ = w.Write(part)
		}
	}
}

// writeJSON writes a JSON body, with the headers of the engine's response that still hold.
func (w *responseWriter) writeJSON(status int, body any, from http.Header) {
	w.reply(ownResponse{status: status, body: body, header: from})
}

// keepsHeader reports whether a header of the engine's response still holds for a body of qrgate's.
func keepsHeader(name string) bool {
	switch name {
	case "Content-Type", "Content-Length", "Content-Encoding", "Etag", "Last-Modified",
		"Cache-Control", "Expires", "Pragma", "Connection", "Keep-Alive", "Transfer-Encoding",
		"Trailer", "Upgrade", "Proxy-Authenticate", "Te", "Date", "Location",
		"X-Content-Type-Options", "Referrer-Policy", "Accept-Ranges", headerRequestID, compat.EngineStatusHeader:
		return false
	}
	return true
}

// maxAcceptLanguage bounds how much of an Accept-Language is parsed, in bytes: a browser's has about forty.
const maxAcceptLanguage = 200

var languages = language.NewMatcher([]language.Tag{language.English, language.Spanish})

// languageOf is the catalogue's language that a client prefers (RFC 9110, 12.5.4), or the default.
func languageOf(r *http.Request) string {
	accept := r.Header.Get("Accept-Language")
	if accept == "" || len(accept) > maxAcceptLanguage {
		return diagnosis.Languages()[0]
	}
	_, i := language.MatchStrings(languages, accept)
	return diagnosis.Languages()[i]
}

// language is the language of the response, which its Content-Language names.
func (w *responseWriter) language() string {
	name := languageOf(&w.request)
	w.Header().Set("Content-Language", name)
	return name
}

// ownText is a text of qrgate in the language of the response.
func (w *responseWriter) ownText(text string) string {
	text, _ = localize(text, w.language())
	return text
}
