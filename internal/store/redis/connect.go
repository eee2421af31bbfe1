package redis

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"qrgate/internal/secret"
)

// TLS is what rediss:// and its kin need beyond the system's certificates, in PEM. Empty parts are not used.
type TLS struct {
	CA   string        // certificates that are trusted instead of the system's
	Cert string        // the client certificate
	Key  secret.Secret // its private key
}

// topology is how servers are found and commands distributed.
type topology int

const (
	single   topology = iota // one server: redis://, rediss://, unix://
	sentinel                 // the master that Sentinels name: redis+sentinel://
	cluster                  // the nodes of a cluster: redis+cluster://
)

// server is what a URL says: where Redis is and how to connect.
type server struct {
	topology topology
	options  redis.UniversalOptions
}

// connect returns a client. It does no I/O.
func (s *server) connect() redis.UniversalClient {
	switch s.topology {
	case sentinel:
		return redis.NewFailoverClient(s.options.Failover())
	case cluster:
		return redis.NewClusterClient(s.options.Cluster())
	default:
		return redis.NewClient(s.options.Simple())
	}
}

// Errors of a URL. The parser's own errors quote it with its password, so they are dropped.
var (
	errNoURL  = errors.New("the Redis URL is empty; it looks like redis://user:password@host:6379/0")
	errNotURL = errors.New("the Redis URL cannot be parsed; it looks like redis://user:password@host:6379/0, " +
		"and special characters in the password must be percent-encoded")
	errScheme = errors.New("the Redis URL must begin with redis://, rediss:// (TLS), unix://, redis+sentinel:// or " +
		"redis+cluster:// (or rediss+… for TLS)")
	errParts = errors.New("the Redis URL names a database or an option that is not understood; " +
		"after the host comes at most /NUMBER")
	errSentinelURL = errors.New("the Redis URL of Sentinels looks like " +
		"redis+sentinel://user:password@host1:26379,host2:26379/MASTER/0; " +
		"its options are sentinel_username and sentinel_password")
	errClusterURL = errors.New("the Redis URL of a cluster looks like " +
		"redis+cluster://user:password@host1:6379,host2:6379; a cluster has no database number and no options")
	errNoTLS = errors.New("certificates are set, and the Redis URL does not begin with rediss; use rediss for TLS")
	errCA    = errors.New("the CA for Redis (QRGATE_REDIS_CA) has no certificate in PEM")
	errCert  = errors.New("the client certificate for Redis (QRGATE_REDIS_CERT) and its key (QRGATE_REDIS_KEY) " +
		"must be a pair in PEM")
)

// leastWait is the minimum timeout of a dial and of the wait for a free connection. It is more than [DefaultTimeout]: a
// dial continues after its operation has timed out, and serves the next one.
const leastWait = 200 * time.Millisecond

// newServer reads the URL, the password and the certificates. Timeouts and retries are those of ADR 0006, whatever the
// query of the URL says.
func newServer(c Config) (*server, error) {
	if c.URL.Empty() {
		return nil, errNoURL
	}
	s, err := parseURL(c.URL.Reveal())
	if err != nil {
		return nil, err
	}
	o := &s.options
	if !c.Password.Empty() {
		o.Password = c.Password.Reveal()
	}
	if err := c.TLS.apply(o.TLSConfig); err != nil {
		return nil, err
	}
	o.ContextTimeoutEnabled = true // otherwise the library ignores the caller's deadline
	o.DialTimeout = max(leastWait, c.Timeout)
	o.DialerRetries = 1 // the default, 5 delays of 100 ms, would apply to every call while Redis is down
	o.ReadTimeout = c.Timeout
	o.WriteTimeout = c.Timeout
	o.PoolTimeout = max(leastWait, c.Timeout)
	o.MaxRetries = 1 // for a pooled connection that a restarted server closed
	o.MinRetryBackoff = 5 * time.Millisecond
	o.MaxRetryBackoff = 20 * time.Millisecond
	o.DisableIdentity = true // a timeout of CLIENT SETINFO mixed up replies in CVE-2025-29923
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return s, nil
}

