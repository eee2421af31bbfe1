package probes

import (
	"context"
	"encoding/json"
)

// Table is a small table of rows that several replicas share, such as one hash in Redis: Put is HSET, Drop
// is HDEL, All is HGETALL. Its errors wrap qrgate.ErrStoreUnavailable when the store cannot be reached.
type Table interface {
	// Put writes a row; it is there for every replica when Put returns nil.
	Put(ctx context.Context, row string, value []byte) error
	// Drop removes a row; removing what is not there is no error.
	Drop(ctx context.Context, row string) error
	// All returns every row.
	All(ctx context.Context) (map[string][]byte, error)
}

// TableIntents keep intents in a table. They are as durable as the table is; a Redis that loses its memory in a
// crash loses the intents of at most the runs under way.
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
func (r *TableIntents) Location() string { return "the store that the replicas share" }

// Open implements [Intents]. A row that is no intent is an error: somebody else writes there.
func (r *TableIntents) Open(ctx context.Context) ([]Intent, error) {
	rows, err := r.table.All(ctx)
	if err != nil {
		return nil, err
	}
	open := make([]Intent, 0, len(rows))
	for session, text := range rows {
		i, err := parseIntent(session, text)
		if err != nil {
			return nil, err
		}
		open = append(open, i)
	}
	return open, nil
}
