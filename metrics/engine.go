package metrics

import (
	"net/http"
	"slices"

	"qrgate"
)

// faultNone is the fault of a call without one: PromQL wants a stable set of labels.
const faultNone = "none"

// circuitClosed is the state of a circuit that lets every call through.
const circuitClosed = "closed"

func circuitStates() []string { return []string{circuitClosed, "half_open", "open"} }

func operations() []string {
	return []string{qrgate.OpConnect, qrgate.OpQR, qrgate.OpStatus, qrgate.OpList}
}

// callTuples lists the legal operation and fault of a call to the engine.
func callTuples() []label2 {
	var legal []label2
	for _, op := range operations() {
		legal = append(legal, label2{op, faultNone})
		for _, k := range qrgate.Kinds() {
			legal = append(legal, label2{op, string(k)})
		}
	}
	return legal
}

func callOutcomes() []label2 {
	var legal []label2
	for _, op := range operations() {
		legal = append(legal, label2{op, string(qrgate.Success)}, label2{op, string(qrgate.Failure)})
	}
	return legal
}

// faultLabel keeps faults within the closed list, as qrgate.KindOf does.
func faultLabel(k qrgate.ErrorKind) string {
	switch {
	case k == "":
		return faultNone
	case slices.Contains(qrgate.Kinds(), k):
		return string(k)
	}
	return string(qrgate.KindServerError)
}

// callOutcome tells an engine that works from one that does not. To refuse a key or not to know a session
// is a proper answer. A call that the gate gave up says nothing.
func callOutcome(fault string) qrgate.Outcome {
	switch qrgate.ErrorKind(fault) {
	case faultNone, qrgate.KindNotReady, qrgate.KindAlreadyPaired, qrgate.KindSessionNotFound, qrgate.KindKeyRefused:
		return qrgate.Success
	case qrgate.KindCanceled:
		return qrgate.Abandoned
	}
	return qrgate.Failure
}

// answers reports what a call proves about the engine being there: nothing if the gate gave it up. A
// gateway before the engine that says 502, 503 or 504 in its own words speaks for an engine that is down.
func answers(e qrgate.Event) (up, proved bool) {
	switch e.Fault {
	case qrgate.KindCanceled:
		return false, false
	case qrgate.KindUnreachable, qrgate.KindTimeout:
		return false, true
	case qrgate.KindBadResponse:
		return e.Status < http.StatusBadGateway || e.Status > http.StatusGatewayTimeout, true
	}
	return true, true
}
