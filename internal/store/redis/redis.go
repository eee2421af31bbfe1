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

// What can be wrong with a URL. The parser's own errors quote it, password and all, so they are dropped.
var (
	errNoURL  = errors.New("the Redis URL is empty; it looks like redis://user:password@host:6379/0")
	errNotURL = errors.New("the Redis URL cannot be parsed; it looks like redis://user:password@host:6379/0, " +
		"and special characters in the password must be percent-encoded")
	errScheme = errors.New("the Redis URL must begin with redis:// or, for TLS, rediss://")
	errParts  = errors.New("the Redis URL names a database or an option that is not understood; " +
		"after the host comes at most /NUMBER")
)

// leastWait is how long a dial, and the wait for a free connection, may take at least. It is more than
// [DefaultTimeout]: a dial goes on after the operation that wanted it has given up, and serves the next.
const leastWait = 200 * time.Millisecond

// options are those of a server that must never hold a request up (reliability.md 3.4). They stand
// above whatever the URL's query says.
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
	opt.ContextTimeoutEnabled = true // off, the library ignores the caller's deadline
	opt.DialTimeout = max(leastWait, timeout)
	opt.DialerRetries = 1 // the default, 5 pauses of 100 ms, is spent on every call while Redis is down
	opt.ReadTimeout = timeout
	opt.WriteTimeout = timeout
	opt.PoolTimeout = max(leastWait, timeout)
	opt.MaxRetries = 1 // for the pooled connection that a restarted server no longer knows
	opt.MinRetryBackoff = 5 * time.Millisecond
	opt.MaxRetryBackoff = 20 * time.Millisecond
	opt.DisableIdentity = true // CLIENT SETINFO timing out is how replies got mixed up in CVE-2025-29923
	opt.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return opt, nil
}

// disableLogger turns off the library's own log. It is one for the whole process, writes to standard error past
// the gate's redaction, and its lines may quote what a server sent. What it has to say, Observe says.
func disableLogger() { redis.SetLogger(&logging.VoidLogger{}) }

// errProtocol says that an answer has not the shape of an answer to what was asked.
var errProtocol = errors.New("the answer does not fit the question")

// translate puts the error of an operation into the house's words. The library's text never gets out: it
// may quote addresses, commands with their arguments, or whatever the server sent.
//
// A caller who went away is not a store that is down, and gets context.Canceled alone.
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

// reason says in fixed words why an operation failed.
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

// code is the first word of a server's error if it is one of Redis's own. The rest of the line may quote
// keys and arguments, and a server that is out of step may put anything there.
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
