package probes

import (
	"net/http"
	"slices"

	"qrgate/compat"
	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// failure is why a step failed.
type failure struct {
	code     diagnosis.Code
	evidence []string
	skip     string               // a Skip reason: the prober failed, not the target
	call     *session.EngineError // the failed call; nil if no call failed

	isReported bool // a gateway diagnosed it
	isFinal    bool // repeating the call does not help
}

// String is the failure in a few words.
func (f *failure) String() string {
	name := string(f.code)
	if f.skip != "" {
		name = f.skip
	}
	if len(f.evidence) > 0 {
		return name + ": " + f.evidence[0]
	}
	return name
}

// isUnreachable reports whether there was no connection to the target at all.
func (f *failure) isUnreachable() bool {
	return f.call != nil && f.call.Err != nil && f.call.HasNoEffect
}

// callFailure is the failure of a call; nil for a nil error.
func callFailure(err error) *failure {
	e := session.AsEngineError(err)
	if e == nil {
		return nil
	}
	f := &failure{call: e, evidence: []string{e.String()}}
	if e.Text != "" {
		f.evidence[0] += ": " + e.Text
	}
	switch {
	case e.Err != nil && e.Kind == session.KindTimeout && !e.HasNoEffect:
		f.code = diagnosis.EngineTimeout
	case e.Err != nil && e.Status != 0: // the response broke off
		f.code = diagnosis.EngineBadResponse
	case e.Err != nil:
		f.code = diagnosis.EngineUnreachable
	default:
		f.code, f.isFinal = responseCode(e)
		f.isFinal = f.isFinal || e.Status/100 == 3
	}
	return f
}

// kindCodes are the causes of error responses.
var kindCodes = map[session.ErrorKind]diagnosis.Code{
	session.KindNotReady:        diagnosis.QRNotEmitted,
	session.KindAlreadyPaired:   diagnosis.AlreadyPaired,
	session.KindSessionNotFound: diagnosis.SessionNotFound,
	session.KindKeyRefused:      diagnosis.KeyRefused,
	session.KindRateLimited:     diagnosis.RateLimited,
	session.KindUnreachable:     diagnosis.EngineUnreachable,
	session.KindTimeout:         diagnosis.EngineTimeout,
	session.KindBadResponse:     diagnosis.EngineBadResponse,
}

// finalKinds are the errors that waiting does not change.
var finalKinds = []session.ErrorKind{session.KindAlreadyPaired, session.KindSessionNotFound, session.KindKeyRefused}

// responseCode is the cause that an error response names, and whether waiting cannot help. A gateway's own diagnosis
// comes first, because it knows more of the engine than this one response.
func responseCode(e *session.EngineError) (code diagnosis.Code, isFinal bool) {
	if c := diagnosis.Code(e.Code); slices.Contains(diagnosis.Codes(), c) {
		return c, diagnosis.New(c).NeedsPerson()
	}
	switch e.Code {
	case compat.CodeEngineUnreachable:
		return diagnosis.EngineUnreachable, false
	case compat.CodeEngineTimeout:
		return diagnosis.EngineTimeout, false
	case compat.CodeEngineBadAnswer:
		if e.Status == http.StatusBadGateway { // the engine's proxy reported it, or the gateway's connection was cut
			return diagnosis.EngineUnreachable, false
		}
		return diagnosis.EngineBadResponse, false
	}
	if known, ok := kindCodes[e.Kind]; ok {
		return known, slices.Contains(finalKinds, e.Kind)
	}
	named, isNamed := diagnosis.MatchError(e.Code + " " + e.Text)
	switch {
	case isNamed:
		return named.Code, false
	case e.Op == session.OpCreate && e.Status == http.StatusConflict:
		return diagnosis.SessionConflict, false
	case diagnosis.ConnectionWords(e.Text) != "", !diagnosis.IsOwnFault(e.Text):
		return diagnosis.Undetermined, false
	case e.Op == session.OpConnect || e.Code == compat.CodeConnectionError:
		return diagnosis.ConnectFailing, false
	}
	return diagnosis.Engine5xx, false
}
