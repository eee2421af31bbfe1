package metrics

import (
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"qrgate/internal/session"
)

// Metrics holds every series of one replica, in a registry of its own.
type Metrics struct {
	registry *prometheus.Registry

	journeys      counters[outcomeLabels]
	timeToCode    histograms[label1]
	codes         counters[label2]
	holds         counters[outcomeLabels]
	holdDuration  histograms[label1]
	stateChanges  counters[label1]
	engineUp      gauges[label1]
	engineCalls   counters[label2]
	engineTook    histograms[label2]
	engineRetries counters[label1]
	storeUp       gauges[label1]
	mismatches    counters[label1]
	storeTook     histograms[label1]
	storeFailures counters[label1]

	httpRequests counters[requestLabels]
	httpDuration histograms[methodRoute]
	httpActive   gauges[label1]
	httpBytes    counters[label1]
	httpGone     counters[label1]
	httpFaults   counters[label2]
	httpRejected counters[label1]

	exportFailures counters[label1]
	logMessages    counters[label1]
	probes         *Probes
}

// MaxProbes is the most probes that can be told apart. With more, MaxSeries would not hold.
const MaxProbes = 4

// Config says what Metrics are about. The zero value is usable.
type Config struct {
	// Build is what qrgate_build_info tells. What is empty is taken from the binary itself.
	Build Build
	// Read is asked once per scrape for what is a state and no event. Nil means that all of it is zero.
	Read func() GaugeValues
	// Probes are the names of the probes with the time between two runs of each. At most MaxProbes.
	Probes map[string]time.Duration
}

// New makes all series and starts nothing. It returns an error when there are too many probes, or one has
// a name that is not within ^[a-z][a-z0-9_]{0,31}$.
func New(cfg Config) (*Metrics, error) {
	if err := checkProbes(cfg.Probes); err != nil {
		return nil, err
	}
	m := &Metrics{registry: prometheus.NewRegistry()}
	b := newBuilder(m.registry)
	m.registerPairing(b)
	m.makeHTTP(b)
	m.makeSelf(b, cfg)
	m.probes = makeProbes(b, cfg.Probes)
	b.register(collectors.NewGoCollector())
	b.register(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err := b.failed(); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return m, nil
}

// Handler serves the metrics: in the OpenMetrics format, which alone carries exemplars, to whoever accepts it.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		EnableOpenMetrics:   true,
		ErrorHandling:       promhttp.ContinueOnError, // one bad collector must not blind all
		MaxRequestsInFlight: 4,
		Timeout:             10 * time.Second,
	})
}

// Gatherer gives the registry to tests and tools.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }

// Probes takes what the probes find.
func (m *Metrics) Probes() *Probes { return m.probes }

func (m *Metrics) registerPairing(b *builder) {
	both := []label1{label1(session.UserTraffic), label1(session.SyntheticTraffic)}
	m.journeys = newCounters(b, QRAcquisitions, append(journeyEndings(string(session.UserTraffic)), journeyEndings(string(session.SyntheticTraffic))...)...)
	m.timeToCode = newHistograms(b, QRTimeToCode, both...)
	m.codes = newCounters(b, QRCodes, codePositions()...)
	m.holds = newCounters(b, QRWaits, holdEndings()...)
	m.holdDuration = newHistograms(b, QRWaitDuration, label1(session.Success), label1(session.Failure), label1(session.Abandoned))
	m.stateChanges = newCounters(b, StateChanges, stateLabels()...)
	m.engineUp = newGauges(b, EngineUp, label1(""))
	m.engineCalls = newCounters(b, EngineRequests, callTuples()...)
	m.engineTook = newHistograms(b, EngineDuration, callOutcomes()...)
	m.engineRetries = newCounters(b, EngineRetries, retried()...)
	m.storeUp = newGauges(b, StoreUp, label1(""))
	m.mismatches = newCounters(b, StoreDecryptFailures, label1(""))
	m.storeTook = newHistograms(b, StoreDuration, storeOps()...)
	m.storeFailures = newCounters(b, StoreFailures, storeOps()...)
	m.engineUp.set("", 1)
	m.storeUp.set("", 1)
}

func (m *Metrics) makeHTTP(b *builder) {
	m.httpRequests = newCounters(b, HTTPRequests, append(legalAnswers(session.UserTraffic), legalAnswers(session.SyntheticTraffic)...)...)
	m.httpDuration = newHistograms(b, HTTPDuration, pairs()...)
	m.httpActive = newGauges(b, HTTPActive, label1(""))
	m.httpBytes = newCounters(b, HTTPBodyBytes, label1("in"), label1("out"))
	m.httpGone = newCounters(b, HTTPClientGone, label1(session.UserTraffic), label1(session.SyntheticTraffic))
	m.httpFaults = newCounters(b, HTTPFailures, faultTuples()...)
	m.httpRejected = newCounters(b, HTTPRejected, rejections()...)
}

func (m *Metrics) makeSelf(b *builder, cfg Config) {
	build := cfg.Build.filled()
	newGauges(b, BuildInfo, build).set(build, 1)
	m.exportFailures = newCounters(b, ExportFailures, label1("traces"))
	m.logMessages = newCounters(b, LogMessages, levels()...)
	newScraped(b, cfg.Read)
}
