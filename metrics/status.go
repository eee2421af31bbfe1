package metrics

import (
	"strconv"

	"qrgate/internal/session"
)

// requestLabels is the tuple of a request.
type requestLabels struct {
	origin session.TrafficClass
	pair   methodRoute
	status string
}

func (a requestLabels) values() []string {
	return []string{string(a.origin), a.pair.method, a.pair.route, a.status}
}

func statusClasses() []string { return []string{"1xx", "2xx", "3xx", "4xx", "5xx"} }

// trackedStatuses are the statuses that somebody acts upon by their number.
func trackedStatuses() []string {
	return []string{"200", "201", "202", "400", "401", "403", "404", "409", "429", "499", "500", "503"}
}

// statusLabel is the status as counted. A class matches the same pattern as its numbers: 5.. finds both.
func statusLabel(origin session.TrafficClass, status int) string {
	if origin == session.UserTraffic {
		switch status {
		case 200, 201, 202, 400, 401, 403, 404, 409, 429, 499, 500, 503:
			return strconv.Itoa(status)
		}
	}
	return statusClasses()[min(max(status/100, 1), 5)-1]
}

func legalAnswers(origin session.TrafficClass) []requestLabels {
	statuses := statusClasses()
	if origin == session.UserTraffic {
		statuses = append(statuses, trackedStatuses()...)
	}
	var legal []requestLabels
	for _, p := range pairs() {
		for _, s := range statuses {
			legal = append(legal, requestLabels{origin, p, s})
		}
	}
	return legal
}
