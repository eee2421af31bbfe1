package probes

import (
	"net/http"
	"slices"
	"strings"

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
	if e.Err != nil {
		f.code = transportCode(e)
		return f
	}
	f.code, f.isFinal = responseCode(e)
	f.isFinal = f.isFinal || e.Status/100 == 3
	return f
}

// transportCode is the cause of a call without a complete response.
func transportCode(e *session.EngineError) diagnosis.Code {
	switch {
	case e.Kind == session.KindTimeout && !e.HasNoEffect:
		return diagnosis.EngineTimeout
	case e.Status != 0: // the response broke off
		return diagnosis.EngineBadResponse
	}
	return diagnosis.EngineUnreachable
}

// kindCodes are the causes of error responses, and whether waiting cannot help.
var kindCodes = map[session.ErrorKind]struct {
	code    diagnosis.Code
	isFinal bool
}{
	session.KindNotReady:        {diagnosis.QRNotEmitted, false},
	session.KindAlreadyPaired:   {diagnosis.AlreadyPaired, true},
	session.KindSessionNotFound: {diagnosis.SessionNotFound, true},
	session.KindKeyRefused:      {diagnosis.KeyRefused, true},
	session.KindRateLimited:     {diagnosis.RateLimited, false},
	session.KindUnreachable:     {diagnosis.EngineUnreachable, false},
	session.KindTimeout:         {diagnosis.EngineTimeout, false},
	session.KindBadResponse:     {diagnosis.EngineBadResponse, false},
}

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
	case compat.CodeConnectionError:
		return diagnosis.ConnectFailing, false
	}
	if known, ok := kindCodes[e.Kind]; ok {
		return known.code, known.isFinal
	}
	return serverErrorCode(e), false
}

// serverErrorCode is the cause of an engine's own error.
func serverErrorCode(e *session.EngineError) diagnosis.Code {
	text := strings.ToLower(e.Code + " " + e.Text)
	isIn := func(phrase string) bool { return strings.Contains(text, phrase) }
	isLimit := slices.ContainsFunc([]string{"session_limit", "max_sessions", "limit reached"}, isIn)
	switch {
	case e.Op == session.OpCreate && isLimit:
		return diagnosis.SessionLimit
	case e.Op == session.OpCreate && e.Status == http.StatusConflict:
		return diagnosis.SessionConflict
	case e.Op == session.OpConnect:
		return diagnosis.ConnectFailing
	}
	return diagnosis.Engine5xx
}
