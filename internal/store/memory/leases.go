package memory

import (
	"context"
	"errors"
	"time"
)

var errBadLease = errors.New("a lease needs an owner and a life above zero")

// Acquire takes or renews owner's lease of key for ttl from now. It reports false while another owner
// holds it. Leases and records of one key have nothing to do with each other.
// The error is that of ctx, or says that owner is empty or ttl is not above 0.
func (s *Store) Acquire(ctx context.Context, key, owner string, ttl time.Duration) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if owner == "" || ttl <= 0 {
		return false, errBadLease
	}
	sh := s.shard(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	now := time.Now()
	if held, ok := sh.leases.get(key, now); ok && held.value != owner {
		return false, nil
	}
	sh.leases.put(key, row[string]{value: owner, expiresAt: now.Add(ttl)})
	return true, nil
}

// Release gives owner's lease of key back. A lease of another owner stays as it is.
// The error is that of ctx, or nil.
func (s *Store) Release(ctx context.Context, key, owner string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	sh := s.shard(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if held, ok := sh.leases.rows[key]; ok && held.value == owner {
		delete(sh.leases.rows, key)
	}
	return nil
}
