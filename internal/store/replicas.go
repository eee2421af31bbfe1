package store

import (
	"context"
	"strconv"
	"sync/atomic"
	"time"
)

// Table is a small table of rows: a hash in Redis that all replicas share, or a directory of [Files]. Its errors wrap
// ErrStoreUnavailable when the store is unavailable.
type Table interface {
	// Put writes a row. It is durable when Put returns nil.
	Put(ctx context.Context, row string, value []byte) error
	// Drop removes a row; removing a missing one is no error.
	Drop(ctx context.Context, row string) error
	// All returns every row.
	All(ctx context.Context) (map[string][]byte, error)
}

// ReplicaCounter counts the replicas that use a table: each changes a row of its own regularly. During an outage of the
// table the last number counts.
type ReplicaCounter struct {
	table Table
	id    string
	count atomic.Int64
}

const (
	beatInterval = 2 * time.Second
	replicaTTL   = 10 * time.Second // a replica whose row does not change for so long has ended
)

// beat is a row as last read. Times are of this process, so that no two clocks are compared.
type beat struct {
	value     string
	changedAt time.Time
}

// NewReplicaCounter returns a counter of the replicas of a table; id is this one's. It starts nothing.
func NewReplicaCounter(table Table, id string) *ReplicaCounter {
	return &ReplicaCounter{table: table, id: id}
}

// Count is the last known number of replicas, with this one.
func (c *ReplicaCounter) Count() int { return max(1, int(c.count.Load())) }

// Run changes this replica's row and counts the others until ctx ends, then removes the row and returns nil.
func (c *ReplicaCounter) Run(ctx context.Context) error {
	tick := time.NewTicker(beatInterval)
	defer tick.Stop()
	seen, readAt := map[string]beat{}, time.Now()
	for n := 1; ; n++ {
		err := c.table.Put(ctx, c.id, strconv.AppendInt(nil, int64(n), 10))
		var rows map[string][]byte
		if err == nil {
			rows, err = c.table.All(ctx)
		}
		if now := time.Now(); err == nil {
			wasAway := now.Sub(readAt) > 2*beatInterval // the others could not change their rows either
			c.drop(ctx, update(seen, rows, wasAway, now))
			c.count.Store(int64(len(seen)))
			readAt = now
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			c.drop(context.WithoutCancel(ctx), []string{c.id})
			return nil
		}
	}
}

// drop removes rows. One that cannot be removed is removed later, by another replica.
func (c *ReplicaCounter) drop(ctx context.Context, rows []string) {
	for _, row := range rows {
		_ = c.table.Drop(ctx, row)
	}
}

// update brings what was seen up to date, and returns the rows of replicas that have ended.
func update(seen map[string]beat, rows map[string][]byte, wasAway bool, now time.Time) (ended []string) {
	for id, value := range rows {
		if b, ok := seen[id]; !ok || b.value != string(value) {
			seen[id] = beat{string(value), now}
		}
	}
	for id, b := range seen {
		switch {
		case wasAway:
			seen[id] = beat{b.value, now}
		case now.Sub(b.changedAt) > replicaTTL:
			delete(seen, id)
			ended = append(ended, id)
		}
	}
	return ended
}
