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
//	+get +set +del +hdel +hgetall
//
// plus +select when the URL names a database.
//
// Redis may become unavailable at any time. Every operation then fails within [DefaultTimeout] with
// store.ErrStoreUnavailable, and works again about a second after Redis does. A context's deadline applies at once; its
// cancellation is noticed when the operation ends, at most [DefaultTimeout] later.
package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"

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
	// URL is redis://user:password@host:port/db, or rediss:// for TLS.
	URL secret.Secret

	// Timeout bounds one operation; zero means [DefaultTimeout].
	Timeout time.Duration

	// Observe, if not nil, is called with every operation that was sent: its name ("get", "put", "acquire", "release",
	// "ping"), duration and error. It runs on the caller's goroutine and must not block. A lost or restored event
	// connection is a "subscribe" operation.
	Observe func(op string, took time.Duration, err error)
}

// Store keeps records and leases in one Redis server. It is safe for concurrent use; make it with [New].
type Store struct {
	timeout time.Duration
	observe func(op string, took time.Duration, err error)

	client  *redis.Client // commands
	events  *redis.Client // only the subscription, so that a busy pool does not delay it
	scripts scripts
	watch   store.Watchers
	closing sync.Once
}

// New returns a store that connects when it is first used. It starts nothing; see [Store.Run].
// The error explains what is wrong with the URL without repeating any part of it.
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
	}, nil
}

// Ping returns nil if Redis responds, else an error that wraps store.ErrStoreUnavailable.
func (s *Store) Ping(ctx context.Context) error {
	return s.do(ctx, "ping", func(ctx context.Context) error { return s.client.Ping(ctx).Err() })
}

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

// Errors of a URL. The parser's own errors quote it with its password, so they are dropped.
var (
	errNoURL  = errors.New("the Redis URL is empty; it looks like redis://user:password@host:6379/0")
	errNotURL = errors.New("the Redis URL cannot be parsed; it looks like redis://user:password@host:6379/0, " +
		"and special characters in the password must be percent-encoded")
	errScheme = errors.New("the Redis URL must begin with redis:// or, for TLS, rediss://")
	errParts  = errors.New("the Redis URL names a database or an option that is not understood; " +
		"after the host comes at most /NUMBER")
)

// leastWait is the minimum timeout of a dial and of the wait for a free connection. It is more than [DefaultTimeout]: a
// dial continues after its operation has timed out, and serves the next one.
const leastWait = 200 * time.Millisecond

// options are the client options (ADR 0006). They override the query of the URL.
func options(secret secret.Secret, timeout time.Duration) (*redis.Options, error) {
	if secret.Empty() {
		return nil, errNoURL
	}
	u, err := url.Parse(secret.Reveal())
	if err != nil {
		return nil, errNotURL
	}
	if u.Scheme != "redis" && u.Scheme != "rediss" {
		return nil, errScheme
	}
	opt, err := redis.ParseURL(secret.Reveal())
	if err != nil {
		return nil, errParts
	}
	opt.ContextTimeoutEnabled = true // otherwise the library ignores the caller's deadline
	opt.DialTimeout = max(leastWait, timeout)
	opt.DialerRetries = 1 // the default, 5 delays of 100 ms, would apply to every call while Redis is down
	opt.ReadTimeout = timeout
	opt.WriteTimeout = timeout
	opt.PoolTimeout = max(leastWait, timeout)
	opt.MaxRetries = 1 // for a pooled connection that a restarted server closed
	opt.MinRetryBackoff = 5 * time.Millisecond
	opt.MaxRetryBackoff = 20 * time.Millisecond
	opt.DisableIdentity = true // a timeout of CLIENT SETINFO mixed up replies in CVE-2025-29923
	opt.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return opt, nil
}

// disableLogger turns off the library's log. It is global, writes to standard error without redaction, and may quote
// what a server sent. Observe reports the same events.
func disableLogger() { redis.SetLogger(&logging.VoidLogger{}) }

// errProtocol means that a reply does not have the form of a reply to its command.
var errProtocol = errors.New("the reply does not match the command")

// translate replaces the library's error, which may quote addresses, commands with their arguments, or text of the
// server.
//
// A caller that has cancelled gets context.Canceled; the store is not unavailable then.
func translate(ctx context.Context, op string, err error) error {
	switch {
	case err == nil, errors.Is(err, store.ErrVersionConflict):
		return err
	case errors.Is(ctx.Err(), context.Canceled):
		return context.Canceled
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%w: %s: %w", store.ErrStoreUnavailable, op, context.DeadlineExceeded)
	default:
		return fmt.Errorf("%w: %s: %s", store.ErrStoreUnavailable, op, reason(err))
	}
}

// reason is why an operation failed, as a fixed text.
func reason(err error) string {
	var network net.Error
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	var server redis.Error
	switch {
	case errors.Is(err, errProtocol), errors.Is(err, redis.Nil):
		return errProtocol.Error()
	case errors.As(err, &certificate):
		return "its certificate is not trusted"
	case errors.As(err, &dns):
		return "its name cannot be resolved"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, redis.ErrClosed):
		return "this store was closed"
	case errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted):
		return "all connections are busy"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "no answer in time"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection lost"
	case errors.As(err, &server):
		return "the server refused: " + code(server.Error())
	default:
		return "connection failed"
	}
}

// code is the first word of a server's error if it is one of Redis's own codes. The rest of the line may quote keys and
// arguments.
func code(text string) string {
	word, _, _ := strings.Cut(text, " ")
	switch word {
	case "NOAUTH", "WRONGPASS", "NOPERM", "LOADING", "OOM", "READONLY", "MISCONF", "BUSY", "MASTERDOWN",
		"CLUSTERDOWN", "MOVED", "CROSSSLOT", "WRONGTYPE", "NOREPLICAS", "NOSCRIPT":
		return word
	default:
		return "ERR"
	}
}
