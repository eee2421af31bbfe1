// Package redis keeps sealed records and leases in Redis, shared by all replicas. Only this package imports go-redis.
//
// A record is the hash qg:v1:r:KEY with the fields v (its version) and b (the sealed bytes); a lease is the string
// qg:v1:l:KEY with the owner. Every operation is one Lua script: version check, write, expiry and announcement are
// atomic, and a read never combines the value of one write with the TTL of another. The channel qg:v1:ev carries only
// KEY.
//
// The Redis user needs only these permissions:
//
//	~qg:v1:* &qg:v1:* +ping +eval +evalsha +hmget +pttl +hget +hset +pexpire +publish +subscribe
//	+get +set +del +hdel +hscan
//
// plus +select when the URL names a database, and +cluster|slots +command for a cluster. A record's and a lease's key
// have a hash tag, so that the keys of a session are in one slot of a cluster.
//
// Redis may become unavailable at any time. Every operation then fails within [DefaultTimeout] with
// store.ErrStoreUnavailable, and works again about a second after Redis does. A context's deadline applies at once; its
// cancellation is noticed when the operation ends, at most [DefaultTimeout] later.
package redis

import (
	"context"
	"crypto/rand"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"qrgate/internal/secret"
	"qrgate/internal/store"
)

const (
	// DefaultTimeout bounds one operation, its retry included. It is the cost of a Redis outage for the request that
	// notices it.
	DefaultTimeout = 150 * time.Millisecond

	recordPrefix = "qg:v1:r:"
	leasePrefix  = "qg:v1:l:"
	channel      = "qg:v1:ev"
)

// Config configures a Store. Only URL is required.
type Config struct {
	// URL is redis://user:password@host:port/db, unix://user:password@/path?db=0,
	// redis+sentinel://user:password@host1,host2/master/db or redis+cluster://user:password@host1,host2. With rediss
	// instead of redis it is TLS.
	URL secret.Secret

	// Password, if set, replaces the one of URL.
	Password secret.Secret

	// TLS are certificates for rediss.
	TLS TLS

	// Timeout bounds one operation; zero means [DefaultTimeout].
	Timeout time.Duration

	// Observe, if not nil, is called with every operation that was sent: its name ("get", "put", "acquire", "release",
	// "ping"), duration and error. It runs on the caller's goroutine and must not block. A lost or restored event
	// connection is a "subscribe" operation.
	Observe func(op string, took time.Duration, err error)
}

// Store keeps records and leases in Redis: one server, the master that Sentinels name, or a cluster. It is safe for
// concurrent use; make it with [New].
type Store struct {
	id      string // of this store's own record, see Ping
	timeout time.Duration
	observe func(op string, took time.Duration, err error)
	refused atomic.Pointer[error] // the server's refusal of the subscription

	client   redis.UniversalClient // commands
	events   redis.UniversalClient // only the subscription, so that a busy pool does not delay it
	scripts  scripts
	topology topology
	watch    store.Watchers
	closing  sync.Once
}

// New returns a store that connects when it is first used. It starts nothing; see [Store.Run].
// The error explains what is wrong with the URL without repeating any part of it.
func New(c Config) (*Store, error) {
	if c.Timeout <= 0 {
		c.Timeout = DefaultTimeout
	}
	server, err := newServer(c)
	if err != nil {
		return nil, err
	}
	disableLogger()
	return &Store{
		timeout:  c.Timeout,
		observe:  c.Observe,
		id:       rand.Text(),
		client:   server.connect(),
		events:   server.connect(),
		scripts:  newScripts(),
		topology: server.topology,
	}, nil
}

// Ping writes, reads, leases and releases a record of its own by the scripts of every other operation, so it fails if
// any of them would, and if the server refuses the event connection. The error wraps store.ErrStoreUnavailable and
// says what is wrong with this server.
func (s *Store) Ping(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	key := "{check." + s.id + "}"
	return s.do(ctx, "ping", func(ctx context.Context) error {
		version := time.Now().UnixMilli()
		_, err := s.put(ctx, key, version-1, store.Record{Version: version, Value: []byte(s.id), TTL: checkTTL})
		if err == nil {
			_, err = s.get(ctx, []string{key})
		}
		if err == nil {
			_, err = s.acquire(ctx, key, s.id, checkTTL)
		}
		if err == nil {
			err = s.release(ctx, key, s.id)
		}
		if refused := s.refused.Load(); err == nil && refused != nil {
			err = *refused
		}
		return s.identify(ctx, err)
	})
}

// checkTTL is how long the record of Ping lives.
const checkTTL = 5 * time.Second

// Close closes all connections; operations fail from then on. A store whose [Store.Run] has returned is already closed.
// Further calls do nothing.
func (s *Store) Close() {
	s.closing.Do(func() {
		// An error here only means that a socket was closed before.
		_ = s.client.Close()
		_ = s.events.Close()
	})
}

// do runs one operation within its timeout, translates its error and calls the observer.
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

// disableLogger turns off the library's log. It is global, writes to standard error without redaction, and may quote
// what a server sent. Observe reports the same events.
func disableLogger() { redis.SetLogger(&logging.VoidLogger{}) }
