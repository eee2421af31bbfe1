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
	"sync"
	"time"

	"golang.org/x/text/language"

	"qrgate/compat"
	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// response is a response that is decided and not yet written.
type response struct {
	status     int
	body       any
	code       string        // of an error, for the access log
	retryAfter time.Duration // 0: no Retry-After

	prepared *session.PreparedBody // instead of body
	number   int                   // between the head and the tail of prepared
}

// Texts of qrgate's own responses. None holds a number: clients search bodies for one (contract 4.2).
const (
	textNotReady    = "The QR is being generated. Retry in a moment."
	textPaired      = "The session is connected already, so there is no QR. Disconnect it first to link another phone."
	textKeyRefused  = "The engine refuses this API key."
	textNoSession   = "The engine does not know this session. Create it first."
	textRateLimited = "The engine's rate limit is reached. Wait, then retry."
	textStopping    = "qrgate is stopping. Retry in a few seconds."
)

const (
	retrySoon      = 2 * time.Second // Retry-After of "not yet": a retry costs the engine nothing
	retryWhenFixed = 5 * time.Second // Retry-After of a 503
)

// answerQR is the response to a request for the QR at now.
func answerQR(v *session.Snapshot, err error, now time.Time) response {
	if r, ok := engineErrorResponse(err, now); ok {
		return r
	}
	s := &v.Session
	switch {
	case v.Authorized && v.Ready && s.QR.Fresh(now):
		return response{status: http.StatusOK, prepared: preparedQR(v), number: max(int(s.QR.TTL(now)/time.Second), 0)}
	case v.Authorized && s.State == session.Connected:
		return problem(http.StatusConflict, compat.CodeSessionAlreadyConnected, textPaired, now)
	case v.Diagnosis.NeedsPerson(), isEngineBroken(v, now):
		return unavailable(string(v.Diagnosis.Code), v.Diagnosis.Title+". "+v.Diagnosis.Help, now)
	}
	return notReady(v, now)
}

// notReady is the response at the end of a wait without a QR, with the diagnosis once there is one.
func notReady(v *session.Snapshot, now time.Time) response {
	r := problem(http.StatusAccepted, compat.CodeQRNotReady, textNotReady, now)
	r.retryAfter = max(retrySoon, v.RateLimitWait) // nothing changes before the rate limit allows a poll
	if v.Authorized && !v.Diagnosis.Healthy() {
		d := v.Diagnosis
		// Clients that search bodies for the status of a rate limit would find one (contract 4.2).
		d.Evidence = slices.DeleteFunc(slices.Clone(d.Evidence), func(text string) bool {
			return strings.Contains(text, "429")
		})
		body, _ := r.body.(compat.Problem)
		r.body = explainedProblem{body, &d}
	}
	return r
}

// explainedProblem is a problem with its cause.
type explainedProblem struct {
	compat.Problem
	Diagnosis *diagnosis.Diagnosis `json:"diagnosis,omitempty"`
}

