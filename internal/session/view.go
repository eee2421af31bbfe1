package session

import (
	"time"

	"qrgate/internal/diagnosis"
)

// MaxWait bounds every hold, whatever a client asks for.
const MaxWait = 60 * time.Second

// WaitPreference is a client's own wish how long to be held, from Prefer: wait=N or ?wait=N.
type WaitPreference struct {
	Set bool
	For time.Duration
}

// Snapshot is what the gate can say of a session to one caller at one moment. It is large and is handed on by its address,
// so that a request that is held needs little stack; whoever has one may change it.
type Snapshot struct {
	Session        Session
	Diagnosis      diagnosis.Diagnosis
	Authorized     bool          // the engine accepted this credential for this session within the last minute
	QueuePosition  int           // place in the queue for the engine's budget, 1 is next; 0 when nobody queues
	RateLimitWait  time.Duration // until the budget allows the next look; 0 when it allows one now
	RemainingCalls int           // calls that the engine still allows in this window; -1 when it does not say
	At             time.Time
}

// Changed reports whether somebody who watches a session sees a difference between two views of it.
func (v *Snapshot) Changed(later *Snapshot) bool {
	a, b := &v.Session, &later.Session
	return a.State != b.State || a.Sequence != b.Sequence || a.QR.Present() != b.QR.Present() || !a.ConnectedAt.Equal(b.ConnectedAt) ||
		v.Diagnosis.Code != later.Diagnosis.Code
}
