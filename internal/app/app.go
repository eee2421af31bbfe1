package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"qrgate/compat"
	"qrgate/compat/embedded"
	"qrgate/internal/acquire"
	"qrgate/internal/breaker"
	"qrgate/internal/notify"
	"qrgate/internal/seal"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/internal/statuspage"
	"qrgate/internal/store"
	"qrgate/internal/store/memory"
	"qrgate/internal/store/redis"
	"qrgate/metrics"
	"qrgate/probes"
	"qrgate/probes/whatsapp"
	"qrgate/proxy"
)

// drainTimeout is how long requests in flight may take when the gateway stops.
const drainTimeout = 12 * time.Second

// task runs until its context ends.
type task func(context.Context) error

// App is a gateway, ready to run.
type App struct {
	cfg          Config
	sealer       *seal.Sealer
	acquirer     *acquire.Manager
	store        *store.Tiered    // nil without Redis
	redis        *redis.Store     // nil without Redis
	embedded     *embedded.Engine // nil with another engine
	circuit      *breaker.Breaker // nil with the embedded engine
	documented   documentedEngine
	proxy        *proxy.Handler
	probed       *proxy.Handler // serves probes in this process when clients speak another API; nil otherwise
	prober       *probes.Prober
	whatsApp     *whatsapp.Watcher
	reachability *reachability
	metrics      *metrics.Metrics
	tracing      *metrics.Tracing
	recorder     statuspage.Recorder
	notifier     *notify.Notifier // nil without addresses

	public, admin net.Listener
	stores        []task
	isStopping    atomic.Bool
}

// New assembles a gateway and binds its ports, so that a port in use is an error here. Nothing runs before Run. Its
// errors are sentences for the operator.
func New(cfg Config) (*App, error) {
	if cfg.WhatsApp == nil {
		var err error
		if cfg.WhatsApp, err = embedded.SimulatorClient(); err != nil {
			return nil, err
		}
	}
	a := &App{cfg: cfg}
	for _, step := range []func() error{
		a.newTelemetry, a.newSealer, a.newConnectivity, a.listen, a.newEngine, a.newAcquirer, a.newProber, a.newNotifier,
	} {
		if err := step(); err != nil {
			a.closeListeners()
			return nil, err
		}
	}
	return a, nil
}

// URL is the address for clients.
func (a *App) URL() string { return urlOf(a.public) }

// AdminURL is the address for operators; empty without that port.
func (a *App) AdminURL() string {
	if a.admin == nil {
		return ""
	}
	return urlOf(a.admin)
}

// urlOf replaces the wildcard address with localhost.
func urlOf(l net.Listener) string {
	if addr, ok := l.Addr().(*net.TCPAddr); ok && addr.IP.IsUnspecified() {
		return fmt.Sprintf("http://localhost:%d", addr.Port)
	}
	return "http://" + l.Addr().String()
}

// newSealer makes the encryption of stored values. Without Redis the secret may be random.
func (a *App) newSealer() error {
	sec := a.cfg.Secret
	if sec.Empty() && !a.cfg.RedisURL.Empty() {
		return errors.New("QRGATE_SECRET must be set when QRGATE_REDIS_URL is: all replicas need the same one. " +
			"Make one with: openssl rand -hex 32")
	}
	if sec.Empty() {
		sec = secret.NewSecret(rand.Text())
	}
	sealer, err := seal.New(sec)
	if err != nil {
		return fmt.Errorf("QRGATE_SECRET: %w; make one with: openssl rand -hex 32", err)
	}
	a.sealer = sealer.ForEngine(a.cfg.engineIdentity())
	return nil
}

