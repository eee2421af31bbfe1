package metrics

import (
	"net/http"
	"time"

	"qrgate/internal/session"
)

// Exchange is one request and its answer. Its fields are those of proxy.Exchange, in their order, so that
// the one converts to the other: metrics.Exchange(e).
//
// Session and RequestID are never labels; Trace becomes the exemplar.
type Exchange struct {
	Method     string               // as sent
	Route      string               // template of the route, "/api/sessions/{id}/qr"; Unmatched otherwise
	Status     int                  // as sent; 499 if the client left before that
	Code       string               // of the error that the gate itself answered; empty if none
	Took       time.Duration        // from the parsed head to the end of the answer
	BytesIn    int64                // body bytes read from the client
	BytesOut   int64                // body bytes written to the client
	Traffic    session.TrafficClass // a user, or one of the gate's own probes
	RequestID  string               // as answered
	Session    string               // on the routes of one session
	Trace      string               // the request's span as a W3C traceparent; empty if nobody keeps it
	ClientGone bool                 // the client left before the end of the answer
	Truncated  bool                 // the answer was begun and could not be ended
}

// HTTP counts one request. It is safe for concurrent use.
func (m *Metrics) HTTP(e Exchange) {
	origin := originOf(e.Traffic)
	p := pairOf(e.Method, e.Route)
	m.httpRequests.inc(requestLabels{origin, p, statusLabel(origin, e.Status)})
	m.httpBytes.add("in", float64(max(e.BytesIn, 0)))
	m.httpBytes.add("out", float64(max(e.BytesOut, 0)))
	if e.ClientGone {
		m.httpGone.inc(label1(origin))
	}
	if cause := unexplainedCause(e); cause != "" {
		m.httpFaults.inc(label2{string(origin), cause})
	}
	if reason := rejected(e); reason != "" {
		m.httpRejected.inc(label1(reason))
	}
	if origin == session.UserTraffic {
		m.httpDuration.observe(p, e.Took.Seconds(), exemplar(spanOf(e.Trace)))
	}
}

// InFlight counts the requests that next is serving.
func (m *Metrics) InFlight(next http.Handler) http.Handler {
	active := m.httpActive[""]
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		active.Inc()
		defer active.Dec()
		next.ServeHTTP(w, r)
	})
}
