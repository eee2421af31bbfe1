package metrics

import (
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// Probes receives the results of the synthetic probes. It implements the observer that package probes declares.
type Probes struct {
	intervals                           map[string]time.Duration
	runs, errors, skipped, stepFailures *prometheus.CounterVec
	duration, stepDuration              *prometheus.HistogramVec
	lastRun, lastSuccess                *prometheus.GaugeVec
	leader, orphans                     prometheus.Gauge
	cleanup                             prometheus.Counter
}

// The reasons for which a run did not take place: errors of the prober itself, and intended ones.
var (
	probeErrors = []string{"lease_lost", "shutdown", "internal", "cleanup_backlog"}
	probeSkips  = []string{"overlap", "maintenance", "not_leader"}
)

// newProbes registers the metrics of probes with their intervals.
func newProbes(f factory, intervals map[string]time.Duration) *Probes {
	names := values(slices.Sorted(maps.Keys(intervals))...)
	probe, outcome := []string{"probe"}, []string{"probe", "outcome"}
	p := &Probes{
		intervals: intervals,
		runs: f.counters("qrgate_probe_runs_total", "Probe runs that ended. Valid events of the probe's SLI.",
			append(outcome, "diagnosis"), product(names, outcomes(probeOutcome))),
		errors: f.counters("qrgate_probe_errors_total",
			"Probe runs that the prober could not complete. They are no valid events of an SLI.",
			[]string{"probe", "reason"}, product(names, values(probeErrors...))),
		skipped: f.counters("qrgate_probe_skipped_total", "Probe runs that were due and did not start.",
			[]string{"probe", "reason"}, product(names, values(probeSkips...))),
		duration: f.histograms("qrgate_probe_duration_seconds", "Seconds from the start to the end of a probe run.",
			acquisitionBuckets, outcome, product(names, values(session.Success, session.Failure))),
		stepDuration: f.histograms("qrgate_probe_step_duration_seconds",
			"Seconds from the start to the end of a step of a probe run.",
			acquisitionBuckets, []string{"step"}, values(probeSteps...)),
		stepFailures: f.counters("qrgate_probe_step_failures_total", "Steps of probe runs that failed.",
			[]string{"step"}, values(probeSteps...)),
		lastRun: f.gauges("qrgate_probe_last_run_timestamp_seconds",
			"Unix time of the end of the last probe run; 0 before the first.", probe, names),
		lastSuccess: f.gauges("qrgate_probe_last_success_timestamp_seconds",
			"Unix time of the end of the last successful probe run; 0 before the first.", probe, names),
		leader:  f.gauge("qrgate_probe_leader", "Whether this replica runs the probes of the cluster."),
		orphans: f.gauge("qrgate_probe_orphaned_sessions", "Sessions of probes that are not deleted yet."),
		cleanup: f.counter("qrgate_probe_cleanup_failures_total", "Failed deletions of a probe's session."),
	}
	interval := f.gauges("qrgate_probe_interval_seconds", "Configured seconds between two probe runs.", probe, nil)
	for name, every := range intervals {
		interval.WithLabelValues(name).Set(every.Seconds())
	}
	return p
}

// ObserveRun records a run that ended at a time. The cause is [diagnosis.None] for success.
func (p *Probes) ObserveRun(probe string, cause diagnosis.Code, at time.Time, duration time.Duration) {
	if !p.has(probe) {
		return
	}
	outcome, cause := probeOutcome("", cause)
	p.runs.WithLabelValues(probe, string(outcome), string(cause)).Inc()
	p.duration.WithLabelValues(probe, string(outcome)).Observe(duration.Seconds())
	seconds := float64(at.UnixMilli()) / 1000
	p.lastRun.WithLabelValues(probe).Set(seconds)
	if outcome == session.Success {
		p.lastSuccess.WithLabelValues(probe).Set(seconds)
	}
}

// Step records one step of a run: create, connect, qr, validate or cleanup.
func (p *Probes) Step(step string, ok bool, duration time.Duration) {
	if !slices.Contains(probeSteps, step) {
		return
	}
	p.stepDuration.WithLabelValues(step).Observe(duration.Seconds())
	if !ok {
		p.stepFailures.WithLabelValues(step).Inc()
		if step == "cleanup" {
			p.cleanup.Inc()
		}
	}
}

// Missed counts a run that did not take place. Unknown reasons count as the error "internal".
func (p *Probes) Missed(probe, reason string) {
	switch {
	case !p.has(probe):
	case slices.Contains(probeSkips, reason):
		p.skipped.WithLabelValues(probe, reason).Inc()
	case slices.Contains(probeErrors, reason):
		p.errors.WithLabelValues(probe, reason).Inc()
	default:
		p.errors.WithLabelValues(probe, "internal").Inc()
	}
}

// SetLeader records whether this replica runs the probes, and how many of their sessions are not deleted yet.
func (p *Probes) SetLeader(leader bool, orphans int) {
	p.leader.Set(boolValue(leader))
	p.orphans.Set(float64(orphans))
}

func (p *Probes) has(probe string) bool {
	_, ok := p.intervals[probe]
	return ok
}
