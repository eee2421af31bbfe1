package probes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"qrgate/internal/session"
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

// settleDelay is how long a missing session proves nothing: a create that was cut off may still be in progress.
const settleDelay = 30 * time.Second

// isDue reports whether the run of an intent is over, so that its session must be deleted. Intents that are not shared
// are from earlier runs of this process.
func (i Intent) isDue(instanceID string, isShared bool, now time.Time) bool {
	return i.Owner == instanceID || !isShared || now.After(i.Until)
}

// isSettled reports whether a missing session will not appear any more.
func (i Intent) isSettled(now time.Time) bool { return now.Sub(i.At) >= settleDelay }

// NewFileIntents returns intents in dir, one file per session, so that several processes may share it. The directory is
// created with the first one. It does no I/O.
func NewFileIntents(dir string) Intents { return &tableIntents{fileTable(dir), dir} }

// NewTableIntents returns intents in a table that replicas share, and is as durable as the table.
func NewTableIntents(t Table) Intents { return &tableIntents{t, "the replicas' shared store"} }

// Table stores rows, such as a hash in Redis: Put is HSET, Drop is HDEL, All is HGETALL. Its errors wrap
// store.ErrStoreUnavailable when the store is unavailable.
type Table interface {
	// Put writes a row. It is durable when Put returns nil.
	Put(ctx context.Context, row string, value []byte) error
	// Drop removes a row; removing a missing one is no error.
	Drop(ctx context.Context, row string) error
	// All returns every row.
	All(ctx context.Context) (map[string][]byte, error)
}

// tableIntents are the intents in a table.
type tableIntents struct {
	table    Table
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

// fileTable is a table in a directory, with one file per row.
type fileTable string

const (
	intentSuffix = ".intent"
	maxIntent    = 4 << 10 // bytes; a larger file is none of ours
)

// path is the file of a row. Only names of sessions are rows.
func (dir fileTable) path(row string) (string, error) {
	if !session.ValidID(row) {
		return "", fmt.Errorf("%q is not a valid session name", row)
	}
	return filepath.Join(string(dir), row+intentSuffix), nil
}

// Put implements [Table]: it writes a temporary file, syncs it, renames it and syncs the directory.
func (dir fileTable) Put(_ context.Context, row string, value []byte) error {
	path, err := dir.path(row)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(string(dir), 0o700); err != nil {
		return err
	}
	draft, err := os.CreateTemp(string(dir), "draft-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(draft.Name()) }() // a no-op after the rename
	_, err = draft.Write(value)
	if err = errors.Join(err, draft.Sync(), draft.Close()); err != nil {
		return err
	}
	if err := os.Rename(draft.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(string(dir))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Drop implements [Table]. A crash that restores the file costs one more deletion.
func (dir fileTable) Drop(_ context.Context, row string) error {
	path, err := dir.path(row)
	if err != nil {
		return err
	}
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// All implements [Table]. It ignores other files, such as temporary files of a killed process: no session was created
// for them.
func (dir fileTable) All(context.Context) (map[string][]byte, error) {
	entries, err := os.ReadDir(string(dir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	rows := map[string][]byte{}
	for _, e := range entries {
		row, isIntent := strings.CutSuffix(e.Name(), intentSuffix)
		if !isIntent || !e.Type().IsRegular() {
			continue
		}
		text, err := dir.read(e.Name())
		switch {
		case err == nil:
			rows[row] = text
		case !errors.Is(err, fs.ErrNotExist): // else removed meanwhile
			return nil, err
		}
	}
	return rows, nil
}

func (dir fileTable) read(name string) ([]byte, error) {
	path := filepath.Join(string(dir), name)
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxIntent {
		return nil, fmt.Errorf("%s is too large for an intent; delete it", name)
	}
	return os.ReadFile(path)
}
