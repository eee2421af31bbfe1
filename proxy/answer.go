package proxy

import (
	"context"
	"errors"
	"net/http"
	"time"

	"qrgate/compat"
	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// response is an answer, decided and not yet written.
type response struct {
	status int
	body   any
	code   string        // of an error, for the observer
	retry  time.Duration // Retry-After; 0 for none
}

// Texts of the gate's own answers. None holds a number: clients search bodies for one (contract 4.2).
const (
	textNotReady = "The QR is being generated. Ask again in a moment."
	textLinked   = "The session is connected already, so there is no QR. Disconnect it first to link another phone."
)

// retrySoon is the pause that a client is asked for after "not yet". It costs the engine nothing.
const retrySoon = 2 * time.Second

// answerQR is the answer to a request for the QR (DESIGN 3): what the gate believes, and what it could not
// find out, in one table.
func answerQR(v *session.Snapshot, err error) response {
	if r, ok := engineErrorResponse(err, v.At); ok {
		return r
	}
	s := v.Session
	switch {
	case v.Authorized && s.QR.Fresh(v.At):
		return response{status: http.StatusOK, body: compat.QR(s.Ref, s.QR, v.At)}
	case v.Authorized && s.State == session.Connected:
		return problem(http.StatusConflict, compat.CodeSessionAlreadyConnected, textLinked, v.At)
	case v.Diagnosis.NeedsPerson(), isFatal(v):
		r := problem(http.StatusServiceUnavailable, string(v.Diagnosis.Code), v.Diagnosis.Title+". "+v.Diagnosis.Help, v.At)
		r.retry = 5 * time.Second
		return r
	}
	r := problem(http.StatusAccepted, compat.CodeQRNotReady, textNotReady, v.At)
	r.retry = max(retrySoon, v.RateLimitWait) // before the engine's budget allows a look, there is nothing new to say
	return r
}

// maxEngineDelay is how long after the connect a code may still come from an engine that says nothing: slower ones than
// this have run through the ladder of recovery.
const maxEngineDelay = 30 * time.Second

// isFatal reports whether, at the end of a hold, the engine or its way to WhatsApp is so broken that
// "being generated" would be a lie. What the gate only infers from its own way is none while the engine may be slow.
func isFatal(v *session.Snapshot) bool {
	if v.Diagnosis.Inferred && v.At.Sub(v.Session.AcquiringSince) < maxEngineDelay {
		return false
	}
	switch v.Diagnosis.Code {
	case diagnosis.EngineUnreachable, diagnosis.EngineBadResponse, diagnosis.EngineTimeout,
		diagnosis.DNSFailed, diagnosis.NetworkBlocked, diagnosis.TLSIntercepted, diagnosis.ProxyRefused:
		return true
	}
	return false
}

// engineErrorResponse is the answer when the engine itself said no, or the gate is stopping.
func engineErrorResponse(err error, at time.Time) (response, bool) {
	if err == nil {
		return response{}, false
	}
	f, ok := errors.AsType[*session.EngineError](err)
	switch {
	case !ok:
		r := problem(http.StatusServiceUnavailable, compat.CodeGateStopping, "The gate is stopping. Ask again in a few seconds.", at)
		r.retry = 5 * time.Second
		return r, true
	case f.Kind == session.KindKeyRefused:
		return problem(orElse(f.Status, http.StatusUnauthorized), orText(f.Code, compat.CodeInvalidAPIKey), orText(f.Text, "The engine refuses this API key."), at), true
	case f.Kind == session.KindSessionNotFound:
		return problem(http.StatusNotFound, orText(f.Code, compat.CodeSessionNotFound), orText(f.Text, "The engine does not know this session. Create it first."), at), true
	}
	return unavailableResponse(f, at), true
}

// unavailableResponse is the answer on a session route when the engine fails: 503 with the engine's own code, because
// a 500 must not leave the gate there, and when to try again (DESIGN 9).
func unavailableResponse(f *session.EngineError, at time.Time) response {
	code, text := f.Code, f.Text
	switch f.Kind {
	case session.KindUnreachable:
		code, text = orText(code, compat.CodeEngineUnreachable), orText(text, textUnreachable)
	case session.KindTimeout:
		code, text = orText(code, compat.CodeEngineTimeout), orText(text, textTimeout)
	case session.KindRateLimited:
		r := problem(http.StatusTooManyRequests, orText(code, compat.CodeRateLimitExceeded), orText(text, "The engine's rate limit is reached. Wait, then try again."), at)
		r.retry = max(f.RetryAfter, time.Second)
		return r
	default:
		code, text = orText(code, compat.CodeEngineBadAnswer), orText(text, textBadAnswer)
	}
	r := problem(http.StatusServiceUnavailable, code, text, at)
	r.retry = 5 * time.Second
	return r
}

func problem(status int, code, text string, at time.Time) response {
	return response{status: status, body: compat.NewProblem(code, text, at), code: code}
}

// clientGone reports whether nobody waits for an answer any more.
func clientGone(ctx context.Context) bool { return ctx.Err() != nil }

func orElse(v, other int) int {
	if v == 0 {
		return other
	}
	return v
}

func orText(v, other string) string {
	if v == "" {
		return other
	}
	return v
}
