package webhook

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"

	"qrgate/internal/seal"
	"qrgate/internal/secret"
	"qrgate/internal/store"
)

// tableQueue is a queue in a table, in the order of the events' IDs. Bodies contain codes, so the rows are encrypted
// under the secret of the webhook.
type tableQueue struct {
	table  store.Table
	sealer *seal.Sealer
	key    secret.Secret
	log    *slog.Logger
}

// NewTableQueue returns a queue in a table. The secret must have at least seal.MinSecret bytes.
func NewTableQueue(table store.Table, key secret.Secret, log *slog.Logger) (Queue, error) {
	sealer, err := seal.New(key)
	return tableQueue{table, sealer, key, log}, err
}

// Add implements [Queue].
func (q tableQueue) Add(ctx context.Context, e *Event) error {
	plain, err := json.Marshal(e)
	if err != nil {
		return err
	}
	sealed, err := q.sealer.Seal(q.key, e.ID, plain)
	if err != nil {
		return err
	}
	return q.table.Put(ctx, e.ID, sealed)
}

// Remove implements [Queue].
func (q tableQueue) Remove(ctx context.Context, e Event) error { return q.table.Drop(ctx, e.ID) }

// All implements [Queue]. It removes rows that were written under another secret.
func (q tableQueue) All(ctx context.Context) ([]Event, error) {
	rows, err := q.table.All(ctx)
	if err != nil {
		return nil, err
	}
	var events []Event
	for _, id := range slices.Sorted(maps.Keys(rows)) {
		e := Event{ID: id}
		plain, err := q.sealer.Open(q.key, id, rows[id])
		if err == nil {
			err = json.Unmarshal(plain, &e)
		}
		if err != nil {
			q.log.Error("webhook event dropped: it was stored under another secret")
			_ = q.table.Drop(ctx, id)
			continue
		}
		events = append(events, e)
	}
	return events, nil
}
