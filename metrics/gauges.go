package metrics

import (
	"cmp"

	"github.com/prometheus/client_golang/prometheus"

	"qrgate/internal/session"
)

// GaugeValues are the values of the gauges at the moment of a scrape.
type GaugeValues struct {
	Sessions  map[session.State]int // active sessions, by state
	Waiters   int                   // waiting requests
	Limit     int                   // of waiting requests
	RateLimit RateLimit             // of the key with the fewest remaining calls
	Circuit   string                // state of the engine's circuit breaker; empty without one, which counts as closed
}

// RateLimit is what remains of an engine's rate limit. Known is false if no engine reports one.
type RateLimit struct {
	Known     bool
	Remaining int
}

// gaugeCollector reads all gauges once per scrape.
type gaugeCollector struct {
	read                                         func() GaugeValues
	sessions, waiters, limit, remaining, circuit *prometheus.Desc
}

func newGaugeCollector(read func() GaugeValues) gaugeCollector {
	if read == nil {
		read = func() GaugeValues { return GaugeValues{} }
	}
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return gaugeCollector{
		read: read,
		sessions: desc("qrgate_sessions", "Sessions that this replica tracks, by state, those of probes included. "+
			"A paired session is tracked for half a minute.", "state"),
		waiters: desc("qrgate_waiters", "Requests that wait for a QR."),
		limit:   desc("qrgate_waiters_limit", "Requests that may wait for a QR at the same time."),
		remaining: desc("qrgate_engine_rate_limit_remaining", "Calls that remain in the engine's rate limit window, "+
			"for the key with the fewest. Absent while no engine reports a limit."),
		circuit: desc("qrgate_engine_circuit_state", "1 for the current state of the engine's circuit breaker: "+
			"closed passes calls, open rejects them at once, half_open tries one.", "state"),
	}
}

// Describe implements [prometheus.Collector].
func (c gaugeCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.sessions, c.waiters, c.limit, c.remaining, c.circuit} {
		out <- d
	}
}

// Collect implements [prometheus.Collector].
func (c gaugeCollector) Collect(out chan<- prometheus.Metric) {
	v := c.read()
	send := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	for _, state := range session.States() {
		send(c.sessions, float64(v.Sessions[state]), string(state))
	}
	send(c.waiters, float64(v.Waiters))
	send(c.limit, float64(v.Limit))
	if v.RateLimit.Known {
		send(c.remaining, float64(v.RateLimit.Remaining))
	}
	for _, state := range circuitStates {
		send(c.circuit, boolValue(state == cmp.Or(v.Circuit, circuitClosed)), state)
	}
}
