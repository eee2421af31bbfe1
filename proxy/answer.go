package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
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

	prepared *session.PreparedBody // instead of body
	number   int                   // between its head and its tail
}

// Texts of the gate's own answers. None holds a number: clients search bodies for one (contract 4.2).
const (
	textNotReady = "The QR is being generated. Ask again in a moment."
	textLinked   = "The session is connected already, so there is no QR. Disconnect it first to link another phone."
)

// retrySoon is the pause that a client is asked for after "not yet". It costs the engine nothing.
const retrySoon = 2 * time.Second

// answerQR is the answer to a request for the QR at now (DESIGN 3): what is known, and what could not be found out, in
// one table.
func answerQR(v *session.Snapshot, err error, now time.Time) response {
	if r, ok := engineErrorResponse(err, now); ok {
		return r
	}
	s := &v.Session
	switch {
	case v.Authorized && v.Ready && s.QR.Fresh(now):
		return response{status: http.StatusOK, prepared: preparedQR(v), number: max(int(s.QR.TTL(now)/time.Second), 0)}
	case v.Authorized && s.State == session.Connected:
		return problem(http.StatusConflict, compat.CodeSessionAlreadyConnected, textLinked, now)
	case v.Diagnosis.NeedsPerson(), isEngineBroken(v, now):
		r := problem(http.StatusServiceUnavailable, string(v.Diagnosis.Code), v.Diagnosis.Title+". "+v.Diagnosis.Help, now)
		r.retry = 5 * time.Second
		return r
	}
	return notReady(v, now)
}

// notReady is the answer at the end of a wait without a QR, with the diagnosis once there is one.
func notReady(v *session.Snapshot, now time.Time) response {
	r := problem(http.StatusAccepted, compat.CodeQRNotReady, textNotReady, now)
	r.retry = max(retrySoon, v.RateLimitWait) // before the rate limit allows a poll, there is nothing new to say
	if v.Authorized && !v.Diagnosis.Healthy() {
		d := v.Diagnosis
		d.Evidence = slices.DeleteFunc(slices.Clone(d.Evidence), looksLikeRateLimit)
		body, _ := r.body.(compat.Problem)
		r.body = explainedProblem{body, &d}
	}
	return r
}

// explainedProblem is a problem with the cause why there is nothing else to say.
type explainedProblem struct {
	compat.Problem
	Diagnosis *diagnosis.Diagnosis `json:"diagnosis,omitempty"`
}

// looksLikeRateLimit reports whether a client that searches bodies for the status of a rate limit would find one
// (contract 4.2).
func looksLikeRateLimit(evidence string) bool { return strings.Contains(evidence, "429") }

// preparedQR is the body of a code, made once for all requests that are answered with it.
func preparedQR(v *session.Snapshot) *session.PreparedBody {
	prepare := func() *session.PreparedBody {
		const field = `"expiresIn":`
		s := &v.Session
		body, _ := json.Marshal(compat.QR(s.Ref, s.QR, s.QR.ExpiresAt.Add(-time.Second))) // plain fields cannot fail; one second is left
		i := bytes.LastIndex(body, []byte(field)) + len(field)
		return &session.PreparedBody{Head: body[:i:i], Tail: body[i+1:]}
	}
	if v.Body == nil {
		return prepare()
	}
	return v.Body.Load(prepare)
}

// slowEngineDelay is how long after the connect a code may still come from an engine that says nothing: slower ones
// have run through all recovery steps.
const slowEngineDelay = 30 * time.Second

// isEngineBroken reports whether, at the end of a wait, the engine or its way to WhatsApp is so broken that "being
// generated" would be a lie. What is only inferred from qrgate's own connectivity counts once the engine had its time,
// and from then on for as long as the cause stands, however often clients ask anew.
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
