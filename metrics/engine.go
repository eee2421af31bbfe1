package metrics

import (
	"net/http"
	"slices"

	"qrgate/internal/session"
)

// faultNone is the fault of a call without one: PromQL wants a stable set of labels.
const faultNone = "none"

// circuitClosed is the state of a circuit that lets every call through.
const circuitClosed = "closed"

func circuitStates() []string { return []string{circuitClosed, "half_open", "open"} }

func operations() []string {
	return []string{session.OpConnect, session.OpQR, session.OpStatus, session.OpList}
}

// callTuples lists the legal operation and fault of a call to the engine.
func callTuples() []label2 {
	var legal []label2
	for _, op := range operations() {
		legal = append(legal, label2{op, faultNone})
		for _, k := range session.Kinds() {
			legal = append(legal, label2{op, string(k)})
		}
	}
	return legal
}

func callOutcomes() []label2 {
	var legal []label2
	for _, op := range operations() {
		legal = append(legal, label2{op, string(session.Success)}, label2{op, string(session.Failure)})
	}
	return legal
}

// faultLabel keeps faults within the closed list, as qrgate.KindOf does.
func faultLabel(k session.ErrorKind) string {
	switch {
	case k == "":
		return faultNone
	case slices.Contains(session.Kinds(), k):
		return string(k)
	}
	return string(session.KindServerError)
}

// callOutcome tells an engine that works from one that does not. To refuse a key or not to know a session
// is a proper answer. A call that the gate gave up says nothing.
func callOutcome(fault string) session.Outcome {
	switch session.ErrorKind(fault) {
	case faultNone, session.KindNotReady, session.KindAlreadyPaired, session.KindSessionNotFound, session.KindKeyRefused:
		return session.Success
	case session.KindCanceled:
		return session.Abandoned
	}
	return session.Failure
}

// answers reports what a call proves about the engine being there: nothing if the gate gave it up. A
// gateway before the engine that says 502, 503 or 504 in its own words speaks for an engine that is down.
func answers(e session.Event) (up, proved bool) {
	switch e.ErrorKind {
	case session.KindCanceled:
		return false, false
	case session.KindUnreachable, session.KindTimeout:
		return false, true
	case session.KindBadResponse:
		return e.Status < http.StatusBadGateway || e.Status > http.StatusGatewayTimeout, true
	}
	return true, true
}
