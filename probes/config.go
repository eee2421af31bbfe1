package probes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/secret"
	"qrgate/internal/store"
)

// Config is what a Prober needs. Target and Intents are required.
type Config struct {
	// Target is what the schedule probes: the gateway's own public address.
	Target Target
	// Others are further targets for [Prober.Handler].
	Others []Target

	// Every is the interval of each scheduled probe; a probe that is absent or 0 is not scheduled. nil: see [Defaults].
	Every map[string]time.Duration
	// Timeout limits one run without its cleanup; 0: each probe's own limit.
	Timeout time.Duration
	// Maintenance are the times when nothing is probed on schedule.
	Maintenance []Window

	// Intents outlive this process.
	Intents Intents
	// Shared: other processes write to Intents too: their sessions are not deleted before their runs must be
	// over. Leases imply it.
	Shared bool
	// Leases let one replica run the probes that make sessions; nil: this process does.
	Leases store.Leases

	// Observer receives the scheduled results; may be nil.
	Observer Observer
	// Span makes traces; may be nil.
	Span Span
	// Progress receives every step when it ends; may be nil.
	Progress func(Step)
	// Logger gets one line per change; may be nil.
	Logger *slog.Logger
	// Random is in [0, 1) and decides the phase of the schedule; nil: math/rand.
	Random func() float64
}

// Target is a gateway or an engine of the documented API.
type Target struct {
	Name   string        // in results and for [Prober.Handler]; empty: "gate"
	URL    *url.URL      // without /api
	Key    secret.Secret // the probe's own credential
	Client *http.Client  // its transport is used, and its idle connections are closed after each run; nil: a new one
}

// newHTTPClient makes the client of a target that has none.
func newHTTPClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:            (&net.Dialer{Timeout: 3 * time.Second}).DialContext,
		TLSHandshakeTimeout:    3 * time.Second,
		DisableCompression:     true, // a small response must not grow in memory
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConns:           4,
		IdleConnTimeout:        4 * time.Second,
		Proxy:                  http.ProxyFromEnvironment,
	}}
}

// Observer counts the results of scheduled runs.
type Observer interface {
	// ObserveRun counts a run that ended at at; code is diagnosis.None after a success.
	ObserveRun(probe string, code diagnosis.Code, at time.Time, took time.Duration)
	// Step counts one step of a run.
	Step(step string, ok bool, took time.Duration)
	// Missed counts a skipped run.
	Missed(probe, reason string)
	// SetLeader sets whether this process leads, and how many sessions it could not delete.
	SetLeader(leader bool, orphans int)
}

// Span starts a span and returns the function that ends it with the diagnosis, diagnosis.None for success. A run is the
// root of a trace.
type Span func(ctx context.Context, name string, attributes ...slog.Attr) (context.Context, func(diagnosis.Code))

// Defaults is the default schedule: engine_health every 15 s, and with a key create_delete every minute and
// create_connect_qr every five, because it makes an unpaired handshake with WhatsApp.
func Defaults(key bool) map[string]time.Duration {
	every := map[string]time.Duration{EngineHealth: 15 * time.Second}
	if key {
		every[CreateDelete], every[CreateConnectQR] = time.Minute, 5*time.Minute
	}
	return every
}

// minInterval is the shortest interval of a scheduled probe.
const minInterval = time.Second

// withDefaults returns c with its defaults, or what is wrong with it.
func (c Config) withDefaults() (Config, error) {
	if c.Every == nil {
		c.Every = Defaults(!c.Target.Key.Empty())
	}
	c.Target.Name = cmp.Or(c.Target.Name, "gate")
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
		return errors.New("probes: Intents is required")
	}
	for _, t := range append([]Target{c.Target}, c.Others...) {
		if t.URL == nil || t.URL.Host == "" || t.Name == "" {
			return fmt.Errorf("probes: the target %q needs a name and a URL such as http://localhost:8080", t.Name)
		}
	}
	for name, every := range c.Every {
		p, known := catalog[name]
		switch {
		case !known:
			return fmt.Errorf("probes: unknown probe %q; the probes are %s", name, nameList())
		case every != 0 && every < minInterval:
			return fmt.Errorf("probes: %s every %s is too often; the minimum is %s", name, every, minInterval)
		case every != 0 && p.makesSession && c.Target.Key.Empty():
			return fmt.Errorf("probes: %s needs a key (QRGATE_PROBE_API_KEY)", name)
		}
	}
	return nil
}

type nopObserver struct{}

func (nopObserver) ObserveRun(string, diagnosis.Code, time.Time, time.Duration) {}
func (nopObserver) Step(string, bool, time.Duration)                            {}
func (nopObserver) Missed(string, string)                                       {}
func (nopObserver) SetLeader(bool, int)                                         {}
