// Package metrics holds qrgate's Prometheus metrics, its OpenTelemetry tracing, and the log handler that redacts.
//
// Other packages do not import it. They report plain values (a [session.Event], a [session.RequestLog]), and
// internal/app passes those on:
//
//	Metrics.Observe     acquisitions, engine calls, waits, the store
//	Metrics.HTTP        one request and its response
//	Metrics.Probes      results of the synthetic probes
//	Config.Read         gauges that are read during a scrape, and so cannot be stale
//	Tracing             spans of requests, of acquisitions and of engine calls
//	LogHandler          counts messages, adds trace ids, redacts
//
// Labels are closed: every legal combination of label values exists with value 0 from the start, and no input can
// create another one. A replica therefore has the same number of series from its first scrape to its last, at most
// [MaxSeries]. Nothing that a client chose (an id, a path, a key, an error text) is a label value.
// docs/METRICS.md lists the metrics.
package metrics

import (
	"cmp"
	"net/http"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"qrgate/internal/session"
)

// MaxSeries is the most series that one replica can expose for its first engine and the process, including those of the
// Go runtime and the native histograms beside the classic ones. Each further engine adds fewer.
const MaxSeries = 1800

// Metrics holds the series of one engine, labeled with its name, and shares with the [Metrics] of the other engines a
// registry and the series of the process.
type Metrics struct {
	*processMetrics
	qrMetrics
	engineMetrics
	httpMetrics
	probes *Probes
}

// processMetrics are the series of a replica that concern no engine.
type processMetrics struct {
	registry *prometheus.Registry
	updates  []func() // set the gauges of each engine, during a scrape
	storeMetrics
	exportFailures, logMessages *prometheus.CounterVec
}

// Config configures Metrics. The zero value is usable.
type Config struct {
	// Version is shown by qrgate_build_info. If it is empty it is read from the binary.
	Version string
	// Engine is the name of the engine, a label of its series. Default: DefaultEngine.
	Engine string
	// Read is called once per scrape. Nil means that all gauges are zero.
	Read func() GaugeValues
	// Probes are the names of the probes with their intervals. MaxSeries holds for four.
	Probes map[string]time.Duration
}

// GaugeValues are the values of the gauges at the moment of a scrape.
type GaugeValues struct {
	Sessions  map[session.State]int // active sessions, by state
	Waiters   int                   // waiting requests
	Limit     int                   // of waiting requests
	Pushes    int                   // connections on which the engine reports changes
	Remaining int                   // calls of the key with the fewest; negative if no engine reports a rate limit
	Circuit   string                // state of the engine's circuit breaker; empty without one, which counts as closed
}

// DefaultEngine is the name of an engine that has none.
const DefaultEngine = "default"

// New registers the metrics of the process and of one engine. It starts nothing.
func New(cfg Config) *Metrics {
	registry := prometheus.NewRegistry()
	f := factory{promauto.With(registry)}
	process := &processMetrics{
		registry:     registry,
		storeMetrics: newStoreMetrics(f),
		exportFailures: f.counters("qrgate_otel_export_failures_total",
			"Batches of telemetry that could not be exported.", []string{"signal"}, values("traces")),
		logMessages: f.counters("qrgate_log_messages_total", "Log messages, by level.", []string{"level"}, values(levels...)),
	}
	version, revision := buildVersion(cfg.Version)
	f.gauges("qrgate_build_info", "1, labeled with the version, the revision and the Go version of the binary.",
		[]string{"version", "revision", "goversion"}, nil).WithLabelValues(version, revision, runtime.Version()).Set(1)
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return (&Metrics{processMetrics: process}).ForEngine(cfg)
}

// ForEngine registers the metrics of another engine beside those of m. It must not be called during a scrape.
func (m *Metrics) ForEngine(cfg Config) *Metrics {
	labels := prometheus.Labels{"engine": cmp.Or(cfg.Engine, DefaultEngine)}
	f := factory{promauto.With(prometheus.WrapRegistererWith(labels, m.registry))}
	if update := newGauges(f); cfg.Read != nil {
		m.updates = append(m.updates, func() { update(cfg.Read()) })
	}
	return &Metrics{
		processMetrics: m.processMetrics,
		qrMetrics:      newQRMetrics(f),
		engineMetrics:  newEngineMetrics(f),
		httpMetrics:    newHTTPMetrics(f),
		probes:         newProbes(f, cfg.Probes),
	}
}

// Gather implements [prometheus.Gatherer].
func (p *processMetrics) Gather() ([]*dto.MetricFamily, error) {
	for _, update := range p.updates {
		update()
	}
	return p.registry.Gather()
}

