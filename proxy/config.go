package proxy

import (
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"qrgate/internal/seal"
	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// Config says how a Front behaves. Only Engine is needed for a useful one; the zero value of every other
// field has the meaning given beside it.
type Config struct {
	// Engine is the base URL of the engine: scheme, host and, rarely, a path that stands before every
	// path of a client. Without one, whatever is no session route is answered 404.
	Engine *url.URL

	// Transport carries the calls to the engine. Default: Transport(TransportOptions{}).
	Transport http.RoundTripper

	// TrustedProxies are the networks whose X-Forwarded-* and client address headers are believed.
	// Default: none, so that those headers are replaced by what the gate sees itself.
	TrustedProxies []netip.Prefix

	// Observe is told of every request, once, after its answer was written. It must not block and may be
	// called by many goroutines at once. Default: nobody is told.
	Observe func(RequestLog)

	// TrafficClass tells the gate's own probes from users, by the key presented in X-API-Key.
	// Default: everything comes from users.
	TrafficClass func(key secret.Secret) session.TrafficClass

	// QRService answers the session routes. Without one they pass through.
	QRService QRService

	// Loop knows the gate's own requests again, should the engine's address lead back to it. Its Transport carries
	// what QRService asks. Default: one of the front's own.
	Loop *Loop

	// Trail ties requests to the journeys that they are part of. Default: nobody traces.
	Trail Tracer

	// Vault makes tenants of credentials. It must be set when QRService is.
	Vault *seal.Sealer

	// Logger takes panics, and nothing else. Default: they are not logged, only observed as 503.
	Logger *slog.Logger

	// PassBody bounds the body of a request that passes through, in bytes; beyond it the answer is 413.
	// Default: 128 MiB, which leaves room for the documented uploads of 100 MB.
	PassBody int64

	// SessionBody bounds the body of a request on a session route, in bytes. Default: 1 MiB.
	SessionBody int64

	// SessionBodyTime is how long a client may take to send the whole body of a request on a session
	// route. Default: 15 s.
	SessionBodyTime time.Duration

	// Idle is how long a request that passes through may go without a byte in either direction, before
	// the engine's answer as well as during it. There is no total bound. Default: 120 s.
	Idle time.Duration
}

// withDefaults fills what is zero.
func (c Config) withDefaults() Config {
	if c.Transport == nil {
		c.Transport = Transport(TransportOptions{})
	}
	if c.Observe == nil {
		c.Observe = func(RequestLog) {}
	}
	if c.TrafficClass == nil {
		c.TrafficClass = func(secret.Secret) session.TrafficClass { return session.UserTraffic }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Loop == nil {
		c.Loop = NewLoop()
	}
	c.PassBody = positive(c.PassBody, 128<<20)
	c.SessionBody = positive(c.SessionBody, 1<<20)
	c.SessionBodyTime = positive(c.SessionBodyTime, 15*time.Second)
	c.Idle = positive(c.Idle, 120*time.Second)
	return c
}

// positive is v, or fallback where v is zero or less.
func positive[T int64 | time.Duration](v, fallback T) T {
	if v <= 0 {
		return fallback
	}
	return v
}
