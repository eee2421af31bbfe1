package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"qrgate/compat/embedded"
	"qrgate/compat/inboxhub"
	"qrgate/internal/acquire"
	"qrgate/internal/breaker"
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

// drainTime is how long requests in flight may take when the gate stops.
const drainTime = 12 * time.Second

// task is something alive: it runs until its context ends.
type task func(context.Context) error

// App is a gateway, ready to run.
type App struct {
	cfg      Config
	vault    *seal.Sealer
	pairing  *acquire.Manager
	store    *store.Tiered // nil without Redis
	engine   *embedded.Engine
	front    *proxy.Handler
	redis    *redis.Store // nil without Redis
	prober   *probes.Prober
	control  *whatsapp.Watcher
	circuit  *breaker.Breaker // nil before the embedded engine
	outlook  *reachability
	metrics  *metrics.Metrics
	tracing  *metrics.Tracing
	recorder statuspage.Recorder

	public, admin net.Listener
	stores        []task
	stopping      atomic.Bool // no new request is taken
}

// New puts a gateway together and binds its ports, so that a port in use is an error here. Nothing runs
// before Run. Its errors are sentences for whoever starts the process.
func New(cfg Config) (*App, error) {
	if cfg.WhatsApp == nil {
		var err error
		if cfg.WhatsApp, err = embedded.SimulatorClient(); err != nil {
			return nil, err
		}
	}
	g := &App{cfg: cfg}
	for _, step := range []func() error{g.makeTelemetry, g.makeVault, g.makeControl, g.listen, g.makeEngine, g.makePairing, g.makeProber} {
		if err := step(); err != nil {
			g.closeListeners()
			return nil, err
		}
	}
	return g, nil
}

// URL is where clients find the gate.
func (g *App) URL() string { return "http://" + reachable(g.public.Addr()) }

// AdminURL is where operators find it; empty without that port.
func (g *App) AdminURL() string {
	if g.admin == nil {
		return ""
	}
	return "http://" + reachable(g.admin.Addr())
}

// reachable names an address that listens on all interfaces by the loopback one.
func reachable(a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return net.JoinHostPort("localhost", port)
	}
	return a.String()
}

func (g *App) makeVault() error {
	sec := g.cfg.Secret
	if sec.Empty() && !g.cfg.RedisURL.Empty() {
		return errors.New("QRGATE_SECRET must be set when QRGATE_REDIS_URL is: all replicas need the same one. Make one with: openssl rand -hex 32")
	}
	if sec.Empty() {
		b := make([]byte, 32)
		if _, err := rand.Read(b); err != nil {
			return err
		}
		sec = secret.NewSecret(hex.EncodeToString(b))
	}
	vault, err := seal.NewVault(sec)
	if err != nil {
		return fmt.Errorf("QRGATE_SECRET: %w", err)
	}
	g.vault = vault
	return nil
}

// makeEngine finds the engine that the gate stands before: another process, or the one in this.
func (g *App) makeEngine() error {
	if g.cfg.EngineURL != nil {
		return nil
	}
	keys, show := g.cfg.APIKeys, func() {}
	if len(keys) == 0 {
		name, key, made, err := embedded.LoadOrMakeKey(g.cfg.DataDir)
		if err != nil {
			return err
		}
		keys = []embedded.Key{{Name: name, Key: key}}
		if made {
			show = func() {
				fmt.Fprintf(g.cfg.Out, "\nAn API key was generated and kept in %s. It is shown this once:\n\n    X-API-Key: %s\n\n", g.cfg.DataDir, key.Reveal())
			}
		}
	}
	engine, err := embedded.New(embedded.Config{
		DataDir: g.cfg.DataDir, DatabaseURL: g.cfg.DatabaseURL, Keys: g.withProbeKey(keys), HTTPClient: g.cfg.WhatsApp, Logger: g.cfg.Logger,
	})
	if err != nil {
		return err
	}
	g.engine = engine
	show()
	return nil
}

func (g *App) makePairing() error {
	observe := g.observer()
	near := memory.New(memory.Config{})
	g.stores = append(g.stores, near.Run)
	var st store.LeasedStore = near
	if !g.cfg.RedisURL.Empty() {
		far, err := redis.New(redis.Config{URL: g.cfg.RedisURL, Observe: g.metrics.Store})
		if err != nil {
			return fmt.Errorf("QRGATE_REDIS_URL: %w", err)
		}
		g.redis = far
		g.store = store.NewTiered(far, near, far.Ping, observe)
		g.stores = append(g.stores, far.Run, g.store.Run)
		st = g.store
	}
	base, transport := g.engineTransport()
	loop := proxy.NewLoop()
	acquirer, err := acquire.New(acquire.Config{
		Engine: g.metrics.Engine(g.tracing.Engine(inboxhub.New(base, loop.Transport(transport)))), Sealer: g.vault, Store: st, OnEvent: observe, AllowForce: g.cfg.RecoveryForce, Connectivity: g.control.Last,
		WaitTimes: acquire.WaitTimes{Initial: g.cfg.QRWaitInitial, Default: g.cfg.QRWait},
	})
	if err != nil {
		return err
	}
	g.pairing = acquirer
	front := proxy.Config{
		Engine: base, Transport: transport, Loop: loop, TrustedProxies: g.cfg.TrustedProxies, Observe: g.onRequest,
		TrafficClass: g.origin, QRService: acquirer, Vault: g.vault, Logger: g.cfg.Logger,
	}
	if g.tracing.Enabled() {
		front.Tracer = g.tracing
	}
	g.front = proxy.New(front)
	return nil
}

