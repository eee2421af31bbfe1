package redis

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

var errBadLease = errors.New("a lease needs an owner and a life above zero")

// Acquire takes or renews owner's lease of key for ttl, in whole milliseconds of the server's clock. It
// reports false while another owner holds it. A lease saves work; it guards nothing, for Redis may lose it
// in a fail-over.
// The error wraps qrgate.ErrStoreUnavailable (the lease may have been taken), or is context.Canceled if ctx was,
// or says that owner is empty or ttl is not above 0.
func (s *Store) Acquire(ctx context.Context, key, owner string, ttl time.Duration) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if owner == "" || ttl <= 0 {
		return false, errBadLease
	}
	var ours bool
	err := s.do(ctx, "acquire", func(ctx context.Context) (err error) {
		ours, err = parseBool(s.scripts.acquire.Run(ctx, s.client, []string{leasePrefix + key}, owner, millis(ttl)))
		return err
	})
	return ours && err == nil, err
}

// Release gives owner's lease of key back. A lease of another owner stays as it is.
// The error wraps qrgate.ErrStoreUnavailable, or is context.Canceled if ctx was.
func (s *Store) Release(ctx context.Context, key, owner string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.do(ctx, "release", func(ctx context.Context) error {
		_, err := parseBool(s.scripts.release.Run(ctx, s.client, []string{leasePrefix + key}, owner))
		return err
	})
}

// parseBool reads the answer of a script that says 1 or 0. Anything else was meant for another question.
func parseBool(answer *redis.Cmd) (bool, error) {
	value, err := answer.Result()
	if err != nil {
		return false, err
	}
	switch value {
	case int64(1):
		return true, nil
	case int64(0):
		return false, nil
	default:
		return false, errProtocol
	}
}
