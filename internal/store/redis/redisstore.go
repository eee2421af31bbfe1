// Package redisstore keeps sealed records and leases in Redis, where every replica of the gate sees them.
// It is the only room that knows go-redis.
//
// A record is the hash qg:v1:r:KEY with the fields v (its version) and b (the sealed bytes), a lease the
// string qg:v1:l:KEY with the owner. Every operation is one Lua script, so that the version check, the
// write, its life and its announcement happen together or not at all, and a read never pairs the value of
// one write with the life of another. The channel qg:v1:ev carries KEY and nothing else.
//
// The server's user needs no more than this:
//
//	~qg:v1:* &qg:v1:* +ping +eval +evalsha +hmget +pttl +hget +hset +pexpire +publish +subscribe
//	+get +set +del +hdel +hgetall
//
// plus +select when the URL names a database.
//
// Redis may vanish at any time; every operation then fails within [DefaultTimeout] with qrgate.ErrStoreUnavailable,
// and works again within about a second of Redis doing so. A context's deadline is kept to; its cancellation
// is noticed when the operation ends, which is at most [DefaultTimeout] later.
package redis

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"qrgate/internal/secret"
)

const (
	// DefaultTimeout bounds one operation, its retry included. It is what a gate that lost its Redis may
	// cost the request that notices.
	DefaultTimeout = 150 * time.Millisecond

	recordPrefix = "qg:v1:r:"
	leasePrefix  = "qg:v1:l:"
	channel      = "qg:v1:ev"
)

// Config says where Redis is. Only URL is needed.
type Config struct {
	// URL is redis://user:password@host:port/db, or rediss:// for TLS.
	URL secret.Secret

	// Timeout bounds one operation; zero means [DefaultTimeout].
	Timeout time.Duration

	// Observe, if not nil, is told of every operation that was sent: its name ("get", "put", "acquire",
	// "release", "ping"), how long it took and what it returned. It is called on the caller's goroutine
	// and must not block. Losses and gains of the event connection are "subscribe" operations.
	Observe func(op string, took time.Duration, err error)
}

// Store keeps records and leases in one Redis server. It is safe for concurrent use; make it with [New].
type Store struct {
	timeout time.Duration
	observe func(op string, took time.Duration, err error)

	client  *redis.Client // commands
	events  *redis.Client // the subscription alone, so that a busy pool never delays it
	scripts scripts
	watch   watchers
	closing sync.Once
}

// New returns a store that connects when it is first used. It starts nothing; see [Store.Run].
// The error says what is wrong with the URL without repeating any part of it.
func New(c Config) (*Store, error) {
	if c.Timeout <= 0 {
		c.Timeout = DefaultTimeout
	}
	opt, err := options(c.URL, c.Timeout)
	if err != nil {
		return nil, err
	}
	disableLogger()
	return &Store{
		timeout: c.Timeout,
		observe: c.Observe,
		client:  redis.NewClient(opt),
		events:  redis.NewClient(opt),
		scripts: newScripts(),
		watch:   watchers{byKey: make(map[string]map[chan struct{}]struct{})},
	}, nil
}

// Ping reports whether Redis answers, as nil or an error that wraps qrgate.ErrStoreUnavailable.
func (s *Store) Ping(ctx context.Context) error {
	return s.do(ctx, "ping", func(ctx context.Context) error { return s.client.Ping(ctx).Err() })
}

// Close ends all connections; operations fail from then on. A store whose [Store.Run] has returned is
// closed already. More calls do nothing.
func (s *Store) Close() {
	s.closing.Do(func() {
		// An error here says only that a socket was gone before we closed it.
		_ = s.client.Close()
		_ = s.events.Close()
	})
}

// do does one operation within its time, puts its error into the house's words and tells the observer.
func (s *Store) do(ctx context.Context, op string, do func(context.Context) error) error {
	start := time.Now()
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err := translate(ctx, op, do(bounded))
	s.notify(op, time.Since(start), err)
	return err
}

func (s *Store) notify(op string, took time.Duration, err error) {
	if s.observe != nil {
		s.observe(op, took, err)
	}
}
