package probes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/secret"
)

// Config is what a Prober needs. Target and Intents are required.
type Config struct {
	// Target is what the schedule probes: the gate's own front door.
	Target Target
	// Others may be asked for by name at [Prober.Handler], beside Target.
	Others []Target

	// Every is how often each scheduled probe runs; what is absent or 0 does not run by itself. nil: see [Defaults].
	Every map[string]time.Duration
	// Timeout caps one run, cleanup excluded; 0 leaves each probe its own.
	Timeout time.Duration
	// Spacing is the least time between two runs of one probe against one target through [Prober.Handler];
	// 0: 30 s for probes that make sessions. A health probe needs none.
	Spacing time.Duration
	// MaxOrphans is how many sessions may wait for their deletion at a target before no new one is made there; 0: 10.
	MaxOrphans int
	// Maintenance are the times when nothing is probed on schedule.
	Maintenance []Window
	// PausedUntil is the end of a pause without a window; zero for none.
	PausedUntil time.Time

	// Intents outlive this process.
	Intents Intents
	// Shared says that other processes write to Intents too. What they recorded is left alone until their
	// runs must be over. With Leases it is always so.
	Shared bool
	// Leases let one replica run the probes that make sessions; nil: this process alone.
	Leases Leases
	// LeaseTime is how long a lease lives without renewal; 0: 15 s.
	LeaseTime time.Duration

	// Observer is told of scheduled runs; nil: nobody.
	Observer Observer
	// Span makes traces; nil: none.
	Span Span
	// Progress is told of every step when it ends; nil: nobody.
	Progress func(Step)
	// Logger takes one line per change; nil: none.
	Logger *slog.Logger
	// Random is in [0, 1) and decides the phase of the schedule; nil: math/rand.
	Random func() float64
}

// Target is something that speaks the documented API: a gate, or an engine.
type Target struct {
	Name   string        // for results and for [Prober.Handler]; empty: "gate"
	URL    *url.URL      // without /api
	Key    secret.Secret // the probe's own credential
	Client *http.Client  // its transport is used, and its idle connections are closed after each run; nil: one is made
}

// Observer counts what scheduled runs find. Package metrics has one that fits.
type Observer interface {
	// ObserveRun tells of a run that ended at at and found why; qrgate.None is success.
	ObserveRun(probe string, why diagnosis.Code, at time.Time, took time.Duration)
	// Step tells of one step of a run.
	Step(step string, ok bool, took time.Duration)
	// Missed tells of a run that did not come about, or whose result was dropped.
	Missed(probe, reason string)
	// SetLeader tells whether this process leads, and how many sessions should be gone and are not.
	SetLeader(leader bool, orphans int)
}

// Span begins a span and returns its end, which takes what went wrong: qrgate.None for nothing. A run is
// the root of a trace of its own.
type Span func(ctx context.Context, name string, attributes ...slog.Attr) (context.Context, func(diagnosis.Code))

// Leases let one replica at a time run the probes that make sessions.
type Leases interface {
	// Acquire takes or renews owner's lease of key for ttl; false while another owner holds it.
	Acquire(ctx context.Context, key, owner string, ttl time.Duration) (bool, error)
	// Release gives it back early; releasing what one does not hold is no error.
	Release(ctx context.Context, key, owner string) error
}

// Defaults is the schedule: engine_health every 15 s, and where there is a key for it create_delete every
// minute and create_connect_qr every five. The last one makes an unpaired handshake at WhatsApp each time.
func Defaults(key bool) map[string]time.Duration {
	every := map[string]time.Duration{EngineHealth: 15 * time.Second}
	if key {
		every[CreateDelete], every[CreateConnectQR] = time.Minute, 5*time.Minute
	}
	return every
}

const (
	gateName     = "gate"
	shortestTurn = time.Second // between two scheduled runs of one probe
)

// withDefaults is c with its defaults, or what is wrong with it.
func (c Config) withDefaults() (Config, error) {
	if c.Every == nil {
		c.Every = Defaults(!c.Target.Key.Empty())
	}
	c.Spacing = orElse(c.Spacing, 30*time.Second)
	c.LeaseTime = orElse(c.LeaseTime, 15*time.Second)
	c.MaxOrphans = orElse(c.MaxOrphans, 10)
	c.Target.Name = orElse(c.Target.Name, gateName)
	c.Shared = c.Shared || c.Leases != nil
	if c.Observer == nil {
		c.Observer = nopObserver{}
	}
	if c.Span == nil {
		c.Span = func(ctx context.Context, _ string, _ ...slog.Attr) (context.Context, func(diagnosis.Code)) {
			return ctx, func(diagnosis.Code) {}
		}
	}
	if c.Progress == nil {
		c.Progress = func(Step) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Random == nil {
		c.Random = rand.Float64
	}
	return c, c.check()
}

func (c Config) check() error {
	if c.Intents == nil {
		return errors.New("probes: there is no place to record what will be created")
	}
	for _, t := range append([]Target{c.Target}, c.Others...) {
		if t.URL == nil || t.URL.Host == "" || t.Name == "" {
			return fmt.Errorf("probes: the target %q needs a name and a URL like http://localhost:8080", t.Name)
		}
	}
	for name, every := range c.Every {
		p, known := catalogue()[name]
		switch {
		case !known:
			return fmt.Errorf("probes: there is no probe %q; there are %s", name, list())
		case every != 0 && every < shortestTurn:
			return fmt.Errorf("probes: %s every %s is too often; at least every %s", name, every, shortestTurn)
		case every != 0 && p.session && c.Target.Key.Empty():
			return fmt.Errorf("probes: %s needs a key of its own (QRGATE_PROBE_API_KEY)", name)
		}
	}
	return nil
}

// nopObserver is the observer that is not there.
type nopObserver struct{}

func (nopObserver) ObserveRun(string, diagnosis.Code, time.Time, time.Duration) {}
func (nopObserver) Step(string, bool, time.Duration)                            {}
func (nopObserver) Missed(string, string)                                       {}
func (nopObserver) SetLeader(bool, int)                                         {}

func orElse[T comparable](v, other T) T {
	var zero T
	if v == zero {
		return other
	}
	return v
}
