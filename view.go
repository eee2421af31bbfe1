package qrgate

import "time"

// MaxHold bounds every hold, whatever a client asks for.
const MaxHold = 60 * time.Second

// Hold is a client's own wish how long to be held, from Prefer: wait=N or ?wait=N.
type Hold struct {
	Set bool
	For time.Duration
}

// View is what the gate can say of a session to one caller at one moment. It is large and is handed on by its address,
// so that a request that is held needs little stack; whoever has one may change it.
type View struct {
	Session   Session
	Diagnosis Diagnosis
	Known     bool          // the engine accepted this credential for this session within the last minute
	Place     int           // place in the queue for the engine's budget, 1 is next; 0 when nobody queues
	Waiting   time.Duration // until the budget allows the next look; 0 when it allows one now
	Budget    int           // calls that the engine still allows in this window; -1 when it does not say
	At        time.Time
}

// Differs reports whether somebody who watches a session sees a difference between two views of it.
func (v *View) Differs(later *View) bool {
	a, b := &v.Session, &later.Session
	return a.State != b.State || a.Sequence != b.Sequence || a.QR.Present() != b.QR.Present() || !a.Connect.Equal(b.Connect) ||
		v.Diagnosis.Code != later.Diagnosis.Code
}
