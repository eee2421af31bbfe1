package app

import (
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"time"

	"qrgate/compat/embedded"
	"qrgate/internal/diagnosis"
	"qrgate/metrics"
	"qrgate/probes"
	"qrgate/proxy"
)

// probeAccount owns the sessions of the probes at the embedded engine.
const probeAccount = "synthetic"

// makeProber sets the synthetic clients up. They come through the gate's own front door, as anybody does.
// Without a key of their own only the probe that needs none runs.
func (g *App) makeProber() error {
	door, err := url.Parse(g.URL())
	if err != nil {
		return err
	}
	cfg := probes.Config{
		Target:  probes.Target{Name: "gate", URL: door, Key: g.cfg.ProbeKey, Client: g.probeClient()},
		Every:   g.schedule(),
		Intents: probes.NewFileIntents(filepath.Join(g.cfg.DataDir, "probes")), Maintenance: g.cfg.ProbePauses,
		Observer: probeObserver{g.metrics.Probes(), g.healthy}, Span: g.tracing.Span, Logger: g.cfg.Logger,
	}
	if g.cfg.EngineURL != nil {
		cfg.Others = []probes.Target{{Name: "engine", URL: g.cfg.EngineURL, Key: g.cfg.ProbeKey, Client: g.probeClient()}}
	}
	if g.redis != nil {
		cfg.Leases, cfg.Intents = g.redis, probes.NewTableIntents(g.redis.Table("intents")) // not the tiered store: without Redis nobody leads
	}
	if g.prober, err = probes.New(cfg); err != nil {
		return fmt.Errorf("probes: %w", err)
	}
	return nil
}

// healthy takes what the regular look at the engine's health found: between two journeys nothing else would
// take a single failed call back, and before the first nothing else is known.
func (g *App) healthy(at time.Time, why diagnosis.Code) {
	g.metrics.Health(why)
	g.recorder.Health(at, why)
}

// probeObserver counts what the probes find, and hands what the look at the engine's health found to health.
type probeObserver struct {
	*metrics.Probes
	health func(at time.Time, why diagnosis.Code)
}

// ObserveRun implements [probes.Observer].
func (c probeObserver) ObserveRun(probe string, why diagnosis.Code, at time.Time, took time.Duration) {
	c.Probes.ObserveRun(probe, why, at, took)
	if probe == probes.EngineHealth {
		c.health(at, why)
	}
}

// schedule is how often each probe runs.
func (g *App) schedule() map[string]time.Duration {
	every := probes.Defaults(!g.cfg.ProbeKey.Empty())
	if _, deep := every[probes.CreateConnectQR]; deep && g.cfg.ProbeInterval > 0 {
		every[probes.CreateConnectQR] = g.cfg.ProbeInterval
	}
	return every
}

// probeClient carries the trace of a run to whom it probes.
func (g *App) probeClient() *http.Client {
	return &http.Client{Transport: g.tracing.Transport(proxy.Transport())}
}

// withProbeKey gives the probes an account of their own at the embedded engine, unless one has their key.
func (g *App) withProbeKey(keys []embedded.Key) []embedded.Key {
	if g.cfg.ProbeKey.Empty() {
		return keys
	}
	for _, k := range keys {
		if k.Key.Equal(g.cfg.ProbeKey) {
			return keys
		}
	}
	return append(keys, embedded.Key{Name: probeAccount, Key: g.cfg.ProbeKey})
}
