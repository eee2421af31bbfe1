package session

import (
	"time"

	"qrgate/internal/diagnosis"
)

// Outcome is how something ended.
type Outcome string

// The outcomes. Abandoned is neither good nor bad: the client left, or the session was deleted.
const (
	Success   Outcome = "success"
	Failure   Outcome = "failure"
	Abandoned Outcome = "abandoned"
)

// EventKind says what an Event is about.
type EventKind string

// The kinds of events.
const (
	EventState         EventKind = "state"   // a session's acquisition changed its state
	EventCause         EventKind = "cause"   // the cause why a session that is waited for has no QR is known, or is another one
	EventEngineCall    EventKind = "look"    // one call to the engine ended
	EventQR            EventKind = "code"    // a new code was seen
	EventAcquisition   EventKind = "journey" // a connect-to-QR journey ended
	EventWait          EventKind = "hold"    // one held request was answered
	EventDecryptFailed EventKind = "sealed"  // a stored value did not open: a mix-up, or an attack
	EventStore         EventKind = "store"   // the store went away or came back
)

// Event is one thing that happened in the heart of the gate, flat, for logs, metrics and spans alike.
// It never carries a code, a key or a phone number. Session is the client's own id and must not become
// a metric label.
type Event struct {
	Kind          EventKind
	At            time.Time
	Took          time.Duration // of the call, the hold, the journey, or the state that ended
	Traffic       TrafficClass
	Session       string
	AcquisitionID string // the same for all events of one session of one tenant, whatever it is called; opaque
	From, To      State
	Op            string    // of a look: one of the Op constants; of a state or a cause, that of the engine's present trouble
	Fault         ErrorKind // of a look: "" when it succeeded
	Status        int       // of a look: HTTP status
	Code          string    // of a look: the engine's own code
	Why           string    // of a look, or of a store that went away: why no answer came, in a few words; "" if unknown
	Attempt       int       // looks since the wish began
	Sequence      int       // of a code
	Outcome       Outcome
	Diagnosis     diagnosis.Code
	Request       string // the id of the request that this goes back to; of a hold, its own
	Traceparent   string // the traceparent of the request that the session's journey began with; "" if nobody traces
	Available     bool   // of a store event
}

// EventHandler takes events. It must be quick and safe for concurrent use.
type EventHandler func(Event)
