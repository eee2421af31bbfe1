package store

import (
	"errors"
	"time"
)

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
