package probes

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"qrgate/internal/session"
	"qrgate/internal/store"
)

// Intent records a session before it is created, so that it is deleted even after a crash. No session without an intent
// is ever deleted.
type Intent struct {
	Session string    `json:"session"` // the sessionId
	Target  string    `json:"target"`  // the target's name
	Owner   string    `json:"owner"`   // the prober instance that wrote it
	At      time.Time `json:"at"`
	Until   time.Time `json:"until"` // by when its run is over
}

// Intents store intents for longer than this process runs.
type Intents interface {
	// Record writes an intent. It is durable when Record returns nil.
	Record(ctx context.Context, i Intent) error
	// Done removes an intent; removing a missing one is no error.
	Done(ctx context.Context, session string) error
	// Open returns every intent, in no order.
	Open(ctx context.Context) ([]Intent, error)
	// Location names where they are stored, for the operator.
	Location() string
}

// maxIntent is the size of an intent in bytes; qrgate writes no larger one.
const maxIntent = 4 << 10

// settleDelay is how long a missing session proves nothing: a create that was cut off may still be in progress.
const settleDelay = 30 * time.Second

// isDue reports whether the run of an intent is over, so that its session must be deleted. Intents that are not shared
// are from earlier runs of this process.
func (i Intent) isDue(instanceID string, isShared bool, now time.Time) bool {
	return i.Owner == instanceID || !isShared || now.After(i.Until)
}

// isRefusedOrLinked reports whether a missing session will not appear any more.
func (i Intent) isSettled(now time.Time) bool { return now.Sub(i.At) >= settleDelay }

// NewFileIntents returns intents in dir, one file per session, so that several processes may share it. The directory is
// created with the first one. It does no I/O.
func NewFileIntents(dir string) Intents {
	return &tableIntents{store.Files{Dir: dir, Suffix: ".intent", MaxSize: maxIntent}, dir}
}

// NewTableIntents returns intents in a table that replicas share, and is as durable as the table.
func NewTableIntents(t store.Table) Intents { return &tableIntents{t, "the replicas' shared store"} }

// tableIntents are the intents in a table.
type tableIntents struct {
	table    store.Table
	location string
}

func (t *tableIntents) Location() string { return t.location }

func (t *tableIntents) Record(ctx context.Context, i Intent) error {
	text, err := json.Marshal(i)
	if err != nil {
		return err
	}
	return t.table.Put(ctx, i.Session, text)
}

func (t *tableIntents) Done(ctx context.Context, session string) error {
	return t.table.Drop(ctx, session)
}

// Open implements [Intents]. A row that is no intent is an error.
func (t *tableIntents) Open(ctx context.Context) ([]Intent, error) {
	rows, err := t.table.All(ctx)
	if err != nil {
		return nil, err
	}
	open := make([]Intent, 0, len(rows))
	for name, text := range rows {
		var i Intent
		if err := json.Unmarshal(text, &i); err != nil || i.Session != name || !session.ValidID(name) {
			return nil, fmt.Errorf("the intent %q is not readable; delete it, and the session of that name", name)
		}
		open = append(open, i)
	}
	return open, nil
}
