package app

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"qrgate/compat/dialect"
	"qrgate/compat/embedded"
	"qrgate/internal/diagnosis"
	"qrgate/internal/store"
	"qrgate/metrics"
	"qrgate/probes"
	"qrgate/proxy"
)

// probeAccount owns the sessions of the probes at the embedded engine.
const probeAccount = "synthetic"

// newProber makes the synthetic probes. They use the public port, like any client. Without a key of their own only the
// probe that needs none runs.
func (b *backend) newProber() error {
	public, err := url.Parse(b.app.URL())
	if err != nil {
		return err
	}
	cfg := probes.Config{
		Target:  probes.Target{Name: "gate", URL: public, Key: b.app.cfg.ProbeKey, Client: b.app.probeClient()},
		Every:   b.app.probeIntervals(),
		Intents: probes.NewFileIntents(b.dir("probes")), Maintenance: b.app.cfg.ProbePauses,
		Observer: probeObserver{b.metrics.Probes(), b}, Span: b.app.tracing.Span, Logger: b.log,
	}
	switch {
	case b.engine.Dialect != nil:
		client := &http.Client{Transport: b.app.tracing.Transport(b.documented.transport)}
		cfg.Others = []probes.Target{{Name: "engine", URL: b.documented.base, Key: b.app.cfg.ProbeKey, Client: client}}
	case b.engine.Base != nil:
		direct := probes.Target{Name: "engine", URL: b.engine.Base, Key: b.app.cfg.ProbeKey, Client: b.app.probeClient()}
		cfg.Others = []probes.Target{direct}
	}
	switch {
	case b.probed != nil:
		cfg.Target.Client = &http.Client{Transport: b.app.tracing.Transport(embedded.Transport(b.probed))}
	case len(b.app.backends) > 1: // through the public port the session could go to another engine
		cfg.Target.Client = &http.Client{Transport: b.app.tracing.Transport(embedded.Transport(b.proxy))}
	}
	if b.app.redis != nil {
		// Not the tiered store: without Redis there is no leader.
		cfg.Leases = scopedLeases{b.app.redis, b.sealer.Scope()}
		cfg.Intents = probes.NewTableIntents(b.app.redis.Table("intents:" + b.sealer.Scope()))
	}
	if b.prober, err = probes.New(cfg); err != nil {
		return fmt.Errorf("probes: %w", err)
	}
	return nil
}

// scopedLeases are the leases of the gateways in front of one engine: each engine has its own leader.
type scopedLeases struct {
	store.Leases
	scope string
}

// Acquire implements [store.Leases].
func (l scopedLeases) Acquire(ctx context.Context, key, owner string, ttl time.Duration) (bool, error) {
	return l.Leases.Acquire(ctx, key+":"+l.scope, owner, ttl)
}

// Release implements [store.Leases].
func (l scopedLeases) Release(ctx context.Context, key, owner string) error {
	return l.Leases.Release(ctx, key+":"+l.scope, owner)
}

// probeObserver counts results of probes, and passes those of the engine's health check to the status page: between two
// acquisitions nothing else shows whether the engine is up.
type probeObserver struct {
	*metrics.Probes
	*backend
}

// ObserveRun implements [probes.Observer].
func (o probeObserver) ObserveRun(probe string, cause diagnosis.Code, at time.Time, duration time.Duration) {
	o.Probes.ObserveRun(probe, cause, at, duration)
	notifier := o.notifier
	switch {
	case probe == probes.EngineHealth:
		o.metrics.Health(cause)
		o.recorder.Health(at, cause)
		if cause == diagnosis.EngineBadResponse {
			o.otherKind.Do(o.logOtherKind)
		}
		if notifier != nil {
			notifier.Health(cause)
		}
	case probe == probes.CreateConnectQR && notifier != nil:
		notifier.ObserveRun(cause, at)
	}
}

// logOtherKind logs the kind of an engine that has another API than the configured one.
func (b *backend) logOtherKind() {
	if b.engine.Base == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	transport := proxy.Transport()
	defer transport.CloseIdleConnections()
	credential := dialect.Credential{Key: b.app.cfg.ProbeKey.Reveal()}
	found := dialect.Detect(ctx, Dialects(), b.engine.Base, transport, credential)
	if found != nil && found != b.engine.Dialect {
		b.log.Warn("engine of another kind", "kind", found.Kind,
			"help", "set QRGATE_ENGINE_KIND="+found.Kind+", or this kind in QRGATE_ENGINES")
	}
}

// Missed implements [probes.Observer].
func (o probeObserver) Missed(probe, reason string) {
	o.Probes.Missed(probe, reason)
	if o.notifier != nil && reason == "maintenance" {
		o.notifier.Maintenance(time.Now())
	}
}

// probeIntervals returns the interval of each probe.
func (a *App) probeIntervals() map[string]time.Duration {
	intervals := probes.Defaults(!a.cfg.ProbeKey.Empty())
	if _, ok := intervals[probes.CreateConnectQR]; ok && a.cfg.ProbeInterval > 0 {
		intervals[probes.CreateConnectQR] = a.cfg.ProbeInterval
	}
	return intervals
}

// probeClient propagates the trace of a run to its target.
func (a *App) probeClient() *http.Client {
	return &http.Client{Transport: a.tracing.Transport(proxy.Transport())}
}

// withProbeKey adds an account for the probes to the embedded engine's, unless one has their key.
func (a *App) withProbeKey(keys []embedded.Key) []embedded.Key {
	if a.cfg.ProbeKey.Empty() {
		return keys
	}
	if slices.ContainsFunc(keys, func(k embedded.Key) bool { return k.Key.Equal(a.cfg.ProbeKey) }) {
		return keys
	}
	return append(keys, embedded.Key{Name: probeAccount, Key: a.cfg.ProbeKey})
}
