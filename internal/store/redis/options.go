package redis

import (
	"errors"
	"net/url"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"

	"qrgate/internal/secret"
)

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
