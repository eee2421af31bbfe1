package metrics

import (
	"log/slog"
	"net/http"
	"slices"
	"strconv"

	"qrgate/compat"
	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// values makes rows of a single label.
func values[T ~string](all ...T) [][]string {
	rows := make([][]string, 0, len(all))
	for _, v := range all {
		rows = append(rows, []string{string(v)})
	}
	return rows
}

// product combines every row of a with every row of b.
func product(a, b [][]string) [][]string {
	rows := make([][]string, 0, len(a)*len(b))
	for _, x := range a {
		for _, y := range b {
			rows = append(rows, slices.Concat(x, y))
		}
	}
	return rows
}

func origins() [][]string { return values(session.UserTraffic, session.SyntheticTraffic) }

// originOf returns a value of the closed list: all traffic that is not a probe's is a user's.
func originOf(t session.TrafficClass) string {
	if t == session.SyntheticTraffic {
		return string(t)
	}
	return string(session.UserTraffic)
}

// outcomes returns the pairs of outcome and diagnosis that normalize can return, some of them repeatedly.
func outcomes(normalize func(session.Outcome, diagnosis.Code) (session.Outcome, diagnosis.Code)) [][]string {
	var rows [][]string
	for _, outcome := range []session.Outcome{session.Success, session.Failure, session.Abandoned} {
		for _, cause := range append(diagnosis.Codes(), diagnosis.None) {
			o, c := normalize(outcome, cause)
			rows = append(rows, []string{string(o), string(c)})
		}
	}
	return rows
}

// acquisitionOutcome returns a legal pair: success with no cause, abandoned if the client left or the session is
// already paired, failure with every other cause. Unknown and missing causes become undetermined.
func acquisitionOutcome(outcome session.Outcome, cause diagnosis.Code) (session.Outcome, diagnosis.Code) {
	switch {
	case outcome == session.Success:
		return session.Success, diagnosis.None
	case cause == diagnosis.ClientGone || cause == diagnosis.AlreadyPaired:
		return session.Abandoned, cause
	case outcome == session.Abandoned:
		return session.Abandoned, diagnosis.ClientGone
	}
	return session.Failure, diagnosis.New(cause).Code
}

// waitOutcome returns a legal pair. Unlike an acquisition, a wait may fail without a cause: the QR is not there yet.
// A session that is already paired counts as a failed wait.
func waitOutcome(outcome session.Outcome, cause diagnosis.Code) (session.Outcome, diagnosis.Code) {
	switch {
	case outcome == session.Success:
		return session.Success, diagnosis.None
	case outcome == session.Abandoned || cause == diagnosis.ClientGone:
		return session.Abandoned, diagnosis.ClientGone
	case cause == "" || cause == diagnosis.None:
		return session.Failure, diagnosis.None
	}
	return session.Failure, diagnosis.New(cause).Code
}

// probeOutcome returns a legal pair. A probe's run is never abandoned: if the prober gives up, that is an error of the
// prober and not a run.
func probeOutcome(_ session.Outcome, cause diagnosis.Code) (session.Outcome, diagnosis.Code) {
	switch cause {
	case "", diagnosis.None:
		return session.Success, diagnosis.None
	case diagnosis.ClientGone:
		return session.Failure, diagnosis.Undetermined
	}
	return session.Failure, diagnosis.New(cause).Code
}

var levels = []string{"debug", "info", "warn", "error"}

// levelLabel rounds a level down to one that has a name. Their distance is 4.
func levelLabel(l slog.Level) string {
	return levels[min(max(int(l-slog.LevelDebug)/4, 0), len(levels)-1)]
}

var (
	operations      = []string{session.OpConnect, session.OpQR, session.OpStatus, session.OpList}
	storeOperations = []string{"get", "put", "acquire", "release"}
	probeSteps      = []string{"create", "connect", "qr", "validate", "cleanup"}
	circuitStates   = []string{"closed", "half_open", "open"}
)

// errorTypeNone is the error type of a successful call: PromQL needs a stable set of labels.
const errorTypeNone = "none"

// errorType returns a value of the closed list.
func errorType(k session.ErrorKind) string {
	switch {
	case k == "":
		return errorTypeNone
	case slices.Contains(session.Kinds(), k):
		return string(k)
	}
	return string(session.KindServerError)
}

// callOutcome separates a working engine from a failing one. An engine that rejects a key or does not know a session
// works. A canceled call proves nothing.
func callOutcome(kind session.ErrorKind) session.Outcome {
	switch kind {
	case "", session.KindNotReady, session.KindAlreadyPaired, session.KindSessionNotFound, session.KindKeyRefused:
		return session.Success
	case session.KindCanceled:
		return session.Abandoned
	}
	return session.Failure
}

// unmatched is the route of every request that is on no session route.
const unmatched = "unmatched"

// otherMethod is OpenTelemetry's name for a method that is not in the closed list.
const otherMethod = "_OTHER"

// httpRoutes are the legal pairs of method and route.
func httpRoutes() [][]string {
	rows := [][]string{{http.MethodGet, unmatched}, {http.MethodPost, unmatched}, {otherMethod, unmatched}}
	for _, r := range slices.Concat(compat.Routes(), compat.PairRoutes()) {
		rows = append(rows, []string{r.Method, r.Path})
	}
	return rows
}

// routeLabels returns a legal pair. A session route with a method that it does not have counts as unmatched.
func routeLabels(method, route string) (string, string) {
	r := compat.Route{Method: method, Path: route}
	if slices.Contains(compat.Routes(), r) || slices.Contains(compat.PairRoutes(), r) {
		return method, route
	}
	if method != http.MethodGet && method != http.MethodPost {
		method = otherMethod
	}
	return method, unmatched
}

var statusClasses = []string{"1xx", "2xx", "3xx", "4xx", "5xx"}

// statusClientGone is the status of a request whose client left before the response began.
const statusClientGone = 499

// trackedStatuses are counted by number for users, because operators act on them.
var trackedStatuses = []int{200, 201, 202, 400, 401, 403, 404, 409, 429, statusClientGone, 500, 503}

// statusLabel is the status, or its class. A class matches the same pattern as its numbers: 5.. matches both.
func statusLabel(origin string, status int) string {
	if origin == string(session.UserTraffic) && slices.Contains(trackedStatuses, status) {
		return strconv.Itoa(status)
	}
	return statusClasses[min(max(status/100, 1), 5)-1]
}

// httpRequestLabels are the legal combinations of origin, method, route and status.
func httpRequestLabels() [][]string {
	rows := product(product(origins(), httpRoutes()), values(statusClasses...))
	for _, status := range trackedStatuses {
		rows = append(rows, product(product(values(session.UserTraffic), httpRoutes()), values(strconv.Itoa(status)))...)
	}
	return rows
}

// The causes of a failed request.
const (
	causeEngine    = "engine"    // a 5xx of the engine that was passed through
	causeGateway   = "gateway"   // an internal error of qrgate
	causeTruncated = "truncated" // the engine stopped during its response
)

// failureCause is the cause of a response that counts as a failure of the gateway: a 5xx without a code of qrgate, or
// with its code for an internal error. A 503 with a diagnosis counts for the QR's SLI and not for the gateway's, or
// one outage would page twice.
func failureCause(r session.RequestLog) string {
	switch {
	case r.Truncated:
		return causeTruncated
	case r.Status < http.StatusInternalServerError:
		return ""
	case r.Code == compat.CodeInternalError:
		return causeGateway
	case r.Code == "":
		return causeEngine
	}
	return ""
}

// rejections are the reasons for which qrgate itself rejects a request, by status.
var rejections = map[int]string{
	http.StatusUnauthorized:          "auth",
	http.StatusForbidden:             "auth",
	http.StatusBadRequest:            "bad_request",
	http.StatusNotFound:              "bad_request",
	http.StatusMethodNotAllowed:      "bad_request",
	http.StatusRequestTimeout:        "bad_request",
	http.StatusRequestEntityTooLarge: "too_large",
	http.StatusTooManyRequests:       "rate_limit",
}
