package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"qrgate/compat/embedded"
	"qrgate/internal/fleet"
	"qrgate/internal/seal"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/internal/store"
	"qrgate/internal/store/memory"
	"qrgate/internal/store/redis"
	"qrgate/metrics"
	"qrgate/probes/whatsapp"
	"qrgate/proxy"
)

// drainTimeout is how long active requests may take when the gateway stops.
const drainTimeout = 12 * time.Second

// acceptDelay is how long connections are accepted that arrived before another process took over.
const acceptDelay = 250 * time.Millisecond

// task runs until its context ends.
type task func(context.Context) error

// App is a gateway, ready to run.
type App struct {
	cfg          Config
	sealer       *seal.Sealer // of no engine
	sessions     store.LeasedStore
	store        *store.Tiered // nil without Redis
	redis        *redis.Store  // nil without Redis
	backends     []*backend
	whatsApp     *whatsapp.Watcher
	reachability *reachability
	metrics      *metrics.Metrics // of the first engine, and of the process
	tracing      *metrics.Tracing

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
	if len(cfg.Engines) == 0 {
		cfg.Engines = []EngineConfig{{Name: metrics.DefaultEngine, Base: cfg.EngineURL, Dialect: cfg.Dialect, Weight: 1}}
	}
	a := &App{cfg: cfg}
	for _, engine := range cfg.Engines {
		a.backends = append(a.backends, &backend{app: a, engine: engine})
	}
	for _, step := range []func() error{
		a.newTelemetry, a.newSealer, a.newConnectivity, a.listen, a.newStore, a.newBackends,
	} {
		if err := step(); err != nil {
			a.closeListeners()
			return nil, err
		}
	}
	a.takeOver()
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
	var err error
	if a.sealer, err = seal.New(sec); err != nil {
		return fmt.Errorf("QRGATE_SECRET: %w; make one with: openssl rand -hex 32", err)
	}
	return nil
}

// newStore makes the store of sessions, which all engines share.
func (a *App) newStore() error {
	local := memory.New(memory.Config{})
	a.stores = append(a.stores, local.Run)
	a.sessions = local
	if a.cfg.RedisURL.Empty() {
		return nil
	}
	var err error
	if a.redis, err = redis.New(redis.Config{
		URL: a.cfg.RedisURL, Password: a.cfg.RedisPassword, TLS: a.cfg.RedisTLS, Timeout: a.cfg.RedisTimeout,
		Observe: a.metrics.Store,
	}); err != nil {
		return fmt.Errorf("QRGATE_REDIS_URL: %w", err)
	}
	a.store = store.NewTiered(a.redis, local, a.onStoreEvent)
	a.stores = append(a.stores, a.redis.Run, a.store.Run)
	a.sessions = a.store
	return nil
}

// Reload applies the settings that may change while the gateway runs: API keys, trusted proxies and origins.
func (a *App) Reload(cfg Config) error {
	for _, b := range a.backends {
		if b.embedded != nil && len(cfg.APIKeys) > 0 {
			if err := b.embedded.SetKeys(context.Background(), a.withProbeKey(cfg.APIKeys)); err != nil {
				return err
			}
		}
		b.proxy.SetTrustedProxies(cfg.TrustedProxies)
		b.proxy.SetCORSOrigins(cfg.CORSOrigins)
	}
	return nil
}

// origin separates qrgate's own probes from users by their key.
func (a *App) origin(key secret.Secret) session.TrafficClass {
	if !a.cfg.ProbeKey.Empty() && a.cfg.ProbeKey.Equal(key) {
		return session.SyntheticTraffic
	}
	return session.UserTraffic
}

func (a *App) closeListeners() {
	for _, l := range []net.Listener{a.public, a.admin} {
		if l != nil {
			_ = l.Close()
		}
	}
}

// front serves clients: with one engine its handler, else a router before those of all.
func (a *App) front() http.Handler {
	if len(a.backends) == 1 {
		return a.backends[0].handler()
	}
	var members []*fleet.Member
	for _, b := range a.backends {
		members = append(members, b.member())
	}
	config := fleet.Config{
		Members: members, Sealer: a.sealer.ForEngine("directory"), Shared: a.sharedStore,
		Ambiguous: a.backends[0].proxy.ServeAmbiguous, Logger: a.cfg.Logger,
	}
	if a.cfg.NativeFront {
		config.Native = a.backends[0].engine.Dialect
	}
	return fleet.New(config)
}

// sharedStore is the store that replicas share; nil while there is none.
func (a *App) sharedStore() store.Store {
	if a.store == nil || !a.store.Up() {
		return nil
	}
	return a.redis
}

// waiters counts the requests that wait for a QR.
func (a *App) waiters() (n int) {
	for _, b := range a.backends {
		n += b.acquirer.Stats().Waiters
	}
	return n
}

// Run serves until ctx ends, then stops in order: no new requests, active requests, acquisitions, the engine, the
// store. It returns the first error of any part.
func (a *App) Run(ctx context.Context) error {
	all, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	group, failed := errgroup.WithContext(all)
	stores := startStage(all, group, append(a.stores, a.tracing.Run, a.whatsApp.Run)...)
	engine, probing := startStage(all, group), startStage(all, group)
	acquisitions := startStage(all, group, a.tuneGC, a.releaseMemory)
	for _, b := range a.backends {
		if b.embedded != nil {
			engine.start(b.embedded.Run, a.reachability.run)
		}
		if b.webhook != nil {
			engine.start(b.webhook.Run) // until the acquisitions have ended, which emit events
		}
		acquisitions.start(b.acquirer.Run)
		probing.start(b.prober.Run)
		if b.notifier != nil {
			probing.start(b.notifier.Run)
		}
	}
	public := proxy.Server(a.cfg.Listen, a.tracing.Server(a.withDocs(a.front())))
	startServer(group, public, proxy.DetectSmuggling(a.public))
	admin := &http.Server{Handler: a.adminHandler(), ReadHeaderTimeout: 5 * time.Second}
	if a.admin != nil {
		startServer(group, admin, a.admin)
	}
	select {
	case <-ctx.Done():
	case <-failed.Done():
	}
	a.isStopping.Store(true)
	a.cfg.Logger.Info("stopping", "timeout", drainTimeout.String(), "waiters", a.waiters())
	for _, b := range a.backends {
		b.drain() // clients of streams connect again, to another process if there is one
	}
	probing.stop() // probes delete their sessions through the public port, which is still open
	if a.cfg.ReusePort {
		<-time.After(acceptDelay)
	}
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
	ctx    context.Context
	group  *errgroup.Group
	cancel context.CancelFunc
	tasks  sync.WaitGroup
}

// startStage runs tasks in a group until the stage is canceled.
func startStage(ctx context.Context, group *errgroup.Group, tasks ...task) *stage {
	s := &stage{group: group}
	s.ctx, s.cancel = context.WithCancel(ctx)
	s.start(tasks...)
	return s
}

// start adds tasks.
func (s *stage) start(tasks ...task) {
	for _, run := range tasks {
		s.tasks.Add(1)
		s.group.Go(func() error {
			defer s.tasks.Done()
			return run(s.ctx)
		})
	}
}

// stop cancels the tasks and waits for them.
func (s *stage) stop() {
	s.cancel()
	s.tasks.Wait()
}

// startServer runs a server; its normal end is no error.
func startServer(group *errgroup.Group, s *http.Server, l net.Listener) {
	group.Go(func() error {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
}
