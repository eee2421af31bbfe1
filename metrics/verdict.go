package metrics

import (
	"net/http"

	"qrgate/compat"
)

// The causes of an unexplained failure.
const (
	causeEngine = "engine" // the engine's own 5xx, passed on
	causeGate   = "gate"   // the gate itself failed
	causeCut    = "cut"    // the engine stopped in the midst of its answer
)

func faultTuples() []label2 {
	var legal []label2
	for _, o := range origins() {
		for _, cause := range []string{causeEngine, causeGate, causeCut} {
			legal = append(legal, label2{string(o), cause})
		}
	}
	return legal
}

// unexplainedCause names the cause of an answer that is a failure of the gateway: a 5xx that carries no code
// of the gate's, or its code for "I failed". A 503 with a diagnosis is bad for the QR's SLI and not for
// the gateway's, else one outage pages twice (sre.md 2.3).
func unexplainedCause(e Exchange) string {
	switch {
	case e.Truncated:
		return causeCut
	case e.Status < http.StatusInternalServerError:
		return ""
	case e.Code == compat.CodeInternalError:
		return causeGate
	case e.Code == "":
		return causeEngine
	}
	return ""
}

// The reasons for which the gate itself refuses a request.
const (
	reasonAuth       = "auth"
	reasonBadRequest = "bad_request"
	reasonTooLarge   = "too_large"
	reasonRateLimit  = "rate_limit"
)

func rejections() []label1 {
	return []label1{reasonAuth, reasonBadRequest, reasonTooLarge, reasonRateLimit}
}

// rejected names why the gate refused; empty when the engine did, or nobody.
func rejected(e Exchange) string {
	if e.Code == "" {
		return ""
	}
	switch e.Status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return reasonAuth
	case http.StatusTooManyRequests:
		return reasonRateLimit
	case http.StatusRequestEntityTooLarge:
		return reasonTooLarge
	case http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusRequestTimeout:
		return reasonBadRequest
	}
	return ""
}
