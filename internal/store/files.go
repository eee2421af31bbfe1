package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"qrgate/internal/session"
)

// Files is a small table that outlives the process: a directory with one file per row, which several processes may
// share. The first row creates it.
type Files struct {
	Dir     string
	Suffix  string // of the files' names; All ignores other files
	MaxSize int64  // in bytes; a larger file is an error
}

// path is the file of a row, whose name is as restricted as that of a session.
func (f Files) path(row string) (string, error) {
	if !session.ValidID(row) {
		return "", fmt.Errorf("%q is not a valid name of a row", row)
	}
	return filepath.Join(f.Dir, row+f.Suffix), nil
}

// Put writes a row, which is durable when Put returns nil: it writes a temporary file, syncs it, renames it and syncs
// the directory.
func (f Files) Put(_ context.Context, row string, value []byte) error {
	path, err := f.path(row)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(f.Dir, 0o700); err != nil {
		return err
	}
	draft, err := os.CreateTemp(f.Dir, "draft-*") // mode 0600
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
	d, err := os.Open(f.Dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Drop removes a row, if it exists. A crash may restore it.
func (f Files) Drop(_ context.Context, row string) error {
	path, err := f.path(row)
	if err != nil {
		return err
	}
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// All returns every row. It ignores other files, such as temporary files of a killed process.
func (f Files) All(context.Context) (map[string][]byte, error) {
	entries, err := os.ReadDir(f.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	rows := map[string][]byte{}
	for _, e := range entries {
		row, isRow := strings.CutSuffix(e.Name(), f.Suffix)
		if !isRow || !e.Type().IsRegular() {
			continue
		}
		text, err := f.read(e.Name())
		switch {
		case err == nil:
			rows[row] = text
		case !errors.Is(err, fs.ErrNotExist): // else removed meanwhile
			return nil, err
		}
	}
	return rows, nil
}

func (f Files) read(name string) ([]byte, error) {
	path := filepath.Join(f.Dir, name)
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > f.MaxSize {
		return nil, fmt.Errorf("%s is too large; delete it", path)
	}
	return os.ReadFile(path)
}
