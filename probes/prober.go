package probes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// Prober runs probes: on schedule, once, or on request. Make it with [New]; it is safe for concurrent use.
type Prober struct {
	cfg        Config
	targets    map[string]Target
	instanceID string
	number     atomic.Int64
	lead       *leader
	ledger     *results
	slots      chan struct{} // as many sessions at once as it has room

	sweeping sync.Mutex
	swept    sync.Once
	desk     throttle
}

// maxSessions is how many sessions of probes exist at once.
const maxSessions = 2

// New returns a prober. It does no I/O and starts nothing. The error says which setting is wrong.
func New(cfg Config) (*Prober, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	p := &Prober{
		cfg: cfg, targets: map[string]Target{}, instanceID: newEpoch(time.Now()), ledger: newLedger(),
		slots: make(chan struct{}, maxSessions), desk: throttle{last: map[string]time.Time{}},
	}
	for _, t := range append([]Target{cfg.Target}, cfg.Others...) {
		if _, twice := p.targets[t.Name]; twice {
			return nil, fmt.Errorf("probes: two targets are called %q", t.Name)
		}
		if t.Client == nil {
			t.Client = newClient()
		}
		p.targets[t.Name] = t
	}
	p.lead = &leader{leases: cfg.Leases, owner: p.instanceID, ttl: cfg.LeaseTime, tell: func(bool) { p.reportLeadership() }}
	return p, nil
}

// History is the last runs of every probe, newest first. Failures are kept longer than successes.
func (p *Prober) History() []Result { return p.ledger.runs() }

// RunsOnOtherReplica reports whether another replica runs a probe by schedule, so that what this one saw last is of old.
func (p *Prober) RunsOnOtherReplica(name string) bool {
	at, _ := p.lead.now()
	return p.cfg.Leases != nil && at == following && catalogue()[name].session
}

// Once runs one probe against the configured target, whoever leads. It is not counted by the observer. A
// name that there is no probe for is a run that was missed.
func (p *Prober) Once(ctx context.Context, name string) Result {
	return p.once(ctx, runRequest{probe: name, target: p.cfg.Target.Name})
}

// runRequest is what to run.
type runRequest struct {
	probe, target string
	limit         time.Duration // 0: the probe's own
	asked         bool          // by a person or a scrape, not by the schedule
	term          context.Context
}

func (p *Prober) once(ctx context.Context, o runRequest) Result {
	o.asked = true
	if catalogue()[o.probe].session {
		p.swept.Do(func() { p.sweep(ctx) })
	}
	run := p.execute(ctx, o)
	p.settle(run)
	return run
}

// execute does one run, whoever asked for it.
func (p *Prober) execute(ctx context.Context, o runRequest) Result {
	kind, known := catalogue()[o.probe]
	j := p.begin(o)
	if !known {
		j.miss(SkipInternal, fmt.Sprintf("There is no probe %q; there are %s.", o.probe, list()))
		return j.run
	}
	limit := limitOf(kind, p.cfg.Timeout, 0)
	if o.limit > 0 {
		limit = min(limit, o.limit)
	}
	if kind.session {
		leave := p.enter(ctx, j)
		if leave == nil {
			return j.run
		}
		defer leave()
	}
	j.run.StartedAt = time.Now()
	j.until = j.run.StartedAt.Add(limit + 2*cleanupTime)
	defer j.door.close()
	ctx, end := p.cfg.Span(ctx, "probe.run "+o.probe, slog.String("user_agent.synthetic.type", "test"),
		slog.String("qrgate.probe.name", o.probe), slog.String("qrgate.probe.run_id", j.run.ID), slog.String("qrgate.lease.epoch", p.instanceID))
	walking, stop := within(ctx, limit, o.term)
	defer stop()
	kind.walk(walking, j)
	j.run.Seconds = time.Since(j.run.StartedAt).Seconds()
	end(j.run.Code())
	return j.run
}

// within is ctx for at most limit, and no longer than the term if there is one.
func within(ctx context.Context, limit time.Duration, term context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	forget := func() bool { return true }
	if term != nil {
		forget = context.AfterFunc(term, func() { cancel(context.Cause(term)) })
	}
	bounded, stop := context.WithTimeout(ctx, limit)
	return bounded, func() { stop(); forget(); cancel(nil) }
}

func (p *Prober) begin(o runRequest) *run {
	id := runID(o.probe, p.instanceID, p.number.Add(1))
	j := &run{p: p, manual: o.asked, door: open(p.targets[o.target])}
	j.run = Result{ID: id, Probe: o.probe, Target: o.target, StartedAt: time.Now(), Steps: []Step{}}
	if catalogue()[o.probe].session {
		j.run.Session = prefix + id
	}
	return j
}

// enter takes a place for a run that will make a session. Without one the run is over, and leave is nil: while
// nobody answers, or nothing works, the failure that keeps old sessions alive is also this run's, so that a long
// outage stays an outage; else it is the prober that cannot go on.
func (p *Prober) enter(ctx context.Context, j *run) (leave func()) {
	if p.ledger.orphansAt(j.run.Target).n >= p.cfg.MaxOrphans {
		p.sweep(ctx) // perhaps they can be deleted by now
	}
	if left := p.ledger.orphansAt(j.run.Target); left.n >= p.cfg.MaxOrphans {
		if j.failed = left.outage(); j.failed == nil {
			_, j.failed = j.door.ask(ctx, listPage(1)) // a target that only deletes nothing still has a list
		}
		if j.failed != nil {
			j.verdict(ctx)
		} else {
			j.miss(SkipBacklog, left.words(j.run.Target, p.cfg.Intents.Location()))
		}
		return nil
	}
	select {
	case p.slots <- struct{}{}:
	default:
		j.miss(SkipOverlap, fmt.Sprintf("%d other runs are under way.", maxSessions))
		return nil
	}
	p.ledger.enter(j.run.Session)
	return func() { p.ledger.leave(j.run.Session); <-p.slots }
}

// settle notes a run and logs it if its verdict is news.
func (p *Prober) settle(r Result) {
	changed := p.ledger.record(r)
	about := []any{"probe", r.Probe, "target", r.Target, "run", r.ID, "seconds", r.Seconds}
	switch {
	case r.SkipReason == SkipInternal || r.SkipReason == SkipBacklog:
		p.cfg.Logger.Error("probes: the prober itself failed", append(about, "reason", r.SkipReason, "why", r.Problem)...)
	case changed && r.Healthy():
		p.cfg.Logger.Info("probes: it works again", about...)
	case changed:
		p.cfg.Logger.Warn("probes: it does not work", append(about, "diagnosis", r.Code(), "evidence", r.Diagnosis.Evidence)...)
	}
}

// noLeaderRun is the result of a run that did not take place because nobody can say who leads. Silence would
// look like health.
func (p *Prober) noLeaderRun(name string) Result {
	j := p.begin(runRequest{probe: name, target: p.cfg.Target.Name})
	d := diagnosis.New(diagnosis.RedisUnavailable, "nobody can say which replica runs this probe, so nothing was created")
	j.run.Outcome, j.run.Diagnosis, j.run.Session = session.Failure, &d, ""
	return j.run
}

// errShutdown ends the runs under way when the prober stops.
var errShutdown = errors.New("the prober stops")
