package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"qrgate/compat/embedded"
	"qrgate/internal/app"
	"qrgate/internal/notify"
	"qrgate/internal/seal"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/internal/store/redis"
	"qrgate/internal/webhook"
	"qrgate/probes"
	"qrgate/proxy"
)

// settings are the settings of the gateway as the operator writes them.
type settings struct {
	Listen      string `env:"QRGATE_LISTEN" default:":8080"`
	AdminListen string `env:"QRGATE_ADMIN_LISTEN" default:"127.0.0.1:8081"`
	ReusePort   bool   `env:"QRGATE_REUSE_PORT"`
	AdminHosts  string `env:"QRGATE_ADMIN_HOSTS" placeholder:"NAME,…"`

	EngineURL      string        `env:"QRGATE_ENGINE_URL" placeholder:"URL"`
	Engines        string        `env:"QRGATE_ENGINES" placeholder:"NAME=KIND:URL,…"`
	EngineKind     string        `env:"QRGATE_ENGINE_KIND" default:"inboxhub" enum:"inboxhub,evolution,gowa,waha,wuzapi"`
	Front          string        `env:"QRGATE_FRONT" default:"documented" enum:"documented,native"`
	TrustedProxies string        `env:"QRGATE_TRUSTED_PROXIES" placeholder:"CIDR,…"`
	CORSOrigins    string        `name:"cors-origins" env:"QRGATE_CORS_ORIGINS" placeholder:"ORIGIN,…"`
	PublicURL      string        `name:"public-url" env:"QRGATE_PUBLIC_URL" placeholder:"URL"`
	FrameAncestors string        `name:"pair-frame-ancestors" env:"QRGATE_PAIR_FRAME_ANCESTORS" placeholder:"ORIGIN,…"`
	Docs           bool          `env:"QRGATE_DOCS"`
	QRFormat       string        `name:"qr-format" env:"QRGATE_QR_FORMAT" default:"data-url"`
	QRWaitInitial  time.Duration `env:"QRGATE_QR_WAIT_INITIAL" default:"9s"`
	QRWait         time.Duration `env:"QRGATE_QR_WAIT" default:"4.5s"`
	MaxWaiters     int           `env:"QRGATE_MAX_WAITERS" default:"5000"`
	RecoveryForce  bool          `env:"QRGATE_RECOVERY_FORCE"`

	RedisURL      string `env:"QRGATE_REDIS_URL" placeholder:"URL"`
	RedisPassword string `env:"QRGATE_REDIS_PASSWORD" placeholder:"TEXT"`
	RedisCA       string `name:"redis-ca" env:"QRGATE_REDIS_CA" placeholder:"PEM"`
	RedisCert     string `env:"QRGATE_REDIS_CERT" placeholder:"PEM"`
	RedisKey      string `env:"QRGATE_REDIS_KEY" placeholder:"PEM"`
	Secret        string `env:"QRGATE_SECRET" placeholder:"TEXT"`
	Replicas      int    `env:"QRGATE_REPLICAS" default:"1"`

	APIKeys     string `env:"QRGATE_API_KEYS" placeholder:"NAME:KEY,…"`
	DataDir     string `env:"QRGATE_DATA_DIR" default:"./qrgate-data"`
	DatabaseURL string `env:"QRGATE_DATABASE_URL" placeholder:"URL"`
	DeviceName  string `env:"QRGATE_DEVICE_NAME" default:"qrgate"`
	WAVersion   string `name:"wa-version" env:"QRGATE_WA_VERSION" placeholder:"VERSION"`
	MaxSessions int    `env:"QRGATE_MAX_SESSIONS" default:"500"`
	MaxDials    int    `env:"QRGATE_MAX_DIALS" default:"20"`
	MaxLogins   int    `env:"QRGATE_MAX_LOGINS" default:"8"`

	WebhookURL     string `name:"webhook-url" env:"QRGATE_WEBHOOK_URL" placeholder:"URL"`
	WebhookSecret  string `name:"webhook-secret" env:"QRGATE_WEBHOOK_SECRET" placeholder:"TEXT"`
	WebhookPrivate bool   `name:"webhook-allow-private" env:"QRGATE_WEBHOOK_ALLOW_PRIVATE"`

	ProbeAPIKey      string        `env:"QRGATE_PROBE_API_KEY" placeholder:"KEY"`
	ProbeInterval    time.Duration `env:"QRGATE_PROBE_INTERVAL" default:"300s"`
	ProbeMaintenance string        `env:"QRGATE_PROBE_MAINTENANCE" placeholder:"TIMES"`
	WhatsAppCheck    bool          `name:"whatsapp-check" env:"QRGATE_WHATSAPP_CHECK" default:"true" negatable:""`

	NotifyURLs string `name:"notify-urls" env:"QRGATE_NOTIFY_URLS" placeholder:"URL…"`

	LogLevel  string `env:"QRGATE_LOG_LEVEL" default:"info" enum:"debug,info,warn,error"`
	LogFormat string `env:"QRGATE_LOG_FORMAT" default:"json" enum:"json,text"`
	PProf     bool   `env:"QRGATE_PPROF" name:"pprof"`
}

