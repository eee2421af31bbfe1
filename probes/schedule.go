package probes

import (
	"context"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"qrgate/internal/session"
)

// Run probes on schedule until ctx ends. Then it stops in order: no new runs, those under way are cancelled
// and clean up, and the lease is given back. It returns nil.
func (p *Prober) Run(ctx context.Context) error {
	alive := context.WithoutCancel(ctx)
	runs, cancelRuns := context.WithCancelCause(alive)
	lease, stopLease := context.WithCancel(alive)
	defer stopLease()
	p.lead.renew(ctx)
	p.reportLeadership()
	var turns, rest sync.WaitGroup
	rest.Go(func() { p.lead.run(lease) })
	turns.Go(func() { p.janitor(ctx) })
	names := slices.Sorted(maps.Keys(p.cfg.Every))
	base := p.cfg.Random()
	for i, name := range names {
		if every := p.cfg.Every[name]; every > 0 {
			t := slot{probe: catalogue()[name], every: every, phase: phase(every, base, i, len(names))}
			turns.Go(func() { p.loop(ctx, runs, t) })
		}
	}
	<-ctx.Done()
	cancelRuns(errShutdown)
	turns.Wait()
	stopLease()
	rest.Wait()
	return nil
}

// slot is one probe's place in the schedule.
type slot struct {
	probe        probe
	every, phase time.Duration
}

// phase is when in its interval the i-th of n probes runs: all of them evenly apart, and all replicas and
// restarts at another place.
func phase(every time.Duration, base float64, i, n int) time.Duration {
	_, part := math.Modf(base + float64(i)/float64(max(n, 1)))
	return time.Duration(part * float64(every))
}

// loop runs one probe at its turns until ctx ends, and waits for the run under way, which lives in runs.
func (p *Prober) loop(ctx, runs context.Context, t slot) {
	if !wait(ctx, t.phase) {
		return
	}
	var running sync.WaitGroup
	defer running.Wait()
	free := make(chan struct{}, 1)
	free <- struct{}{}
	ticker := time.NewTicker(t.every)
	defer ticker.Stop()
	for {
		select {
		case <-free:
			running.Go(func() {
				p.scheduled(runs, t)
				free <- struct{}{}
			})
		default:
			p.cfg.Observer.Missed(t.probe.name, SkipOverlap)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// scheduled does one run of the schedule, or says why there is none.
func (p *Prober) scheduled(ctx context.Context, t slot) {
	name := t.probe.name
	o := runRequest{probe: name, target: p.cfg.Target.Name, limit: limitOf(t.probe, p.cfg.Timeout, t.every)}
	var run Result
	at, term := p.lead.now()
	switch {
	case ctx.Err() != nil:
		return
	case p.cfg.resting(time.Now()):
		p.cfg.Observer.Missed(name, SkipMaintenance)
		return
	case t.probe.session && at == following:
		p.cfg.Observer.Missed(name, SkipNotLeader)
		return
	case t.probe.session && at == unknown:
		run = p.noLeaderRun(name)
	default:
		if t.probe.session {
			o.term = term
		}
		run = p.execute(ctx, o)
	}
	p.settle(run)
	p.count(run)
}

// count tells the observer of a scheduled run.
func (p *Prober) count(r Result) {
	if r.SkipReason != "" {
		p.cfg.Observer.Missed(r.Probe, r.SkipReason)
	} else {
		p.cfg.Observer.ObserveRun(r.Probe, r.Code(), time.Now(), r.Took())
	}
	for _, s := range r.Steps {
		if r.SkipReason == "" || s.Name == StepCleanup {
			p.cfg.Observer.Step(s.Name, s.Outcome == session.Success, time.Duration(s.Seconds*float64(time.Second)))
		}
	}
}
