// Package app is the composition root: it makes the parts of a gateway, passes each what it needs, and starts and stops
// them in order. Only commands import it.
package app

import (
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"qrgate/compat/dialect"
	"qrgate/compat/embedded"
	"qrgate/internal/secret"
	"qrgate/internal/store/redis"
	"qrgate/internal/webhook"
	"qrgate/probes"
	"qrgate/proxy"
)

// EngineConfig is one engine of the gateway.
type EngineConfig struct {
	Name    string           // a metric label, and part of the ids of its sessions
	Base    *url.URL         // its URL; nil: the embedded engine
	Dialect *dialect.Dialect // as in Config
	Weight  int              // its share of new sessions; 0: none
}

// Config holds every setting. cmd/qrgate reads it from the environment.
type Config struct {
	Listen      string   // address for clients
	AdminListen string   // address for operators; empty for none
	AdminHosts  []string // names in the Host header that AdminListen accepts, besides localhost and IP addresses

	EngineURL      *url.URL         // nil: the embedded engine
	Dialect        *dialect.Dialect // of an engine with another API than the documented one; nil: the documented one
	Engines        []EngineConfig   // several engines, instead of EngineURL and Dialect
	NativeFront    bool             // clients speak the engine's own API
	CORSOrigins    []string         // origins whose pages may read every response; "*" is any
	QRFormats      proxy.QRFormats  // how QRs are written into JSON
	PublicURL      string           // begins the links of pairing pages; empty: what the request for one names
	TrustedProxies []netip.Prefix   // proxies whose X-Forwarded-* headers are trusted
	QRWaitInitial  time.Duration
	QRWait         time.Duration
	MaxWaiters     int // requests that wait at once; 0: 5000
	RecoveryForce  bool

	ReusePort          bool     // another process may listen on the same addresses, to take over
	Docs               bool     // serve the viewer of the OpenAPI document to clients, too
	PairFrameAncestors []string // origins whose pages may frame the pairing page

	RedisURL      secret.Secret // empty: memory
	RedisPassword secret.Secret // instead of the one in RedisURL
	RedisTLS      redis.TLS
	RedisTimeout  time.Duration // of one operation; 0: redis.DefaultTimeout
	Secret        secret.Secret // empty: random, for one process
	Replicas      int           // in front of the engine, at least; those that share Redis are counted

	APIKeys     []embedded.Key // of the embedded engine; empty: one is generated and stored in DataDir
	DataDir     string
	DatabaseURL secret.Secret
	WhatsApp    *http.Client // connects the embedded engine; nil: the real WhatsApp

	EngineLimits    embedded.Limits // of the embedded engine
	DeviceName      string          // in the phone's list of linked devices; empty: qrgate
	WhatsAppVersion string          // that the embedded engine presents; empty: the library's

	Webhook              *webhook.Target // gets the events of all sessions; nil: none does
	AllowPrivateWebhooks bool            // on private addresses, and without TLS

	ProbeKey      secret.Secret   // marks synthetic traffic; empty: no probe makes sessions
	ProbeInterval time.Duration   // between two runs that acquire a QR; 0: 300 s
	ProbePauses   []probes.Window // maintenance windows

	WhatsAppCheck bool // check the connection to WhatsApp when a cause suggests it, at most once in five minutes

	NotifyAddresses []secret.Secret // of receivers of messages about outages, as shoutrrr writes them

	PProf   bool // serve profiles to operators
	Version string
	Logger  *slog.Logger // required
	Out     io.Writer    // shows a generated key once; required
}
