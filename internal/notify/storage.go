package notify

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// The rows of a storage.
const (
	stateRow = "state" // of the alerts
	probeRow = "probe" // the last runs
)

// Storage keeps rows for longer than a process runs.
type Storage interface {
	// Load returns the value of a row, nil if there is none.
	Load(ctx context.Context, row string) ([]byte, error)
	Save(ctx context.Context, row string, value []byte) error
}

// FileStorage is a directory with a file for each row. The first row creates it.
type FileStorage string

// Load implements [Storage].
func (f FileStorage) Load(_ context.Context, row string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(string(f), row+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

// Save implements [Storage]. A reader finds the old value or the new one.
func (f FileStorage) Save(_ context.Context, row string, value []byte) error {
	if err := os.MkdirAll(string(f), 0o700); err != nil {
		return err
	}
	name := filepath.Join(string(f), row+".json")
	if err := os.WriteFile(name+".next", value, 0o600); err != nil {
		return err
	}
	return os.Rename(name+".next", name)
}

// Table stores rows that all replicas share.
type Table interface {
	Put(ctx context.Context, row string, value []byte) error
	All(ctx context.Context) (map[string][]byte, error)
}

// TableStorage is a shared table.
type TableStorage struct{ Table Table }

// Load implements [Storage].
func (t TableStorage) Load(ctx context.Context, row string) ([]byte, error) {
	rows, err := t.Table.All(ctx)
	return rows[row], err
}

// Save implements [Storage].
func (t TableStorage) Save(ctx context.Context, row string, value []byte) error {
	return t.Table.Put(ctx, row, value)
}

// load returns the values of a row in all storages that can be read.
func load[T any](ctx context.Context, storages []Storage, row string) (values []T) {
	for _, storage := range storages {
		var value T
		text, err := storage.Load(ctx, row)
		if err == nil && len(text) > 0 && json.Unmarshal(text, &value) == nil {
			values = append(values, value)
		}
	}
	return values
}

// save writes a row to all storages. Each error counts: the next leader may be able to read only one of them.
func save(ctx context.Context, storages []Storage, row string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	for _, storage := range storages {
		err = errors.Join(err, storage.Save(ctx, row, text))
	}
	return err
}
