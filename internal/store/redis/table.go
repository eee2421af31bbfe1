package redis

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// tablePrefix is where tables live. They are few, small, and have no end of life.
const tablePrefix = "qg:v1:t:"

// maxRows bounds what All reads: a table that grew beyond it is not what this is for.
const maxRows = 10_000

// Table is a small table of rows that all replicas share: one hash. It needs +hdel and +hgetall beside the
// store's own commands.
type Table struct {
	store *Store
	key   string
}

// Table returns the table of this name. It does no I/O.
func (s *Store) Table(name string) *Table { return &Table{s, tablePrefix + name} }

// Put writes a row. The error wraps qrgate.ErrStoreUnavailable, or is context.Canceled if ctx was.
func (t *Table) Put(ctx context.Context, row string, value []byte) error {
	return t.do(ctx, "put", func(ctx context.Context) error { return t.store.client.HSet(ctx, t.key, row, value).Err() })
}

// Drop removes a row; removing what is not there is no error. Its errors are those of Put.
func (t *Table) Drop(ctx context.Context, row string) error {
	return t.do(ctx, "put", func(ctx context.Context) error { return t.store.client.HDel(ctx, t.key, row).Err() })
}

// All returns every row. Its errors are those of Put.
func (t *Table) All(ctx context.Context) (map[string][]byte, error) {
	rows := map[string][]byte{}
	err := t.do(ctx, "get", func(ctx context.Context) error {
		all, err := t.store.client.HGetAll(ctx, t.key).Result()
		if err != nil && err != redis.Nil {
			return err
		}
		if len(all) > maxRows {
			return errProtocol
		}
		for row, value := range all {
			rows[row] = []byte(value)
		}
		return nil
	})
	return rows, err
}

func (t *Table) do(ctx context.Context, op string, command func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return t.store.do(ctx, op, command)
}
