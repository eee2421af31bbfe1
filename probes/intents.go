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

// FileIntents stores intents in a directory, one file per session, so that several processes may share it.
type FileIntents struct{ dir string }

// NewFileIntents returns intents in dir, which is created with the first one. It does no I/O.
func NewFileIntents(dir string) *FileIntents { return &FileIntents{dir} }

const (
	intentSuffix = ".intent"
	maxIntent    = 4 << 10 // bytes; a larger file is none of ours
)

// Record implements [Intents]: it writes a temporary file, syncs it, renames it and syncs the directory.
func (f *FileIntents) Record(_ context.Context, i Intent) error {
	if !session.ValidID(i.Session) {
		return fmt.Errorf("%q is not a valid session name", i.Session)
	}
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return err
	}
	text, err := json.Marshal(i)
	if err != nil {
		return err
	}
	draft, err := os.CreateTemp(f.dir, "draft-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(draft.Name()) }() // a no-op after the rename
	_, err = draft.Write(text)
	if err = errors.Join(err, draft.Sync(), draft.Close()); err != nil {
		return err
	}
	if err := os.Rename(draft.Name(), f.path(i.Session)); err != nil {
		return err
	}
	return f.sync()
}

// Done implements [Intents].
func (f *FileIntents) Done(_ context.Context, name string) error {
	if !session.ValidID(name) {
		return fmt.Errorf("%q is not a valid session name", name)
	}
	err := os.Remove(f.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err // a crash that restores the file costs one more deletion
}

// Open implements [Intents]. It ignores other files, such as temporary files of a killed process: no session was
// created for them.
func (f *FileIntents) Open(context.Context) ([]Intent, error) {
	entries, err := os.ReadDir(f.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var open []Intent
	for _, e := range entries {
		name, isIntent := strings.CutSuffix(e.Name(), intentSuffix)
		if !isIntent || !e.Type().IsRegular() {
			continue
		}
		i, err := f.read(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		open = append(open, i)
	}
	return open, nil
}

func (f *FileIntents) read(name string) (Intent, error) {
	info, err := os.Stat(f.path(name))
	if err != nil {
		return Intent{}, err
	}
	if info.Size() > maxIntent {
		return Intent{}, fmt.Errorf("%s%s is too large for an intent; delete it", name, intentSuffix)
	}
	text, err := os.ReadFile(f.path(name))
	if err != nil {
		return Intent{}, err
	}
	return parseIntent(name, text)
}

// parseIntent decodes the intent of a session; both must have the same name.
func parseIntent(name string, text []byte) (Intent, error) {
	var i Intent
	if err := json.Unmarshal(text, &i); err != nil || i.Session != name || !session.ValidID(name) {
		return Intent{}, fmt.Errorf("the intent %q is not readable; delete it, and the session of that name", name)
	}
	return i, nil
}

// Location implements [Intents]: the directory.
func (f *FileIntents) Location() string { return f.dir }

func (f *FileIntents) path(name string) string { return filepath.Join(f.dir, name+intentSuffix) }

func (f *FileIntents) sync() error {
	d, err := os.Open(f.dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Table is a table that replicas share, such as a hash in Redis: Put is HSET, Drop is HDEL, All is HGETALL. Its errors
// wrap store.ErrStoreUnavailable when the store is unavailable.
type Table interface {
	// Put writes a row for all replicas.
	Put(ctx context.Context, row string, value []byte) error
	// Drop removes a row; removing a missing one is no error.
	Drop(ctx context.Context, row string) error
	// All returns every row.
	All(ctx context.Context) (map[string][]byte, error)
}

// TableIntents stores intents in a table and is as durable as the table.
type TableIntents struct{ table Table }

// NewTableIntents returns intents in a table.
func NewTableIntents(t Table) *TableIntents { return &TableIntents{t} }

// Record implements [Intents].
func (r *TableIntents) Record(ctx context.Context, i Intent) error {
	text, err := json.Marshal(i)
	if err != nil {
		return err
	}
	return r.table.Put(ctx, i.Session, text)
}

// Done implements [Intents].
func (r *TableIntents) Done(ctx context.Context, session string) error {
	return r.table.Drop(ctx, session)
}

// Location implements [Intents].
func (r *TableIntents) Location() string { return "the replicas' shared store" }

// Open implements [Intents]. A row that is no intent is an error.
func (r *TableIntents) Open(ctx context.Context) ([]Intent, error) {
	rows, err := r.table.All(ctx)
	if err != nil {
		return nil, err
	}
	open := make([]Intent, 0, len(rows))
	for name, text := range rows {
		i, err := parseIntent(name, text)
		if err != nil {
			return nil, err
		}
		open = append(open, i)
	}
	return open, nil
}