// unchecked are the settings that need no validation.
func (s settings) unchecked() app.Config {
	return app.Config{
		Listen: address(s.Listen, ""), AdminListen: address(s.AdminListen, "127.0.0.1"), AdminHosts: split(s.AdminHosts),
		QRWaitInitial: s.QRWaitInitial, QRWait: s.QRWait, MaxWaiters: s.MaxWaiters, RecoveryForce: s.RecoveryForce,
		Docs: s.Docs, ReusePort: s.ReusePort,
		RedisURL: secret.NewSecret(s.RedisURL), RedisPassword: secret.NewSecret(s.RedisPassword),
		Secret: secret.NewSecret(s.Secret), Replicas: s.Replicas,
		RedisTLS: redis.TLS{CA: s.RedisCA, Cert: s.RedisCert, Key: secret.NewSecret(s.RedisKey)},
		DataDir:  s.DataDir, DatabaseURL: secret.NewSecret(s.DatabaseURL),
		DeviceName: s.DeviceName, AllowPrivateWebhooks: s.WebhookPrivate, WhatsAppVersion: s.WAVersion,
		EngineLimits: embedded.Limits{Sessions: s.MaxSessions, Dials: s.MaxDials, Logins: s.MaxLogins},
		ProbeKey:     secret.NewSecret(s.ProbeAPIKey), ProbeInterval: s.ProbeInterval,
		NotifyAddresses: notify.ParseAddresses(s.NotifyURLs),
		WhatsAppCheck:   s.WhatsAppCheck, PProf: s.PProf, Version: version,
	}
}

// config validates the settings. It returns every error at once; each names its variable.
func (s settings) config() (app.Config, error) {
	cfg := s.unchecked()
	if s.AdminListen == "off" {
		cfg.AdminListen = ""
	}
	var errs []error
	collect := func(name string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s%w", name, err))
		}
	}
	var err error
	collect("", s.setEngines(&cfg))
	cfg.TrustedProxies, err = parsePrefixes(s.TrustedProxies)
	collect("QRGATE_TRUSTED_PROXIES: ", err)
	cfg.CORSOrigins, err = parseOrigins(s.CORSOrigins)
	collect("QRGATE_CORS_ORIGINS ", err)
	if cfg.PairFrameAncestors, err = parseOrigins(s.FrameAncestors); slices.Contains(cfg.PairFrameAncestors, "*") {
		err = errors.New("must name origins: a page of any origin could trick people into linking their phone")
	}
	collect("QRGATE_PAIR_FRAME_ANCESTORS ", err)
	cfg.PublicURL = s.PublicURL
	collect("QRGATE_PUBLIC_URL ", checkPublicURL(s.PublicURL))
	collect("QRGATE_ADMIN_HOSTS ", checkAdminHosts(s.AdminHosts))
	cfg.QRFormats, err = proxy.ParseQRFormats(s.QRFormat)
	collect("QRGATE_QR_FORMAT ", err)
	if s.APIKeys != "" {
		cfg.APIKeys, err = embedded.ParseKeys(s.APIKeys)
		collect("QRGATE_API_KEYS: ", err)
	}
	if s.ProbeMaintenance != "" {
		cfg.ProbePauses, err = probes.ParseWindows(s.ProbeMaintenance)
		collect("QRGATE_PROBE_MAINTENANCE: ", err)
	}
	if s.ProbeInterval < 30*time.Second {
		collect("QRGATE_PROBE_INTERVAL ", errors.New("must be at least 30s: each probe makes a handshake with WhatsApp"))
	}
	cfg.Webhook, err = s.webhook()
	collect("", err)
	if s.WAVersion != "" {
		collect("QRGATE_WA_VERSION ", embedded.ParseVersion(s.WAVersion))
	}
	for name, n := range map[string]int{"QRGATE_MAX_SESSIONS": s.MaxSessions, "QRGATE_MAX_DIALS": s.MaxDials,
		"QRGATE_MAX_LOGINS": s.MaxLogins, "QRGATE_REPLICAS": s.Replicas,
		"QRGATE_MAX_WAITERS": s.MaxWaiters} {
		if n < 1 {
			collect(name+" ", errors.New("must be at least 1"))
		}
	}
	if key := s.ProbeAPIKey; s.hasEmbedded() && key != "" && len(key) < embedded.MinKey {
		collect("QRGATE_PROBE_API_KEY ", fmt.Errorf("must have at least %d characters", embedded.MinKey))
	}
	if s.ReusePort && s.hasEmbedded() {
		collect("QRGATE_REUSE_PORT ", errors.New("needs QRGATE_ENGINE_URL: two processes cannot share the phones of the "+
			"embedded engine. Use systemd's socket activation (deploy/systemd)"))
	}
	collect("QRGATE_QR_WAIT_INITIAL ", checkWait(s.QRWaitInitial))
	collect("QRGATE_QR_WAIT ", checkWait(s.QRWait))
	return cfg, errors.Join(errs...)
}

