package session

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"qrgate/internal/diagnosis"
)

// MaxWait bounds every wait, whatever a client prefers.
const MaxWait = 60 * time.Second

// WaitPreference is how long a client prefers to wait, from Prefer: wait=N or ?wait=N.
type WaitPreference struct {
	Set bool
	For time.Duration
}

// Snapshot is the state of a session at one moment. It is immutable, and all readers share it.
type Snapshot struct {
	Session        Session
	Diagnosis      diagnosis.Diagnosis
	Authorized     bool          // the engine accepted this credential for this session within the last minute
	QueuePosition  int           // among sessions that wait for the rate limit, 1 is next; 0 if it does not wait
	RateLimitWait  time.Duration // until the rate limit allows the next poll; 0 if it allows one now
	RemainingCalls int           // calls that the engine still allows in this window; -1 if unknown
	At             time.Time

	Ready      bool       // there is a code that a phone can still scan
	Ended      bool       // the session was deleted, disconnected or restarted: no change follows
	ValidUntil time.Time  // when time alone may change the response
	Body       *BodyCache // of the present code; nil without one
}

// BodyCache keeps the response body that a reader prepared from a code. All snapshots of one code share it.
type BodyCache struct{ value atomic.Pointer[PreparedBody] }

// PreparedBody is a response body around the one number in it that changes by the second.
type PreparedBody struct{ Head, Tail []byte }

// Load returns the prepared body, and prepares it first if there is none.
func (c *BodyCache) Load(prepare func() *PreparedBody) *PreparedBody {
	if b := c.value.Load(); b != nil {
		return b
	}
	b := prepare()
	c.value.Store(b)
	return b
}

// Changed reports whether a client that follows a session sees a difference between two snapshots.
func (v *Snapshot) Changed(later *Snapshot) bool {
	a, b := &v.Session, &later.Session
	return a.State != b.State || a.Sequence != b.Sequence || a.QR.Present() != b.QR.Present() ||
		!a.ConnectedAt.Equal(b.ConnectedAt) || v.Diagnosis.Code != later.Diagnosis.Code ||
		v.Ready != later.Ready || v.Ended != later.Ended
}

// Follower follows the changes of one session.
type Follower interface {
	// Next waits until the session's snapshot differs from what the caller has seen, or max has passed.
	Next(ctx context.Context, seen *Snapshot, max time.Duration) (*Snapshot, error)
	// Close ends the following.
	Close()
}

// Errors of waiting.
var (
	// ErrTooManyWaiters: a limit of waiting requests is reached.
	ErrTooManyWaiters = errors.New("too many requests wait")
	// ErrStopped: qrgate stops, which ends every wait.
	ErrStopped = errors.New("qrgate is stopping")
)
