package store

import (
	"context"
	"errors"
	"time"
)

// Store keeps sealed records. It never sees what is inside, and it may vanish at any time.
type Store interface {
	// Get reads keys in one round trip; what is absent or expired is a zero Record.
	Get(ctx context.Context, keys ...string) ([]Record, error)
	// Put writes when the stored version is at most prev, else it returns qrgate.ErrVersionConflict.
	Put(ctx context.Context, key string, prev int64, r Record) error
	// Watch signals after any replica's Put of key; stop releases it.
	Watch(key string) (changed <-chan struct{}, stop func())
}

// Leases let one replica at a time look at the engine for a session. They save calls; nothing that
// must be right depends on them.
type Leases interface {
	// Acquire takes or renews owner's lease of key for ttl; false while another owner holds it.
	Acquire(ctx context.Context, key, owner string, ttl time.Duration) (bool, error)
	// Release gives it back early; releasing what one does not hold is no error.
	Release(ctx context.Context, key, owner string) error
}

// LeasedStore is a store with leases.
type LeasedStore interface {
	Store
	Leases
}

// Record is one sealed value in a store. A store never sees what is inside.
type Record struct {
	Version int64         // grows with every write of a key; 0 means absent
	Value   []byte        // sealed; empty means a tombstone, which readers treat as absent
	TTL     time.Duration // life from the moment of the write; must be > 0
}

// Errors that every store returns as they are, for errors.Is.
var (
	// ErrVersionConflict says that the store holds a newer version than the writer had read.
	ErrVersionConflict = errors.New("a newer record is stored")
	// ErrStoreUnavailable says that the store could not be asked. The gate goes on without it.
	ErrStoreUnavailable = errors.New("the store cannot be reached")
)
