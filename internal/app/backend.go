package app

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"qrgate/compat"
	"qrgate/compat/dialect"
	"qrgate/compat/embedded"
	"qrgate/internal/acquire"
	"qrgate/internal/breaker"
	"qrgate/internal/fleet"
	"qrgate/internal/notify"
	"qrgate/internal/pairpage"
	"qrgate/internal/seal"
	"qrgate/internal/session"
	"qrgate/internal/statuspage"
	"qrgate/internal/store"
	"qrgate/internal/webhook"
	"qrgate/metrics"
	"qrgate/probes"
	"qrgate/proxy"
)

// backend is one engine and all that serves its sessions. What the engines share is in App.
type backend struct {
	app        *App
	engine     EngineConfig
	log        *slog.Logger
	sealer     *seal.Sealer // of this engine
	acquirer   *acquire.Manager
	embedded   *embedded.Engine // nil with another engine
	circuit    *breaker.Breaker // nil with the embedded engine
	documented documentedEngine
	translator *dialect.Transport // of the documented API to the engine's; nil where that is the documented one
	proxy      *proxy.Handler
	probed     *proxy.Handler // serves probes in this process when clients speak another API; nil otherwise
	prober     *probes.Prober
	metrics    *metrics.Metrics
	recorder   statuspage.Recorder
	notifier   *notify.Notifier // nil without addresses
	webhook    *webhook.Sender  // nil without one, and with the embedded engine
	otherKind  sync.Once        // logs that the engine is of another kind
}

// newBackends makes what serves the sessions of each engine.
func (a *App) newBackends() error {
	for _, b := range a.backends {
		b.sealer = a.sealer.ForEngine(a.cfg.engineIdentity(b.engine.Base))
		b.log = a.cfg.Logger
		if len(a.backends) > 1 {
			b.log = b.log.With("engine_name", b.engine.Name)
		}
		for _, step := range []func() error{b.newEngine, b.newAcquirer, b.newWebhook, b.newProber, b.newNotifier} {
			if err := step(); err != nil {
				return err
			}
		}
	}
	return nil
}

// backend finds an engine by its name; nil if there is none.
func (a *App) backend(name string) *backend {
	for _, b := range a.backends {
		if b.engine.Name == name {
			return b
		}
	}
	return nil
}

// unknownEngine is the error for a name that no engine has.
func (a *App) unknownEngine(name string) string {
	var names []string
	for _, b := range a.backends {
		names = append(names, b.engine.Name)
	}
	return fmt.Sprintf("unknown engine %q; the engines are %s", name, strings.Join(names, ", "))
}

// dir is a directory below the data directory for what is kept of this engine.
func (b *backend) dir(name string) string {
	if len(b.app.backends) > 1 {
		name = filepath.Join("engines", b.engine.Name, name)
	}
	return filepath.Join(b.app.cfg.DataDir, name)
}

// engineIdentity is what all replicas in front of one engine agree on, and no others: the engine's URL, or where the
// embedded engine keeps its sessions.
func (c *Config) engineIdentity(u *url.URL) string {
	if u != nil {
		port := cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
		return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port + strings.TrimRight(u.Path, "/")
	}
	if !c.DatabaseURL.Empty() {
		return "embedded " + c.DatabaseURL.Reveal()
	}
	host, _ := os.Hostname()
	dir, _ := filepath.Abs(c.DataDir)
	return "embedded " + host + " " + dir
}

// ownDirectory is the advice for a data directory that qrgate cannot use.
const ownDirectory = "set it to a directory that qrgate alone may write"

// newEngine makes the embedded engine, unless another engine is configured.
func (b *backend) newEngine() error {
	if b.engine.Base != nil {
		return nil
	}
	cfg := &b.app.cfg
	keys, isNew := cfg.APIKeys, false
	if len(keys) == 0 {
		key, made, err := embedded.LoadOrMakeKey(cfg.DataDir)
		if err != nil {
			return fmt.Errorf("QRGATE_DATA_DIR: %w; %s", err, ownDirectory)
		}
		keys, isNew = []embedded.Key{key}, made
	}
	generated := keys[0]
	keys = b.app.withProbeKey(keys)
	engine, err := embedded.New(embedded.Config{
		DataDir: cfg.DataDir, DatabaseURL: cfg.DatabaseURL, Keys: keys, Limits: cfg.EngineLimits,
		DeviceName: cfg.DeviceName, Version: cfg.WhatsAppVersion,
		Webhook: cfg.Webhook, ProbeAccount: b.probeAccountOf(keys), AllowPrivateWebhooks: cfg.AllowPrivateWebhooks,
		OnChange:   func(r session.Ref) { b.acquirer.OnEngineChange(r) },
		HTTPClient: cfg.WhatsApp, Logger: b.log, OnWebhookDropped: b.metrics.WebhookDropped,
	})
	if err != nil && !cfg.DatabaseURL.Empty() {
		return err // names QRGATE_DATABASE_URL
	} else if err != nil {
		return fmt.Errorf("QRGATE_DATA_DIR: %w", err)
	}
	b.embedded = engine
	if isNew {
		if err := embedded.StoreKey(cfg.DataDir, generated); err != nil {
			return fmt.Errorf("QRGATE_DATA_DIR: %w; %s", err, ownDirectory)
		}
		const text = "\nGenerated an API key and stored it in %s. It is shown only once:\n\n    X-API-Key: %s\n\n"
		fmt.Fprintf(cfg.Out, text, cfg.DataDir, generated.Key.Reveal())
	}
	b.app.warnOpenDataDir()
	return nil
}

