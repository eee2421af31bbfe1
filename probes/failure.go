package probes

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"qrgate/compat"
	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// failure is why a step failed, in the words of the catalogue.
type failure struct {
	code     diagnosis.Code
	evidence []string

	missed       string        // not empty: the prober failed, not the target
	unsent       bool          // the target certainly did nothing
	told         bool          // a gate diagnosed it
	noConnection bool          // there was no connection to the target at all
	notFound     bool          // the target says that there is no such session
	final        bool          // asking again does not help
	pause        time.Duration // the target's wish before the next try
}

// unanswered is the failure of a call that got no answer; stayed says that it never left.
func unanswered(c call, err error, stayed bool) *failure {
	f := &failure{code: diagnosis.EngineUnreachable, unsent: stayed, noConnection: stayed}
	if timedOut(err) && !stayed {
		f.code = diagnosis.EngineTimeout
	}
	f.evidence = []string{c.String() + ": " + compat.Scrub(beneath(err))}
	return f
}

// beneath is an error of net/http without the URL that it repeats.
func beneath(err error) string {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return err.Error()
}

// broken is the failure of an answer that did not come to its end.
func broken(c call, err error) *failure {
	if timedOut(err) {
		return &failure{code: diagnosis.EngineTimeout, evidence: []string{c.String() + ": the answer began and did not end in time"}}
	}
	return &failure{code: diagnosis.EngineBadResponse, evidence: []string{c.String() + ": the answer broke off"}}
}

func timedOut(err error) bool {
	var t net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}

// answered is the failure that an answer tells of; nil for a success. What a gate diagnosed is believed,
// because it has seen more of the engine than this one answer.
func answered(c call, a compat.Response) *failure {
	if c.op == opDelete && a.Status/100 == 2 && len(a.Body) == 0 {
		return nil // 204 is a documented success of a deletion
	}
	fault := a.EngineError(c.op)
	if fault == nil {
		return nil
	}
	code, sure := reportedCode(c.op, fault)
	return &failure{
		code: code, pause: fault.RetryAfter,
		evidence: []string{strings.TrimSpace(fmt.Sprintf("%s → %d %s %s", c.String(), a.Status, fault.Code, fault.Text))},
		unsent:   compat.Rejected(a.Status),
		notFound: fault.Kind == session.KindSessionNotFound,
		final:    sure || a.Status/100 == 3,
	}
}

// Operations beside those of the engine's interface.
const (
	opCreate = "create"
	opDelete = "delete"
	opHealth = "health"
)

// reportedCode is the cause that a refusal names, and whether no patience will change it.
func reportedCode(op string, f *session.EngineError) (code diagnosis.Code, final bool) {
	if c := diagnosis.Code(f.Code); slices.Contains(diagnosis.Codes(), c) {
		return c, diagnosis.New(c).NeedsPerson()
	}
	switch f.Code {
	case compat.CodeEngineUnreachable:
		return diagnosis.EngineUnreachable, false
	case compat.CodeEngineTimeout:
		return diagnosis.EngineTimeout, false
	case compat.CodeEngineBadAnswer:
		if f.Status == http.StatusBadGateway { // the engine's proxy said so, or the connection was cut: the gate carried the call for us and has no cause of its own
			return diagnosis.EngineUnreachable, false
		}
		return diagnosis.EngineBadResponse, false
	case compat.CodeConnectionError:
		return diagnosis.ConnectFailing, false
	}
	switch f.Kind {
	case session.KindNotReady:
		return diagnosis.QRNotEmitted, false
	case session.KindAlreadyPaired:
		return diagnosis.AlreadyPaired, true
	case session.KindSessionNotFound:
		return diagnosis.SessionNotFound, true
	case session.KindKeyRefused:
		return diagnosis.KeyRefused, true
	case session.KindRateLimited:
		return diagnosis.RateLimited, false
	case session.KindUnreachable:
		return diagnosis.EngineUnreachable, false
	case session.KindTimeout:
		return diagnosis.EngineTimeout, false
	case session.KindBadResponse:
		return diagnosis.EngineBadResponse, false
	}
	return refusal(op, f), false
}

// refusal is what an engine's own error means at one operation.
func refusal(op string, f *session.EngineError) diagnosis.Code {
	words := strings.ToLower(f.Code + " " + f.Text)
	switch {
	case op == opCreate && (strings.Contains(words, "session_limit") || strings.Contains(words, "max_sessions") || strings.Contains(words, "limit reached")):
		return diagnosis.SessionLimit
	case op == opCreate && f.Status == http.StatusConflict:
		return diagnosis.SessionConflict
	case op == session.OpConnect:
		return diagnosis.ConnectFailing
	}
	return diagnosis.Engine5xx
}
