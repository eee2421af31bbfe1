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

// EventKind tells what an Event is about.
type EventKind string

// The kinds of events.
const (
	EventState         EventKind = "state"          // an acquisition changed the session's state
	EventCause         EventKind = "cause"          // the diagnosis of a session without a QR was made or has changed
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