// newAcquirer makes the acquisition of the engine's QRs and the HTTP handler of its clients.
func (b *backend) newAcquirer() error {
	onEvent := b.eventHandler()
	base, transport := b.engineTransport()
	if b.engine.Dialect == nil {
		transport = fleet.NumberIDs(transport, base, b.engine.Name)
	}
	config := proxy.Config{
		Engine: base, Transport: transport, Loop: proxy.NewLoop(), Observe: b.onRequest,
		TrafficClass: b.app.origin, SlowWrongKeys: b.embedded != nil, Sealer: b.sealer, Logger: b.log,
		TrustedProxies: b.app.cfg.TrustedProxies, CORSOrigins: b.app.cfg.CORSOrigins, QRFormats: b.app.cfg.QRFormats,
	}
	b.documented = documentedEngine{base: base, transport: config.Loop.Transport(transport)}
	if b.engine.Dialect != nil {
		b.translate(&config)
	}
	engine := b.metrics.Engine(b.app.tracing.Engine(b.documented.engine()))
	acquisition := acquire.Config{
		Engine: engine, Sealer: b.sealer, Store: b.app.sessions, OnEvent: onEvent, AllowForce: b.app.cfg.RecoveryForce,
		Connectivity: b.lastConnectivity, Replicas: b.independentReplicas(), SharesStore: b.app.redis != nil,
		Subscribe: b.documented.subscribe, SparsePolls: b.engine.Dialect != nil,
		WaitTimes:    acquire.WaitTimes{Initial: b.app.cfg.QRWaitInitial, Default: b.app.cfg.QRWait},
		WaiterLimits: acquire.WaiterLimits{Replica: b.app.cfg.MaxWaiters},
	}
	if b.hasWebhook() {
		acquisition.OnChange = b.reportChange
	}
	var err error
	if b.acquirer, err = acquire.New(acquisition); err != nil {
		return err
	}
	config.Acquirer = b.acquirer
	if b.app.tracing.Enabled() {
		config.Tracer = b.app.tracing
	}
	config.Pairing = proxy.Pairing{
		Links: pairpage.NewLinks(b.sealer, b.app.sessions), PublicURL: b.app.cfg.PublicURL,
		FrameAncestors: b.app.cfg.PairFrameAncestors,
		PairsByPhone:   b.embedded != nil || b.engine.Dialect != nil && b.engine.Dialect.Has(dialect.PairingCode),
	}
	if config.Native != nil {
		documented := config
		documented.Native, documented.Engine, documented.Transport = nil, b.documented.base, b.documented.transport
		b.probed = proxy.New(documented)
		config.Pairing.Documented = b.probed
	}
	b.proxy = proxy.New(config)
	return nil
}

// independentReplicas returns how many replicas poll without knowledge of each other's polls: those that were counted
// or are configured, while there is no common store.
func (b *backend) independentReplicas() func() int {
	if b.app.redis == nil {
		return func() int { return b.app.cfg.Replicas }
	}
	counter := store.NewReplicaCounter(b.app.redis.Table("replicas:"+b.sealer.Scope()), rand.Text())
	b.app.stores = append(b.app.stores, counter.Run)
	return func() int {
		if b.app.store.Up() {
			return 1
		}
		return max(b.app.cfg.Replicas, counter.Count())
	}
}

// engineTransport sends requests to the engine: over the network behind a circuit breaker, or in this process.
func (b *backend) engineTransport() (*url.URL, http.RoundTripper) {
	if b.embedded != nil {
		return &url.URL{Scheme: "http", Host: "embedded.engine"}, b.app.tracing.Transport(embedded.Transport(b.embedded))
	}
	b.circuit = breaker.New(proxy.Transport(), b.logCircuit)
	return b.engine.Base, b.app.tracing.Transport(watchedTransport{b.circuit, func() { b.acquirer.OnEngineUnreachable() }})
}

// watchedTransport reports every failed connection to the engine, whichever part makes the request: codes that were
// obtained before need one more poll.
type watchedTransport struct {
	http.RoundTripper
	onUnreachable func()
}

// RoundTrip implements [http.RoundTripper].
func (t watchedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := t.RoundTripper.RoundTrip(r)
	isUnreachable := compat.ClassifyTransportError(err).IsNotConnected()
	if isUnreachable {
		t.onUnreachable()
	}
	if r.Method != http.MethodGet {
		fleet.RecordSend(r.Context(), !isUnreachable)
	}
	return res, err
}
