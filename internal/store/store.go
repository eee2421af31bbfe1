// Package store defines how sessions are stored: sealed records with a version and a TTL, and leases. Its subpackages
// implement it in memory and in Redis; [Tiered] combines two stores.
package store

import (
	"context"
	"errors"
	"time"
)

// Store keeps sealed records. It cannot read them, and it may become unavailable at any time.
type Store interface {
	// Get reads keys in one round trip; an absent or expired one is a zero Record.
	Get(ctx context.Context, keys ...string) ([]Record, error)
	// Put writes if the stored version is at most prev, else it returns ErrVersionConflict.
	Put(ctx context.Context, key string, prev int64, r Record) error
	// Watch signals after any replica's Put of key; stop ends it.
	Watch(key string) (changed <-chan struct{}, stop func())
}

// Leases let one replica at a time poll the engine for a session. They save calls; correctness must not depend on them.
type Leases interface {
	// Acquire takes or renews owner's lease of key for ttl; false while another owner holds it.
	Acquire(ctx context.Context, key, owner string, ttl time.Duration) (bool, error)
	// Release ends owner's lease, if there is one.
	Release(ctx context.Context, key, owner string) error
}

// LeasedStore is a store with leases.
type LeasedStore interface {
	Store
	Leases
}

// Record is one sealed value in a store.
type Record struct {
	Version int64         // grows with every write of a key; 0 means absent
	Value   []byte        // sealed; empty means a tombstone, which readers treat as absent
	TTL     time.Duration // from the write on; must be positive
}

// CheckPut returns an error if a writer that read version prev may not write r, whatever is stored.
func CheckPut(prev int64, r Record) error {
	if prev < 0 || r.Version <= prev || r.TTL <= 0 {
		return errBadRecord
	}
	return nil
}

// CheckLease returns an error if no lease can be taken with these arguments.
func CheckLease(owner string, ttl time.Duration) error {
	if owner == "" || ttl <= 0 {
		return errBadLease
	}
	return nil
}

// Errors that every store returns as they are, for errors.Is.
var (
	// ErrVersionConflict means that the store has a newer version than the writer had read.
	ErrVersionConflict = errors.New("a newer record is stored")
	// ErrStoreUnavailable means that the store cannot be reached. qrgate continues without it.
	ErrStoreUnavailable = errors.New("the store cannot be reached")

	// Programming errors of the caller.
	errBadRecord = errors.New("a record needs a version above the one that was read, and a positive TTL")
	errBadLease  = errors.New("a lease needs an owner and a positive TTL")
)