// newGauges registers the gauges of a scrape and returns the function that sets them.
func newGauges(f factory) func(GaugeValues) {
	sessions := f.gauges("qrgate_sessions", "Sessions that this replica tracks, by state, those of probes included. "+
		"A paired session is tracked for half a minute.", []string{"state"}, values(session.States()...))
	waiters := f.gauge("qrgate_waiters", "Requests that wait for a QR.")
	limit := f.gauge("qrgate_waiters_limit", "Requests that may wait for a QR at the same time.")
	pushes := f.gauge("qrgate_engine_push_connections", "Credentials for which the engine reports changes of sessions "+
		"by itself, on a websocket: their sessions are not polled.")
	remaining := f.gauges("qrgate_engine_rate_limit_remaining", "Calls that remain in the engine's rate limit window, "+
		"for the key with the fewest. Absent while no engine reports a limit.", nil, nil)
	circuit := f.gauges("qrgate_engine_circuit_state", "1 for the current state of the engine's circuit breaker: "+
		"closed passes calls, open rejects them at once, half_open tries one.", []string{"state"}, values(circuitStates...))
	update := func(v GaugeValues) {
		for _, state := range session.States() {
			sessions.WithLabelValues(string(state)).Set(float64(v.Sessions[state]))
		}
		waiters.Set(float64(v.Waiters))
		limit.Set(float64(v.Limit))
		pushes.Set(float64(v.Pushes))
		if v.Remaining >= 0 {
			remaining.WithLabelValues().Set(float64(v.Remaining))
		} else {
			remaining.Reset()
		}
		for _, state := range circuitStates {
			circuit.WithLabelValues(state).Set(boolValue(state == cmp.Or(v.Circuit, "closed")))
		}
	}
	update(GaugeValues{Remaining: -1})
	return update
}

// Handler serves the metrics. Only the OpenMetrics format carries exemplars.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.processMetrics, promhttp.HandlerOpts{
		EnableOpenMetrics:   true,
		ErrorHandling:       promhttp.ContinueOnError, // one failing collector must not hide the others
		MaxRequestsInFlight: 4,
		Timeout:             10 * time.Second,
	})
}

// Gatherer returns all metrics, for tests and tools.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.processMetrics }

// Probes receives the results of the probes.
func (m *Metrics) Probes() *Probes { return m.probes }

// ExportFailed counts a batch of spans that could not be exported.
func (m *Metrics) ExportFailed() { m.exportFailures.WithLabelValues("traces").Inc() }

// factory registers vectors and creates every legal series of each, so that the first increment of each is visible.
type factory struct{ promauto.Factory }

func (f factory) counter(name, help string) prometheus.Counter {
	return f.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

func (f factory) gauge(name, help string) prometheus.Gauge {
	return f.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
}

func (f factory) counters(name, help string, labels []string, legal [][]string) *prometheus.CounterVec {
	vec := f.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	return create(vec, vec.WithLabelValues, legal)
}

func (f factory) gauges(name, help string, labels []string, legal [][]string) *prometheus.GaugeVec {
	vec := f.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	return create(vec, vec.WithLabelValues, legal)
}

// histograms have classic buckets, which rules use, and native ones for finer graphs.
func (f factory) histograms(
	name, help string, buckets []float64, labels []string, legal [][]string,
) *prometheus.HistogramVec {
	vec := f.NewHistogramVec(prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100,
	}, labels)
	return create(vec, vec.WithLabelValues, legal)
}

func create[V, M any](vec V, with func(...string) M, legal [][]string) V {
	for _, labels := range legal {
		with(labels...)
	}
	return vec
}

// The upper bounds of the histograms' buckets, in seconds. The thresholds of SLOs must be among them: 5 and 15 s of an
// acquisition, 4.5 and 9 s of a wait.
var (
	acquisitionBuckets = []float64{.1, .25, .5, 1, 2, 3, 5, 7.5, 10, 15, 20, 30, 60}
	waitBuckets        = []float64{.05, .25, .5, 1, 2, 3, 4.5, 6, 9, 15, 30, 60}
	engineBuckets      = []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	storeBuckets       = []float64{.0005, .001, .005, .025, .1, .15, .5, 1}
	httpBuckets        = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
)

// buildVersion returns the version, from the binary if it is empty, and the revision of the source.
func buildVersion(version string) (string, string) {
	var revision string
	if info, ok := debug.ReadBuildInfo(); ok {
		version = cmp.Or(version, info.Main.Version)
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = s.Value
			}
		}
	}
	return cmp.Or(version, "unknown"), cmp.Or(revision, "unknown")
}
