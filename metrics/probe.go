package metrics

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// Probes takes what the synthetic probes find. Its methods are few and have plain parameters, so that the
// room of the probes can name them in an interface of its own.
type Probes struct {
	runs        counters[outcomeLabels]
	errors      counters[label2]
	skipped     counters[label2]
	took        histograms[label2]
	stepTook    histograms[label1]
	stepFailed  counters[label1]
	lastRun     gauges[label1]
	lastSuccess gauges[label1]
	leader      gauges[label1]
	orphans     gauges[label1]
	cleanup     counters[label1]
}

// probeReasons lists why there was no run. The first kind is a failure of the prober itself, the second
// one is as it should be.
func probeReasons() (failed, skipped []string) {
	return []string{"lease_lost", "shutdown", "internal", "cleanup_backlog"}, []string{"overlap", "maintenance", "not_leader"}
}

func probeSteps() []label1 { return []label1{"create", "connect", "qr", "validate", "cleanup"} }

// ObserveRun counts one finished run, which ended at at and found why: qrgate.None is success.
func (p *Probes) ObserveRun(probe string, why diagnosis.Code, at time.Time, took time.Duration) {
	end := probeLabels(probe, why)
	p.runs.inc(end)
	p.took.observe(label2{probe, string(end.outcome)}, took.Seconds(), nil)
	seconds := float64(at.UnixMilli()) / 1000
	p.lastRun.set(label1(probe), seconds)
	if end.outcome == session.Success {
		p.lastSuccess.set(label1(probe), seconds)
	}
}

// Step counts one step of a run: create, connect, qr, validate or cleanup.
func (p *Probes) Step(step string, ok bool, took time.Duration) {
	p.stepTook.observe(label1(step), took.Seconds(), nil)
	if !ok {
		p.stepFailed.inc(label1(step))
		if step == "cleanup" {
			p.cleanup.inc("")
		}
	}
}

// Missed counts a run that did not come about: skipped for overlap, maintenance or not_leader, else failed
// for lease_lost, shutdown, cleanup_backlog or internal, which also stands for every other reason.
func (p *Probes) Missed(probe, reason string) {
	failed, skipped := probeReasons()
	if slices.Contains(skipped, reason) {
		p.skipped.inc(label2{probe, reason})
		return
	}
	if !slices.Contains(failed, reason) {
		reason = "internal"
	}
	p.errors.inc(label2{probe, reason})
}

// SetLeader tells whether this replica leads, and how many sessions of probes should be gone and are not.
func (p *Probes) SetLeader(leader bool, orphans int) {
	p.leader.set("", truth(leader))
	p.orphans.set("", float64(orphans))
}

func makeProbes(b *builder, every map[string]time.Duration) *Probes {
	var runs []outcomeLabels
	var errs, skips, took []label2
	names := make([]label1, 0, len(every))
	failed, skipped := probeReasons()
	for _, name := range slices.Sorted(maps.Keys(every)) {
		names = append(names, label1(name))
		runs = append(runs, runEndings(name)...)
		errs = append(errs, with(name, failed)...)
		skips = append(skips, with(name, skipped)...)
		took = append(took, label2{name, string(session.Success)}, label2{name, string(session.Failure)})
	}
	interval := newGauges(b, ProbeInterval, names...)
	for _, name := range names {
		interval.set(name, every[string(name)].Seconds())
	}
	return &Probes{
		runs:        newCounters(b, ProbeRuns, runs...),
		errors:      newCounters(b, ProbeErrors, errs...),
		skipped:     newCounters(b, ProbeSkipped, skips...),
		took:        newHistograms(b, ProbeDuration, took...),
		stepTook:    newHistograms(b, ProbeStepDuration, probeSteps()...),
		stepFailed:  newCounters(b, ProbeStepFailures, probeSteps()...),
		lastRun:     newGauges(b, ProbeLastRun, names...),
		lastSuccess: newGauges(b, ProbeLastSuccess, names...),
		leader:      newGauges(b, ProbeLeader, label1("")),
		orphans:     newGauges(b, ProbeOrphans, label1("")),
		cleanup:     newCounters(b, ProbeCleanupFailures, label1("")),
	}
}

func with(name string, reasons []string) []label2 {
	var out []label2
	for _, r := range reasons {
		out = append(out, label2{name, r})
	}
	return out
}

func checkProbes(every map[string]time.Duration) error {
	if len(every) > MaxProbes {
		return fmt.Errorf("metrics: %d probes, and at most %d can be told apart", len(every), MaxProbes)
	}
	plain := regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)
	for name := range every {
		if !plain.MatchString(name) {
			return fmt.Errorf("metrics: %q is no name for a probe: it needs small letters, digits and _", name)
		}
	}
	return nil
}
