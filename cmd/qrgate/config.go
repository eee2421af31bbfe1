package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"qrgate/compat/embedded"
	"qrgate/internal/app"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/probes"
)

// config turns what a person wrote into a configuration. Every error is a sentence that names the variable.
func (f settings) config() (app.Config, error) {
	cfg := app.Config{
		Listen: f.Listen, AdminListen: f.AdminListen, QRWaitInitial: f.QRWaitInitial, QRWait: f.QRWait, RecoveryForce: f.RecoveryForce,
		RedisURL: secret.NewSecret(f.RedisURL), Secret: secret.NewSecret(f.Secret), DataDir: f.DataDir,
		DatabaseURL: secret.NewSecret(f.DatabaseURL), ProbeKey: secret.NewSecret(f.ProbeAPIKey), ProbeInterval: f.ProbeInterval, WhatsAppCheck: f.WhatsAppCheck, PProf: f.PProf, Version: version,
	}
	if f.AdminListen == "off" {
		cfg.AdminListen = ""
	}
	var err1, err2, err3, err4 error
	cfg.EngineURL, err1 = engineURL(f.EngineURL)
	if err1 == nil && cfg.EngineURL != nil && ownAddress(f.Listen, cfg.EngineURL) {
		err1 = errors.New("QRGATE_ENGINE_URL is the address that the gate itself listens on: set it to the engine's own, or QRGATE_LISTEN to another port")
	}
	cfg.TrustedProxies, err2 = prefixes(f.TrustedProxies)
	if f.APIKeys != "" {
		if cfg.APIKeys, err3 = embedded.ParseKeys(f.APIKeys); err3 != nil {
			err3 = fmt.Errorf("QRGATE_API_KEYS: %w", err3)
		}
	}
	var err5 error
	if f.ProbeMaintenance != "" {
		if cfg.ProbePauses, err5 = probes.ParseWindows(f.ProbeMaintenance); err5 != nil {
			err5 = fmt.Errorf("QRGATE_PROBE_MAINTENANCE: %w", err5)
		}
	}
	if f.ProbeInterval < 30*time.Second {
		err5 = errors.Join(err5, errors.New("QRGATE_PROBE_INTERVAL must be at least 30s: each walk makes a handshake at WhatsApp"))
	}
	err4 = errors.Join(err5, holdWithin("QRGATE_QR_WAIT_INITIAL", f.QRWaitInitial), holdWithin("QRGATE_QR_WAIT", f.QRWait))
	return cfg, errors.Join(err1, err2, err3, err4)
}

func engineURL(text string) (*url.URL, error) {
	if text == "" {
		return nil, nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("QRGATE_ENGINE_URL must be like http://engine:8084 or https://engine.example")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("QRGATE_ENGINE_URL must have no user, query or fragment: clients bring their own keys")
	}
	if path := strings.TrimSuffix(u.Path, "/"); strings.HasSuffix(path, "/api") || strings.Contains(path+"/", "/api/sessions/") {
		return nil, errors.New("QRGATE_ENGINE_URL must end before /api: the clients' paths begin with it")
	}
	return u, nil
}

// ownAddress reports whether the gate that listens on listen is what answers at u on this machine. An address that leads
// back by another way is found out at the first request.
func ownAddress(listen string, u *url.URL) bool {
	host, port, err := net.SplitHostPort(listen)
	if want := u.Port(); err != nil || want != port && (want != "" || u.Scheme != "http" || port != "80") {
		return false
	}
	at := u.Hostname()
	return at == host || isWildcard(host) && isLocal(at) || isWildcard(at) && isLocal(host) || host == "localhost" && isLocal(at) || at == "localhost" && isLocal(host)
}

// isWildcard reports whether a host to listen on means all addresses.
func isWildcard(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "" || err == nil && addr.IsUnspecified()
}

// isLocal reports whether a host is this machine whatever its network: every name that a person gives it by habit.
func isLocal(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || isWildcard(host) || err == nil && addr.IsLoopback()
}

func prefixes(text string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		p, err := netip.ParsePrefix(part)
		if addr, aerr := netip.ParseAddr(part); aerr == nil {
			p, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("QRGATE_TRUSTED_PROXIES: %q is no network; write 10.0.0.0/8 or an address", part)
		}
		out = append(out, p)
	}
	return out, nil
}

func holdWithin(name string, d time.Duration) error {
	if d < 0 || d > session.MaxWait {
		return fmt.Errorf("%s must be between 0s and %s, and is %s", name, session.MaxWait, d)
	}
	return nil
}