// engineIdentity is what all replicas in front of one engine agree on, and no others: the engine's URL, or where the
// embedded engine keeps its sessions.
func (c *Config) engineIdentity() string {
	if u := c.EngineURL; u != nil {
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

// newEngine makes the embedded engine, unless another engine is configured.
func (a *App) newEngine() error {
	if a.cfg.EngineURL != nil {
		return nil
	}
	keys := a.cfg.APIKeys
	if len(keys) == 0 {
		key, isNew, err := embedded.LoadOrMakeKey(a.cfg.DataDir)
		if err != nil {
			return fmt.Errorf("QRGATE_DATA_DIR: %w; set it to a directory that qrgate alone may write", err)
		}
		if keys = []embedded.Key{key}; isNew {
			const text = "\nGenerated an API key and stored it in %s. It is shown only once:\n\n    X-API-Key: %s\n\n"
			fmt.Fprintf(a.cfg.Out, text, a.cfg.DataDir, key.Key.Reveal())
		}
	}
	engine, err := embedded.New(embedded.Config{
		DataDir: a.cfg.DataDir, DatabaseURL: a.cfg.DatabaseURL, Keys: a.withProbeKey(keys), Limits: a.cfg.EngineLimits,
		DeviceName: a.cfg.DeviceName, Version: a.cfg.WhatsAppVersion,
		AllowPrivateWebhooks: a.cfg.AllowPrivateWebhooks,
		OnChange:             func(r session.Ref) { a.acquirer.OnEngineChange(r) },
		HTTPClient:           a.cfg.WhatsApp, Logger: a.cfg.Logger,
	})
	if err != nil && !a.cfg.DatabaseURL.Empty() {
		return err // names QRGATE_DATABASE_URL
	} else if err != nil {
		return fmt.Errorf("QRGATE_DATA_DIR: %w; set it to a directory that qrgate alone may write", err)
	}
	a.embedded = engine
	a.warnOpenDataDir()
	return nil
}

// Reload applies the settings that may change while the gateway runs: API keys and trusted proxies.
func (a *App) Reload(cfg Config) error {
	if a.embedded != nil && len(cfg.APIKeys) > 0 {
		if err := a.embedded.SetKeys(context.Background(), a.withProbeKey(cfg.APIKeys)); err != nil {
			return err
		}
	}
	a.proxy.SetTrustedProxies(cfg.TrustedProxies)
	return nil
}

// newAcquirer makes the store, the acquisition of QRs and the public HTTP handler.
func (a *App) newAcquirer() error {
	onEvent := a.eventHandler()
	local := memory.New(memory.Config{})
	a.stores = append(a.stores, local.Run)
	var sessions store.LeasedStore = local
	if !a.cfg.RedisURL.Empty() {
		var err error
		if a.redis, err = redis.New(redis.Config{
			URL: a.cfg.RedisURL, Password: a.cfg.RedisPassword, TLS: a.cfg.RedisTLS, Observe: a.metrics.Store,
		}); err != nil {
			return fmt.Errorf("QRGATE_REDIS_URL: %w", err)
		}
		a.store = store.NewTiered(a.redis, local, a.redis.Ping, onEvent)
		a.stores = append(a.stores, a.redis.Run, a.store.Run)
		sessions = a.store
	}
	base, transport := a.engineTransport()
	config := proxy.Config{
		Engine: base, Transport: transport, Loop: proxy.NewLoop(), TrustedProxies: a.cfg.TrustedProxies, Observe: a.onRequest,
		TrafficClass: a.origin, SlowWrongKeys: a.embedded != nil,
		Sealer: a.sealer, Logger: a.cfg.Logger, CORSOrigins: a.cfg.CORSOrigins,
		QRFormats: a.cfg.QRFormats,
	}
	a.documented = documentedEngine{base: base, transport: config.Loop.Transport(transport)}
	if a.cfg.Dialect != nil {
		a.translate(&config)
	}
	engine := a.metrics.Engine(a.tracing.Engine(a.documented.engine()))
	var err error
	a.acquirer, err = acquire.New(acquire.Config{
		Engine: engine, Sealer: a.sealer, Store: sessions, OnEvent: onEvent, AllowForce: a.cfg.RecoveryForce,
		Connectivity: a.lastConnectivity,
		WaitTimes:    acquire.WaitTimes{Initial: a.cfg.QRWaitInitial, Default: a.cfg.QRWait},
	})
	if err != nil {
		return err
	}
	config.QRService = a.acquirer
	if a.tracing.Enabled() {
		config.Tracer = a.tracing
	}
	a.proxy = proxy.New(config)
	if config.Native != nil {
		config.Native, config.Engine, config.Transport = nil, a.documented.base, a.documented.transport
		a.probed = proxy.New(config)
	}
	return nil
}

// engineTransport sends requests to the engine: over the network behind a circuit breaker, or in this process.
func (a *App) engineTransport() (*url.URL, http.RoundTripper) {
	if a.embedded != nil {
		return &url.URL{Scheme: "http", Host: "embedded.engine"}, a.tracing.Transport(embedded.Transport(a.embedded))
	}
	a.circuit = breaker.New(proxy.Transport(), a.logCircuit)
	return a.cfg.EngineURL, a.tracing.Transport(watchedTransport{a.circuit, func() { a.acquirer.OnEngineUnreachable() }})
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
	if compat.ClassifyTransportError(err).IsNotConnected() {
		t.onUnreachable()
	}
	return res, err
}

// origin separates qrgate's own probes from users by their key.
func (a *App) origin(key secret.Secret) session.TrafficClass {
	if !a.cfg.ProbeKey.Empty() && a.cfg.ProbeKey.Equal(key) {
		return session.SyntheticTraffic
	}
	return session.UserTraffic
}

func (a *App) listen() (err error) {
	if a.public, err = net.Listen("tcp", a.cfg.Listen); err != nil {
		return fmt.Errorf("QRGATE_LISTEN: %w; set it to a free address, as :8080", err)
	}
	if a.cfg.AdminListen == "" {
		return nil
	}
	if a.admin, err = net.Listen("tcp", a.cfg.AdminListen); err != nil {
		return fmt.Errorf("QRGATE_ADMIN_LISTEN: %w; set it to a free address, as 127.0.0.1:8081, or to off", err)
	}
	return nil
}

func (a *App) closeListeners() {
	for _, l := range []net.Listener{a.public, a.admin} {
		if l != nil {
			_ = l.Close()
		}
	}
}

// Run serves until ctx ends, then stops in order: no new requests, requests in flight, acquisitions, the engine, the
// store. It returns the first error of any part.
func (a *App) Run(ctx context.Context) error {
	all, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	group, failed := errgroup.WithContext(all)
	stores := startStage(all, group, append(a.stores, a.tracing.Run, a.whatsApp.Run)...)
	engine := startStage(all, group)
	if a.embedded != nil {
		engine = startStage(all, group, a.embedded.Run, a.reachability.run)
	}
	acquisitions := startStage(all, group, a.acquirer.Run, a.tuneGC)
	watching := []task{a.prober.Run}
	if a.notifier != nil {
		watching = append(watching, a.notifier.Run)
	}
	probing := startStage(all, group, watching...)
	public := proxy.Server(a.cfg.Listen, a.tracing.Server(a.metrics.InFlight(a.proxy)))
	serve(group, public, proxy.DetectSmuggling(a.public))
	admin := &http.Server{Handler: a.adminHandler(), ReadHeaderTimeout: 5 * time.Second}
	if a.admin != nil {
		serve(group, admin, a.admin)
	}
	select {
	case <-ctx.Done():
	case <-failed.Done():
	}
	a.isStopping.Store(true)
	a.cfg.Logger.Info("stopping", "timeout", drainTimeout.String(), "waiters", a.acquirer.Stats().Waiters)
	probing.stop() // probes delete their sessions through the public port, which is still open
	draining, cancel := context.WithTimeout(all, drainTimeout)
	defer cancel()
	// Waiters get a response instead of a closed connection.
	defer time.AfterFunc(drainTimeout/2, acquisitions.cancel).Stop()
	_ = public.Shutdown(draining)
	_ = public.Close()
	acquisitions.stop()
	engine.stop()
	stores.cancel()
	_ = admin.Close()
	err := group.Wait()
	a.cfg.Logger.Info("stopped")
	return err
}

// stage is a set of tasks that stop together.
type stage struct {
	cancel context.CancelFunc
	tasks  sync.WaitGroup
}

// startStage runs tasks in a group until the stage is canceled.
func startStage(ctx context.Context, group *errgroup.Group, tasks ...task) *stage {
	s := &stage{}
	ctx, s.cancel = context.WithCancel(ctx)
	for _, run := range tasks {
		s.tasks.Add(1)
		group.Go(func() error {
			defer s.tasks.Done()
			return run(ctx)
		})
	}
	return s
}

// stop cancels the tasks and waits for them.
func (s *stage) stop() {
	s.cancel()
	s.tasks.Wait()
}

// serve runs a server; its normal end is no error.
func serve(group *errgroup.Group, s *http.Server, l net.Listener) {
	group.Go(func() error {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
}
