package notify

import (
	"context"
	"encoding/json"
	"errors"

	"qrgate/internal/store"
)

// The rows of a storage.
const (
	stateRow = "state" // of the alerts
	probeRow = "probe" // the last runs
)

// maxRow is the size of a stored row in bytes; qrgate writes no larger one.
const maxRow = 1 << 20

// FileStorage is a storage in a directory, which outlives the process.
func FileStorage(dir string) store.Table {
	return store.Files{Dir: dir, Suffix: ".json", MaxSize: maxRow}
}

// load returns the values of a row in all storages that can be read.
func load[T any](ctx context.Context, storages []store.Table, row string) (values []T) {
	for _, storage := range storages {
		var value T
		rows, err := storage.All(ctx)
		if text, ok := rows[row]; ok && err == nil && json.Unmarshal(text, &value) == nil {
			values = append(values, value)
		}
	}
	return values
}

// save writes a row to all storages. Each error counts: the next leader may be able to read only one of them.
func save(ctx context.Context, storages []store.Table, row string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	for _, storage := range storages {
		err = errors.Join(err, storage.Put(ctx, row, text))
	}
	return err
}
