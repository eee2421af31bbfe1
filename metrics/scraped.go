package metrics

import (
	"cmp"

	"github.com/prometheus/client_golang/prometheus"

	"qrgate/internal/session"
)

// GaugeValues is what is true at the moment of a scrape.
type GaugeValues struct {
	Sessions map[session.State]int // sessions at work, by state
	Waiters  int                   // requests that are held
	Limit    int                   // requests that are held at most
	Budget   Budget                // of the key with the fewest calls left
	Circuit  string                // state of the breaker before the engine; empty where there is none, which counts as closed
}

// Budget is what an engine still allows. Known is false when it does not say.
type Budget struct {
	Known bool
	Left  int
}

// gaugeCollector is a collector that asks once per scrape.
type gaugeCollector struct {
	read     func() GaugeValues
	sessions *prometheus.Desc
	waiters  *prometheus.Desc
	limit    *prometheus.Desc
	budget   *prometheus.Desc
	circuit  *prometheus.Desc
}

func newScraped(b *builder, read func() GaugeValues) {
	if read == nil {
		read = func() GaugeValues { return GaugeValues{} }
	}
	desc := func(name string) *prometheus.Desc {
		f := b.take(name)
		return prometheus.NewDesc(name, f.Help, f.Labels, nil)
	}
	b.register(gaugeCollector{read, desc(Sessions), desc(Waiters), desc(WaitersLimit), desc(RateLimitRemaining), desc(EngineCircuit)})
}

// Describe implements [prometheus.Collector].
func (s gaugeCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{s.sessions, s.waiters, s.limit, s.budget, s.circuit} {
		out <- d
	}
}

// Collect implements [prometheus.Collector].
func (s gaugeCollector) Collect(out chan<- prometheus.Metric) {
	now := s.read()
	send := func(d *prometheus.Desc, v int, labels ...string) {
		if metric, err := prometheus.NewConstMetric(d, prometheus.GaugeValue, float64(v), labels...); err == nil {
			out <- metric
		}
	}
	for _, state := range session.States() {
		send(s.sessions, now.Sessions[state], string(state))
	}
	send(s.waiters, now.Waiters)
	send(s.limit, now.Limit)
	if now.Budget.Known {
		send(s.budget, now.Budget.Left)
	}
	for _, state := range circuitStates() {
		send(s.circuit, int(truth(state == cmp.Or(now.Circuit, circuitClosed))), state)
	}
}
