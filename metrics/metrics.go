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
// docs/METRICS.md lists the metrics; a test compares it with [Catalog].
package metrics

import (
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// MaxSeries is the most series that one replica can expose, including those of the Go runtime and the native
// histograms beside the classic ones.
const MaxSeries = 1500

// MaxProbes is the most probes that the metrics distinguish. With more, MaxSeries would not hold.
const MaxProbes = 4

// Metrics holds every series of one replica in a registry of its own.
type Metrics struct {
	registry *prometheus.Registry
	qrMetrics
	engineMetrics
	httpMetrics
	exportFailures *prometheus.CounterVec
	logMessages    *prometheus.CounterVec
	probes         *Probes
}

// Config configures Metrics. The zero value is usable.
type Config struct {
	// Build is shown by qrgate_build_info. Empty fields are read from the binary.
	Build Build
	// Read is called once per scrape. Nil means that all gauges are zero.
	Read func() GaugeValues
	// Probes are the names of the probes with their intervals. At most MaxProbes.
	Probes map[string]time.Duration
}

// New registers all metrics and starts nothing. It returns an error for too many probes, and for a probe whose name
// does not match ^[a-z][a-z0-9_]{0,31}$.
func New(cfg Config) (*Metrics, error) {
	if err := checkProbes(cfg.Probes); err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	f := factory{promauto.With(registry)}
	m := &Metrics{
		registry:      registry,
		qrMetrics:     newQRMetrics(f),
		engineMetrics: newEngineMetrics(f),
		httpMetrics:   newHTTPMetrics(f),
		probes:        newProbes(f, cfg.Probes),
		exportFailures: f.counters("qrgate_otel_export_failures_total",
			"Batches of telemetry that could not be exported.", []string{"signal"}, values("traces")),
		logMessages: f.counters("qrgate_log_messages_total",
			"Log messages, by level.", []string{"level"}, values("debug", "info", "warn", "error")),
	}
	build := cfg.Build.withDefaults()
	f.NewGaugeVec(prometheus.GaugeOpts{
		Name: "qrgate_build_info", Help: "1, labeled with the version, the revision and the Go version of the binary.",
	}, []string{"version", "revision", "goversion"}).WithLabelValues(build.Version, build.Revision, runtime.Version()).Set(1)
	registry.MustRegister(newGaugeCollector(cfg.Read), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m, nil
}

// Handler serves the metrics. Only the OpenMetrics format carries exemplars.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		EnableOpenMetrics:   true,
		ErrorHandling:       promhttp.ContinueOnError, // one failing collector must not hide the others
		MaxRequestsInFlight: 4,
		Timeout:             10 * time.Second,
	})
}

// Gatherer returns the registry, for tests and tools.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }

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
	for _, l := range legal {
		vec.WithLabelValues(l...)
	}
	return vec
}

func (f factory) gauges(name, help string, labels []string, legal [][]string) *prometheus.GaugeVec {
	vec := f.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	for _, l := range legal {
		vec.WithLabelValues(l...)
	}
	return vec
}

// histograms have classic buckets, which rules use, and native ones for finer graphs.
func (f factory) histograms(
	name, help string, buckets []float64, labels []string, legal [][]string,
) *prometheus.HistogramVec {
	vec := f.NewHistogramVec(prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100,
	}, labels)
	for _, l := range legal {
		vec.WithLabelValues(l...)
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

// Build identifies the binary.
type Build struct {
	Version  string
	Revision string // of the source
}

// withDefaults reads empty fields from the binary.
func (b Build) withDefaults() Build {
	if info, ok := debug.ReadBuildInfo(); ok {
		if b.Version == "" {
			b.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && b.Revision == "" {
				b.Revision = s.Value
			}
		}
	}
	if b.Revision == "" {
		b.Revision = "unknown"
	}
	if b.Version == "" {
		b.Version = "unknown"
	}
	return b
}

// Family describes one metric.
type Family struct {
	Name    string
	Type    string // counter, gauge or histogram
	Labels  []string
	Help    string
	Buckets []float64 // upper bounds of a histogram
}

// Catalog returns every metric of qrgate's own, read from a registry.
func Catalog() ([]Family, error) {
	m, err := New(Config{
		Probes: map[string]time.Duration{"probe": time.Second},
		Read:   func() GaugeValues { return GaugeValues{RateLimit: RateLimit{Known: true}} },
	})
	if err != nil {
		return nil, err
	}
	gathered, err := m.registry.Gather()
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	var all []Family
	for _, g := range gathered {
		f := Family{Name: g.GetName(), Type: strings.ToLower(g.GetType().String()), Help: g.GetHelp()}
		if !isOwn(f.Name) {
			continue
		}
		for _, l := range g.Metric[0].Label {
			f.Labels = append(f.Labels, l.GetName())
		}
		for _, b := range g.Metric[0].GetHistogram().GetBucket() {
			f.Buckets = append(f.Buckets, b.GetUpperBound())
		}
		all = append(all, f)
	}
	return all, nil
}