// webhook returns nil without a URL.
func (s settings) webhook() (*webhook.Target, error) {
	if s.WebhookURL == "" {
		return nil, nil
	}
	target, err := webhook.NewTarget(s.WebhookURL, secret.NewSecret(s.WebhookSecret), nil, s.WebhookPrivate)
	if err != nil {
		return nil, fmt.Errorf("QRGATE_WEBHOOK_URL %w; QRGATE_WEBHOOK_ALLOW_PRIVATE=true permits http and private addresses",
			err)
	}
	if len(s.WebhookSecret) < seal.MinSecret {
		return nil, fmt.Errorf("QRGATE_WEBHOOK_SECRET must have at least %d characters: "+
			"it signs the events of QRGATE_WEBHOOK_URL, and encrypts their queue; make one with: openssl rand -hex 32",
			seal.MinSecret)
	}
	return target, nil
}

// setDialect sets the engine's API and the clients'.
func (s settings) setDialect(cfg *app.Config) error {
	for _, d := range app.Dialects() {
		if d.Kind == s.EngineKind {
			cfg.Dialect = d
		}
	}
	cfg.NativeFront = s.Front == nativeFront
	switch {
	case cfg.Dialect != nil && cfg.EngineURL == nil:
		return fmt.Errorf("QRGATE_ENGINE_KIND is %s, and QRGATE_ENGINE_URL is not set: set it to the engine's address",
			s.EngineKind)
	case cfg.NativeFront && cfg.Dialect == nil:
		return errors.New("QRGATE_FRONT is native, and QRGATE_ENGINE_KIND names no engine with an API of its own: " +
			"set it to evolution, gowa, waha or wuzapi")
	}
	return nil
}

// parseOrigins checks origins as browsers send them, "https://crm.example", or "*".
func parseOrigins(text string) ([]string, error) {
	origins := split(text)
	for _, origin := range origins {
		u, err := url.Parse(origin)
		if origin != "*" && (err != nil || u.Host == "" || u.Scheme+"://"+u.Host != origin) {
			return nil, errors.New("must be like https://crm.example, without a path, or *")
		}
	}
	return origins, nil
}

// parseEngineURL returns nil for an empty text: the embedded engine.
func parseEngineURL(text string) (*url.URL, error) {
	if text == "" {
		return nil, nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("must be like http://engine:8084 or https://engine.example")
	}
	if port, err := strconv.ParseUint(cmp.Or(u.Port(), "80"), 10, 16); err != nil || port == 0 {
		return nil, errors.New("must have a port from 1 to 65535, or none")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("must have no user, query or fragment: clients send their own keys")
	}
	path := strings.TrimSuffix(u.Path, "/")
	if strings.HasSuffix(path, "/api") || strings.Contains(path+"/", "/api/sessions/") {
		return nil, errors.New("must end before /api: clients' paths begin with it")
	}
	return u, nil
}

// isOwnAddress reports whether u leads to the address listen of this host. It cannot see addresses that lead back
// through another host; the first request detects those.
func isOwnAddress(listen string, u *url.URL) bool {
	host, port, err := net.SplitHostPort(listen)
	if want := u.Port(); err != nil || want != port && (want != "" || u.Scheme != "http" || port != "80") {
		return false
	}
	engine := u.Hostname()
	return engine == host || isWildcard(host) && isLocal(engine) || isWildcard(engine) && isLocal(host) ||
		host == "localhost" && isLocal(engine) || engine == "localhost" && isLocal(host)
}

// isWildcard reports whether a listen host means all addresses.
func isWildcard(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "" || err == nil && addr.IsUnspecified()
}

// isLocal reports whether a host is this host, whatever its network.
func isLocal(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || isWildcard(host) || err == nil && addr.IsLoopback()
}

// address understands a port alone.
func address(text, host string) string {
	if _, err := strconv.ParseUint(text, 10, 16); err == nil {
		return host + ":" + text
	}
	return text
}

// split splits a list at commas and spaces.
func split(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

func parsePrefixes(text string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, part := range split(text) {
		p, err := netip.ParsePrefix(part)
		if addr, addrErr := netip.ParseAddr(part); addrErr == nil {
			p, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("%q is not a network; write 10.0.0.0/8 or an address", part)
		}
		out = append(out, p)
	}
	return out, nil
}

func checkPublicURL(text string) error {
	u, err := url.Parse(text)
	if text != "" && (err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		u.Scheme != "http" && u.Scheme != "https") {
		return errors.New("must be like https://qr.example, without a user, query or fragment")
	}
	return nil
}

func checkAdminHosts(text string) error {
	if strings.ContainsAny(text, "/:*") {
		return errors.New("must be names without scheme, port and *, as qrgate.internal")
	}
	return nil
}

func checkWait(d time.Duration) error {
	if d < 0 || d > session.MaxWait {
		return fmt.Errorf("must be between 0s and %s, and is %s", session.MaxWait, d)
	}
	return nil
}