// engineTransport is how the engine is reached: over the network, with a breaker before it, or by a call in this process.
func (g *App) engineTransport() (*url.URL, http.RoundTripper) {
	if g.engine != nil {
		return &url.URL{Scheme: "http", Host: "embedded.engine"}, g.tracing.Transport(embedded.Transport(g.engine))
	}
	g.circuit = breaker.New(proxy.Transport(), g.logCircuit)
	return g.cfg.EngineURL, g.tracing.Transport(watchedTransport{g.circuit, func() { g.pairing.OnEngineUnreachable() }})
}

// watchedTransport reports every call that finds nobody at the engine, whoever makes it: codes that were obtained before
// need one more poll.
type watchedTransport struct {
	http.RoundTripper
	onUnreachable func()
}

// RoundTrip implements [http.RoundTripper].
func (t watchedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := t.RoundTripper.RoundTrip(r)
	if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "dial" {
		t.onUnreachable()
	}
	return res, err
}

// origin tells the gate's own probes from users by their key alone.
func (g *App) origin(key secret.Secret) session.TrafficClass {
	if !g.cfg.ProbeKey.Empty() && g.cfg.ProbeKey.Equal(key) {
		return session.SyntheticTraffic
	}
	return session.UserTraffic
}

func (g *App) listen() (err error) {
	if g.public, err = net.Listen("tcp", g.cfg.Listen); err != nil {
		return fmt.Errorf("QRGATE_LISTEN: cannot listen on %s: %w", g.cfg.Listen, err)
	}
	if g.cfg.AdminListen == "" {
		return nil
	}
	if g.admin, err = net.Listen("tcp", g.cfg.AdminListen); err != nil {
		return fmt.Errorf("QRGATE_ADMIN_LISTEN: cannot listen on %s: %w", g.cfg.AdminListen, err)
	}
	return nil
}

func (g *App) closeListeners() {
	for _, l := range []net.Listener{g.public, g.admin} {
		if l != nil {
			_ = l.Close()
		}
	}
}

// Run serves until ctx ends, then stops in order: no new requests, those in flight, the flights, the
// engine, the store. It returns the first error of any part.
func (g *App) Run(ctx context.Context) error {
	all, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	group, broken := errgroup.WithContext(all)
	stores, stopStores := context.WithCancel(all)
	engine, stopEngine := context.WithCancel(all)
	flights, stopFlights := context.WithCancel(all)
	defer stopStores()
	defer stopEngine()
	defer stopFlights()
	done := func(run task, ctx context.Context) <-chan struct{} {
		ended := make(chan struct{})
		group.Go(func() error { defer close(ended); return run(ctx) })
		return ended
	}
	for _, run := range append(g.stores, g.tracing.Run, g.control.Run) {
		done(run, stores)
	}
	var engineDown <-chan struct{}
	if g.engine != nil {
		engineDown = done(g.engine.Run, engine)
		done(g.outlook.watch, engine)
	}
	flightsDown := done(g.pairing.Run, flights)
	probing, stopProbing := context.WithCancel(all)
	defer stopProbing()
	probesDown := done(g.prober.Run, probing)
	public := proxy.Server(g.cfg.Listen, g.tracing.Server(g.metrics.InFlight(g.front)))
	serve(group, public, proxy.DetectSmuggling(g.public))
	admin := &http.Server{Handler: g.adminHandler(), ReadHeaderTimeout: 5 * time.Second}
	if g.admin != nil {
		serve(group, admin, g.admin)
	}
	select {
	case <-ctx.Done():
	case <-broken.Done():
	}
	g.stopping.Store(true)
	g.cfg.Logger.Info("the gate is stopping: no new requests, and those in flight have "+drainTime.String(), "held", g.pairing.Stats().Waiters)
	stopProbing()
	<-probesDown // they clean up through the front door, so it is still open
	draining, cancel := context.WithTimeout(all, drainTime)
	defer cancel()
	defer time.AfterFunc(drainTime/2, stopFlights).Stop() // those who still wait are told, instead of cut
	_ = public.Shutdown(draining)
	_ = public.Close()
	stopFlights()
	<-flightsDown
	stopEngine()
	if engineDown != nil {
		<-engineDown
	}
	stopStores()
	_ = admin.Close()
	err := group.Wait()
	g.cfg.Logger.Info("the gate has stopped")
	return err
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
