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

	"qrgate/internal/session"
)

// FileIntents keep intents in a directory: one small file each, named for its session. So several processes may
// share the directory, and no write can spoil another's.
type FileIntents struct{ dir string }

// NewFileIntents returns intents in dir, which is made when the first is written. It does no I/O.
func NewFileIntents(dir string) *FileIntents { return &FileIntents{dir} }

const (
	intentSuffix = ".intent"
	maxIntent    = 4 << 10 // bytes; what is larger was not written here
)

// Record implements [Intents]: the file is written beside its place, synced, moved there, and the
// directory synced. The errors are those of the file system.
func (f *FileIntents) Record(_ context.Context, i Intent) error {
	if !session.ValidID(i.Session) {
		return fmt.Errorf("%q is no name for a session", i.Session)
	}
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return err
	}
	text, err := json.Marshal(i)
	if err != nil {
		return err
	}
	draft, err := os.CreateTemp(f.dir, "draft-*") // 0600, by its contract
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(draft.Name()) }() // nothing is there after the move
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
func (f *FileIntents) Done(_ context.Context, sess string) error {
	if !session.ValidID(sess) {
		return fmt.Errorf("%q is no name for a session", sess)
	}
	err := os.Remove(f.path(sess))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err // a crash that brings the file back costs one deletion that finds nothing
}

// Open implements [Intents]. Files that are no intents, such as drafts of a process that was killed, are
// passed over: nothing was created for them.
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
		session, ours := strings.CutSuffix(e.Name(), intentSuffix)
		if !ours || !e.Type().IsRegular() {
			continue
		}
		i, err := f.read(session)
		if errors.Is(err, fs.ErrNotExist) {
			continue // crossed out meanwhile
		}
		if err != nil {
			return nil, err
		}
		open = append(open, i)
	}
	return open, nil
}

func (f *FileIntents) read(session string) (Intent, error) {
	info, err := os.Stat(f.path(session))
	if err != nil {
		return Intent{}, err
	}
	if info.Size() > maxIntent {
		return Intent{}, fmt.Errorf("%s%s is too large for an intent; delete it", session, intentSuffix)
	}
	text, err := os.ReadFile(f.path(session))
	if err != nil {
		return Intent{}, err
	}
	return parseIntent(session, text)
}

// parseIntent reads what was recorded for a session. The name is believed only if both places agree.
func parseIntent(sess string, text []byte) (Intent, error) {
	var i Intent
	if err := json.Unmarshal(text, &i); err != nil || i.Session != sess || !session.ValidID(sess) {
		return Intent{}, fmt.Errorf("the intent %q cannot be read; delete it, and the session of that name if there is one", sess)
	}
	return i, nil
}

// Location implements [Intents]: the directory.
func (f *FileIntents) Location() string { return f.dir }

func (f *FileIntents) path(session string) string { return filepath.Join(f.dir, session+intentSuffix) }

// sync makes the directory's entries durable.
func (f *FileIntents) sync() error {
	d, err := os.Open(f.dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