func parseURL(text string) (*server, error) {
	scheme, rest, _ := strings.Cut(text, "://")
	security, kind, _ := strings.Cut(scheme, "+")
	switch {
	case scheme == "redis", scheme == "rediss", scheme == "unix":
		return parseSingle(text)
	case security != "redis" && security != "rediss", kind != "sentinel" && kind != "cluster":
		if _, err := url.Parse(text); err != nil {
			return nil, errNotURL
		}
		return nil, errScheme
	}
	// net/url knows one host, so it parses the URL without them.
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	at := strings.LastIndexByte(rest[:end], '@') + 1
	hosts := rest[at:end]
	u, err := url.Parse(security + "://" + rest[:at] + "hosts" + rest[end:])
	if err != nil || hosts == "" {
		return nil, errNotURL
	}
	s := &server{topology: cluster}
	s.options.Username = u.User.Username()
	s.options.Password, _ = u.User.Password()
	if security == "rediss" {
		s.options.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12} // each server must have its own name
	}
	port := "6379"
	if kind == "sentinel" {
		s.topology, port = sentinel, "26379"
	}
	if s.options.Addrs, err = splitHosts(hosts, port); err != nil {
		return nil, err
	}
	if kind == "sentinel" {
		return s, s.parseSentinel(u)
	}
	if u.RawQuery != "" || strings.Trim(u.Path, "/") != "" && u.Path != "/0" {
		return nil, errClusterURL
	}
	return s, nil
}

func parseSingle(text string) (*server, error) {
	if u, err := url.Parse(text); err != nil || u.Fragment != "" { // a "#" in the password
		return nil, errNotURL
	}
	o, err := redis.ParseURL(text)
	if err != nil {
		return nil, errParts
	}
	s := &server{}
	s.options = redis.UniversalOptions{
		Addrs: []string{o.Addr}, DB: o.DB, Username: o.Username, Password: o.Password, TLSConfig: o.TLSConfig,
	}
	if o.Network == "unix" {
		s.options.Dialer = func(ctx context.Context, _, path string) (net.Conn, error) {
			return (&net.Dialer{Timeout: leastWait}).DialContext(ctx, "unix", path)
		}
	}
	return s, nil
}

// parseSentinel reads /MASTER/DB and the credentials of the Sentinels.
func (s *server) parseSentinel(u *url.URL) error {
	master, db, hasDB := strings.Cut(strings.Trim(u.Path, "/"), "/")
	if s.options.MasterName = master; master == "" {
		return errSentinelURL
	}
	if hasDB {
		n, err := strconv.ParseUint(db, 10, 16)
		if err != nil {
			return errSentinelURL
		}
		s.options.DB = int(n)
	}
	for name, values := range u.Query() {
		switch name {
		case "sentinel_username":
			s.options.SentinelUsername = values[0]
		case "sentinel_password":
			s.options.SentinelPassword = values[0]
		default:
			return errSentinelURL
		}
	}
	return nil
}

func splitHosts(list, port string) ([]string, error) {
	hosts := strings.Split(list, ",")
	for i, host := range hosts {
		u, err := url.Parse("redis://" + host)
		if err != nil || u.Host != host || u.Hostname() == "" {
			return nil, errNotURL
		}
		hosts[i] = net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), port))
		if _, _, err := net.SplitHostPort(hosts[i]); err != nil { // url.Parse accepts a lone bracket
			return nil, errNotURL
		}
	}
	return hosts, nil
}

// apply adds to a TLS configuration; nil is none.
func (t TLS) apply(c *tls.Config) error {
	if t == (TLS{}) {
		return nil
	}
	if c == nil {
		return errNoTLS
	}
	if t.CA != "" {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM([]byte(t.CA)) {
			return errCA
		}
	}
	if t.Cert != "" || !t.Key.Empty() {
		pair, err := tls.X509KeyPair([]byte(t.Cert), []byte(t.Key.Reveal()))
		if err != nil {
			return errCert
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return nil
}
