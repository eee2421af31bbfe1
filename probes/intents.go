package probes

import (
	"context"
	"time"
)

// Intent is the promise that a session which is about to be made will be deleted. It is written before the
// session exists, so that whoever comes after a crash knows what to look for, and nothing is ever deleted
// that is not written here.
type Intent struct {
	Session string    `json:"session"` // the sessionId
	Target  string    `json:"target"`  // the target's name
	Owner   string    `json:"owner"`   // the life of the prober that wrote it
	At      time.Time `json:"at"`
	Until   time.Time `json:"until"` // by when its run is over, whatever happened
}

// Intents keep intents for longer than this process lives.
type Intents interface {
	// Record writes an intent. It is durable when Record returns nil.
	Record(ctx context.Context, i Intent) error
	// Done crosses an intent out; crossing out what is not there is no error.
	Done(ctx context.Context, session string) error
	// Open returns every intent that was not crossed out, in no order.
	Open(ctx context.Context) ([]Intent, error)
	// Location names where they are kept, for a person who has to look.
	Location() string
}

// settleTime is how long "there is no such session" proves nothing: a create that was cut off may still be
// on its way through the engine.
const settleTime = 30 * time.Second

// due reports whether an intent's session should be gone by now. Only the deletion is missing then: its
// run has ended, or whoever ran it has.
func (i Intent) due(me string, alone bool, now time.Time) bool {
	return i.Owner == me || alone || now.After(i.Until)
}

// settled reports whether the absence of the session is final.
func (i Intent) settled(now time.Time) bool { return now.Sub(i.At) >= settleTime }
