package qrgate

import "time"

// MaxHold bounds every hold, whatever a client asks for.
const MaxHold = 60 * time.Second

// Hold is a client's own wish how long to be held, from Prefer: wait=N or ?wait=N.
type Hold struct {
	Set bool
	For time.Duration
}

// View is what the gate can say of a session to one caller at one moment.
type View struct {
	Session   Session
	Diagnosis Diagnosis
	Known     bool          // the engine accepted this credential for this session within the last minute
	Place     int           // place in the queue for the engine's budget, 1 is next; 0 when nobody queues
	Waiting   time.Duration // until the budget allows the next look; 0 when it allows one now
	Budget    int           // calls that the engine still allows in this window; -1 when it does not say
	At        time.Time
}