// preparedQR is the body of a QR, which all responses with this QR share. It names the QR as it will be one second
// before it expires, so that expiresIn has one digit, which the number replaces.
func preparedQR(v *session.Snapshot) *session.PreparedBody {
	prepare := func() *session.PreparedBody {
		const field = `"expiresIn":`
		s := &v.Session
		body, _ := json.Marshal(compat.QR(s.Ref, s.QR, s.QR.ExpiresAt.Add(-time.Second))) // plain fields cannot fail
		i := bytes.LastIndex(body, []byte(field)) + len(field)
		return &session.PreparedBody{Head: body[:i:i], Tail: body[i+1:]}
	}
	if v.Body == nil {
		return prepare()
	}
	return v.Body.Load(prepare)
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

// engineErrorResponse is the response to an error of the QRService; false if err is nil.
func engineErrorResponse(err error, at time.Time) (response, bool) {
	if err == nil {
		return response{}, false
	}
	e, ok := errors.AsType[*session.EngineError](err)
	switch {
	case !ok:
		return unavailable(compat.CodeGateStopping, textStopping, at), true
	case e.Kind == session.KindKeyRefused:
		code, text := cmp.Or(e.Code, compat.CodeInvalidAPIKey), cmp.Or(e.Text, textKeyRefused)
		return problem(cmp.Or(e.Status, http.StatusUnauthorized), code, text, at), true
	case e.Kind == session.KindSessionNotFound:
		code, text := cmp.Or(e.Code, compat.CodeSessionNotFound), cmp.Or(e.Text, textNoSession)
		return problem(http.StatusNotFound, code, text, at), true
	}
	return unavailableResponse(e, at), true
}

// unavailableResponse is the response when the engine fails: 503 with the engine's own code, because a 500 makes
// clients of the session routes give up, or 429 when the engine's rate limit is reached.
func unavailableResponse(e *session.EngineError, at time.Time) response {
	switch e.Kind {
	case session.KindUnreachable:
		return unavailable(cmp.Or(e.Code, compat.CodeEngineUnreachable), cmp.Or(e.Text, textUnreachable), at)
	case session.KindTimeout:
		return unavailable(cmp.Or(e.Code, compat.CodeEngineTimeout), cmp.Or(e.Text, textTimeout), at)
	case session.KindRateLimited:
		code, text := cmp.Or(e.Code, compat.CodeRateLimitExceeded), cmp.Or(e.Text, textRateLimited)
		r := problem(http.StatusTooManyRequests, code, text, at)
		r.retryAfter = max(e.RetryAfter, time.Second)
		return r
	}
	return unavailable(cmp.Or(e.Code, compat.CodeEngineBadAnswer), cmp.Or(e.Text, textBadAnswer), at)
}

func unavailable(code, text string, at time.Time) response {
	r := problem(http.StatusServiceUnavailable, code, text, at)
	r.retryAfter = retryWhenFixed
	return r
}

func problem(status int, code, text string, at time.Time) response {
	return response{status: status, body: compat.NewProblem(code, text, at), code: code}
}

// reply writes a response.
func (s *sessionRequest) reply(r response) {
	if r.retryAfter > 0 {
		s.w.Header().Set("Retry-After", strconv.Itoa(int((r.retryAfter+time.Second-1)/time.Second)))
	}
	s.w.code = r.code
	if r.prepared == nil {
		s.writeJSON(r.status, r.body, nil)
		return
	}
	var digits [20]byte
	number := strconv.AppendInt(digits[:0], int64(r.number), 10)
	s.writeHeader(r.status, len(r.prepared.Head)+len(number)+len(r.prepared.Tail))
	for _, part := range [...][]byte{r.prepared.Head, number, r.prepared.Tail} {
		_, _ = s.w.Write(part)
	}
}

// writeJSON writes a JSON body, with the headers of the engine's response that still hold.
func (s *sessionRequest) writeJSON(status int, body any, from http.Header) {
	b, err := json.Marshal(body)
	if err != nil {
		s.w.writeError(apiError{http.StatusServiceUnavailable, compat.CodeInternalError, textInternal})
		return
	}
	h := s.w.Header()
	for name, values := range from {
		if keepsHeader(name) {
			h[name] = append(h[name], values...)
		}
	}
	s.writeHeader(status, len(b))
	_, _ = s.w.Write(b)
}

// Values of headers that every JSON response has. net/http does not change them.
var (
	headerJSON       = []string{compat.ContentType}
	headerNoSniff    = []string{"nosniff"}
	headerNoReferrer = []string{"no-referrer"}
)

func (s *sessionRequest) writeHeader(status, length int) {
	h := s.w.Header()
	h["Content-Type"], h["X-Content-Type-Options"], h["Referrer-Policy"] = headerJSON, headerNoSniff, headerNoReferrer
	h["Content-Length"] = []string{strconv.Itoa(length)}
	s.w.WriteHeader(status)
}

// keepsHeader reports whether a header of the engine's response still holds for a normalized body.
func keepsHeader(name string) bool {
	switch name {
	case "Content-Type", "Content-Length", "Content-Encoding", "Etag", "Last-Modified",
		"Cache-Control", "Expires", "Pragma", "Connection", "Keep-Alive", "Transfer-Encoding",
		"Trailer", "Upgrade", "Proxy-Authenticate", "Te", "Date", "Location",
		"X-Content-Type-Options", "Referrer-Policy", "Accept-Ranges", headerRequestID:
		return false
	}
	return true
}

// maxAcceptLanguage bounds how much of an Accept-Language is parsed, in bytes: a browser's has about forty.
const maxAcceptLanguage = 200

// languageMatcher matches against the languages of the catalogue.
var languageMatcher = sync.OnceValue(func() language.Matcher {
	var tags []language.Tag
	for _, name := range diagnosis.Languages() {
		tags = append(tags, language.Make(name))
	}
	return language.NewMatcher(tags)
})

// languageOf is the catalogue's language that a client prefers (RFC 9110, 12.5.4), or the default.
func languageOf(r *http.Request) string {
	accept := r.Header.Get("Accept-Language")
	if accept == "" || len(accept) > maxAcceptLanguage {
		return diagnosis.Languages()[0]
	}
	_, i := language.MatchStrings(languageMatcher(), accept)
	return diagnosis.Languages()[i]
}

// localize returns the snapshot with its diagnosis in the client's language, and sets Content-Language.
func (s *sessionRequest) localize(v *session.Snapshot) *session.Snapshot {
	if v.Diagnosis.Healthy() {
		return v
	}
	name := languageOf(&s.w.request)
	s.w.Header().Set("Content-Language", name)
	localized := *v
	localized.Diagnosis = v.Diagnosis.Localize(name)
	return &localized
}
