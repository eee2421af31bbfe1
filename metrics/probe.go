package metrics

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"qrgate"
)

// Probes takes what the synthetic probes find. Its methods are few and have plain parameters, so that the
// room of the probes can name them in an interface of its own.
type Probes struct {
	runs        counters[ending]
	errors      counters[two]
	skipped     counters[two]
	took        histograms[two]
	stepTook    histograms[one]
	stepFailed  counters[one]
	lastRun     gauges[one]
	lastSuccess gauges[one]
	leader      gauges[one]
	orphans     gauges[one]
	cleanup     counters[one]
}

// probeReasons lists why there was no run. The first kind is a failure of the prober itself, the second
// one is as it should be.
func probeReasons() (failed, skipped []string) {
	return []string{"lease_lost", "shutdown", "internal", "cleanup_backlog"}, []string{"overlap", "maintenance", "not_leader"}
}

func probeSteps() []one { return []one{"create", "connect", "qr", "validate", "cleanup"} }

// Ran counts one finished run, which ended at at and found why: qrgate.None is success.
func (p *Probes) Ran(probe string, why qrgate.Code, at time.Time, took time.Duration) {
	end := ranTo(probe, why)
	p.runs.inc(end)
	p.took.observe(two{probe, string(end.outcome)}, took.Seconds(), nil)
	seconds := float64(at.UnixMilli()) / 1000
	p.lastRun.set(one(probe), seconds)
	if end.outcome == qrgate.Success {
		p.lastSuccess.set(one(probe), seconds)
	}
}

// Step counts one step of a run: create, connect, qr, validate or cleanup.
func (p *Probes) Step(step string, ok bool, took time.Duration) {
	p.stepTook.observe(one(step), took.Seconds(), nil)
	if !ok {
		p.stepFailed.inc(one(step))
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
		p.skipped.inc(two{probe, reason})
		return
	}
	if !slices.Contains(failed, reason) {
		reason = "internal"
	}
	p.errors.inc(two{probe, reason})
}

// Keeps tells whether this replica leads, and how many sessions of probes should be gone and are not.
func (p *Probes) Keeps(leader bool, orphans int) {
	p.leader.set("", truth(leader))
	p.orphans.set("", float64(orphans))
}

func makeProbes(b *builder, every map[string]time.Duration) *Probes {
	var runs []ending
	var errs, skips, took []two
	names := make([]one, 0, len(every))
	failed, skipped := probeReasons()
	for _, name := range slices.Sorted(maps.Keys(every)) {
		names = append(names, one(name))
		runs = append(runs, runEndings(name)...)
		errs = append(errs, with(name, failed)...)
		skips = append(skips, with(name, skipped)...)
		took = append(took, two{name, string(qrgate.Success)}, two{name, string(qrgate.Failure)})
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
		leader:      newGauges(b, ProbeLeader, one("")),
		orphans:     newGauges(b, ProbeOrphans, one("")),
		cleanup:     newCounters(b, ProbeCleanupFailures, one("")),
	}
}

func with(name string, reasons []string) []two {
	var out []two
	for _, r := range reasons {
		out = append(out, two{name, r})
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
