package session

import (
	"time"

	"qrgate/internal/diagnosis"
)

// Outcome is how an acquisition, a wait or an engine call ended.
type Outcome string

// The outcomes. Abandoned is neither good nor bad: the client left, or the session was deleted or paired.
const (
	Success   Outcome = "success"
	Failure   Outcome = "failure"
	Abandoned Outcome = "abandoned"
)

// EventKind is the kind of an Event.
type EventKind string

// The kinds of events.
const (
	EventState         EventKind = "state"          // an acquisition changed the session's state
	EventCause         EventKind = "cause"          // the diagnosis of a session without a QR changed
	EventEngineCall    EventKind = "engine_call"    // a call to the engine ended
	EventQR            EventKind = "qr"             // the engine returned a new code
	EventAcquisition   EventKind = "acquisition"    // an acquisition ended
	EventWait          EventKind = "wait"           // a waiting request was answered
	EventDecryptFailed EventKind = "decrypt_failed" // a stored value could not be decrypted
	EventStore         EventKind = "store"          // the store became unavailable or available
)

// Event reports one fact to logs, metrics, spans and the status page.
// It never carries a code, a key or a phone number. Session is the client's own id and must not become a metric label.
type Event struct {
	Kind          EventKind
	At            time.Time
	Duration      time.Duration // of the call, the wait, the acquisition, or the state that ended
	Traffic       TrafficClass
	Session       string
	AcquisitionID string // opaque; the same for all events of one session of one tenant
	From, To      State
	Op            string    // engine_call: one of the Op constants; state, cause: the operation that fails at present
	ErrorKind     ErrorKind // engine_call: "" on success
	Status        int       // engine_call: HTTP status
	Code          string    // engine_call: the engine's own error code
	Reason        string    // engine_call, store: why there was no response; "" if unknown
	Attempt       int       // polls since the acquisition began
	Sequence      int       // qr: number of the code since the connect
	Outcome       Outcome
	Diagnosis     diagnosis.Code
	RequestID     string // of the request that caused the event; wait: of the waiting request
	Traceparent   string // of the request that began the acquisition; "" if it is not sampled
	Available     bool   // store
}

// EventHandler receives events. It must be quick and safe for concurrent use.
type EventHandler func(Event)

// Change is a change of a session that this replica has made. Unlike an Event it contains the code.
type Change struct {
	ID            string // opaque; the same for all changes of one session of one tenant
	Version       int64  // of the stored record that Before is; grows with the session's changes on all replicas
	Before, After Session
	Cause         diagnosis.Code // why there is no QR
	At            time.Time
}

// EngineUp reports whether an engine_call proves that the engine is up. A canceled call proves nothing. A proxy in
// front of the engine that responds with 502, 503 or 504 proves that the engine is down.
func (e Event) EngineUp() (up, known bool) {
	switch e.ErrorKind {
	case KindCanceled:
		return false, false
	case KindUnreachable, KindTimeout:
		return false, true
	case KindBadResponse:
		return e.Status < 502 || e.Status > 504, true
	}
	return true, true
}

// EngineUp reports whether the result of a health check, [diagnosis.None] or a cause, proves that the engine is up. An
// engine that responds with an error, a rejection or a rate limit is up; a check that failed otherwise proves nothing.
func EngineUp(cause diagnosis.Code) (up, known bool) {
	switch cause {
	case diagnosis.EngineUnreachable, diagnosis.EngineTimeout:
		return false, true
	case diagnosis.None, diagnosis.Engine5xx, diagnosis.EngineBadResponse, diagnosis.KeyRefused, diagnosis.RateLimited:
		return true, true
	}
	return false, false
}

// RequestLog reports one request of a client and its response to logs and metrics. RequestID and Session must not
// become labels.
type RequestLog struct {
	Method     string        // one of the nine of RFC 9110 and RFC 5789, or "OTHER"
	Route      string        // a template, such as "/api/sessions/{id}/qr", or "unmatched"
	Status     int           // as sent; 499 if the client left before that
	Code       string        // of the error that qrgate itself responded with; empty if none
	Took       time.Duration // from the parsed request header to the end of the response
	BytesIn    int64         // body bytes read from the client
	BytesOut   int64         // body bytes written to the client; none for an upgraded connection
	Traffic    TrafficClass  // user or probe
	RequestID  string        // ^[A-Za-z0-9._-]{1,64}$
	Session    string        // ^[A-Za-z0-9_-]{1,100}$ on the routes of one session; else empty
	Trace      string        // the request's span as a W3C traceparent; empty if it is not sampled
	Repeated   bool          // the response has a QR that an earlier one had
	ClientGone bool          // the client left before the end of the response
	Truncated  bool          // the response began and could not be completed
}
