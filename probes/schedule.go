package probes

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"qrgate/compat"
	"qrgate/internal/session"
)

// Run probes on schedule until ctx ends. Then it stops in order: no new runs, those in progress are canceled and clean
// up, and the lease is released. It returns nil.
func (p *Prober) Run(ctx context.Context) error {
	alive := context.WithoutCancel(ctx)
	runs, cancelRuns := context.WithCancelCause(alive)
	lease, stopLease := context.WithCancel(alive)
	defer stopLease()
	p.leader.runs = runs
	p.leader.renew(ctx)
	p.reportLeadership()
	var loops, rest sync.WaitGroup
	rest.Go(func() { p.leader.run(lease) })
	loops.Go(func() { p.janitor(ctx) })
	names := slices.Sorted(maps.Keys(p.cfg.Every))
	base := p.cfg.Random()
	for i, name := range names {
		if every := p.cfg.Every[name]; every > 0 {
			s := slot{probe: catalog[name], every: every, phase: phase(every, base, i, len(names))}
			loops.Go(func() { p.loop(ctx, runs, s) })
		}
	}
	<-ctx.Done()
	cancelRuns(errShutdown)
	loops.Wait()
	stopLease()
	rest.Wait()
	return nil
}

// slot is a probe's place in the schedule.
type slot struct {
	probe        probe
	every, phase time.Duration
}

// phase is when in its interval the i-th of n probes runs: the probes are spread evenly, and each replica and restart
// has another offset.
func phase(every time.Duration, base float64, i, n int) time.Duration {
	_, part := math.Modf(base + float64(i)/float64(max(n, 1)))
	return time.Duration(part * float64(every))
}

// loop runs one probe until ctx ends, and waits for the run in progress, which uses runs as its context.
func (p *Prober) loop(ctx, runs context.Context, s slot) {
	if !compat.Sleep(ctx, s.phase) {
		return
	}
	var (
		running sync.WaitGroup
		busy    sync.Mutex
	)
	defer running.Wait()
	ticker := time.NewTicker(s.every)
	defer ticker.Stop()
	for {
		if busy.TryLock() {
			running.Go(func() {
				defer busy.Unlock()
				p.runScheduled(runs, s)
			})
		} else {
			p.cfg.Observer.Missed(s.probe.name, SkipOverlap)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// runScheduled does one run of the schedule, or counts why it does not.
func (p *Prober) runScheduled(ctx context.Context, s slot) {
	name := s.probe.name
	// The limit is below the interval, so that the next run does not overlap.
	request := runRequest{probe: name, target: p.cfg.Target.Name, limit: s.every * 4 / 5}
	var result Result
	role, term := p.leader.current()
	switch {
	case ctx.Err() != nil:
		return
	case p.cfg.inMaintenance(time.Now()):
		p.cfg.Observer.Missed(name, SkipMaintenance)
		return
	case s.probe.makesSession && role == following:
		p.cfg.Observer.Missed(name, SkipNotLeader)
		return
	case s.probe.makesSession && role == unknown:
		result = p.noLeaderResult(name)
	case s.probe.makesSession:
		result = p.execute(term, request)
	default:
		result = p.execute(ctx, request)
	}
	p.record(result)
	p.count(result)
}

// count reports a scheduled run to the observer.
func (p *Prober) count(r Result) {
	if r.SkipReason != "" {
		p.cfg.Observer.Missed(r.Probe, r.SkipReason)
	} else {
		p.cfg.Observer.ObserveRun(r.Probe, r.Code(), time.Now(), r.Took())
	}
	for _, s := range r.Steps {
		if r.SkipReason == "" || s.Name == StepCleanup {
			took := time.Duration(s.Seconds * float64(time.Second))
			p.cfg.Observer.Step(s.Name, s.Outcome == session.Success, took)
		}
	}
}

// Window is a weekly or daily maintenance window. All times are UTC. The zero Window is always open.
type Window struct {
	Days     []time.Weekday // on which it begins; empty: every day
	From, To time.Duration  // since midnight; a To that is not after From is on the next day
}

// ParseWindows reads windows such as "sat,sun 22:00-02:30; daily 03:00-03:15".
func ParseWindows(text string) ([]Window, error) {
	var all []Window
	for _, part := range strings.Split(text, ";") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		w, err := parseWindow(part)
		if err != nil {
			return nil, fmt.Errorf("%q is not a maintenance window; "+
				"write it in UTC as sat,sun 22:00-02:30 or daily 03:00-03:15", part)
		}
		all = append(all, w)
	}
	return all, nil
}

func parseWindow(text string) (w Window, err error) {
	days, hours, _ := strings.Cut(text, " ")
	from, to, _ := strings.Cut(strings.TrimSpace(hours), "-")
	if !strings.EqualFold(days, "daily") {
		for _, d := range strings.Split(days, ",") {
			day, ok := weekday(d)
			if !ok {
				return w, errors.New("no day")
			}
			w.Days = append(w.Days, day)
		}
	}
	if w.From, err = clock(from); err != nil {
		return w, err
	}
	w.To, err = clock(to)
	return w, err
}

func weekday(text string) (time.Weekday, bool) {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if strings.EqualFold(text, d.String()) || strings.EqualFold(text, d.String()[:3]) {
			return d, true
		}
	}
	return 0, false
}

func clock(text string) (time.Duration, error) {
	t, err := time.Parse("15:04", text)
	return t.Sub(t.Truncate(24 * time.Hour)), err
}

const day = 24 * time.Hour

// IsOpen reports whether now is in the window.
func (w Window) IsOpen(now time.Time) bool {
	now = now.UTC()
	midnight := now.Truncate(day)
	length := w.To - w.From
	if length <= 0 {
		length += day
	}
	for _, start := range []time.Time{midnight, midnight.Add(-day)} { // yesterday's may still be open
		in := now.Sub(start.Add(w.From))
		beginsThen := len(w.Days) == 0 || slices.Contains(w.Days, start.Weekday())
		if in >= 0 && in < length && beginsThen {
			return true
		}
	}
	return false
}

// inMaintenance reports whether now is in a maintenance window.
func (c Config) inMaintenance(now time.Time) bool {
	return slices.ContainsFunc(c.Maintenance, func(w Window) bool { return w.IsOpen(now) })
}
