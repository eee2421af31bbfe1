package probes

import (
	"context"
	"time"

	"qrgate/internal/session"
)

// Bounds of the janitor.
const (
	sweepEvery = time.Minute
	sweepTime  = 30 * time.Second
	sweepMost  = 20 // deletions in one sweep
)

// janitor sweeps at once and then every minute, where this replica leads.
func (p *Prober) janitor(ctx context.Context) {
	for {
		next := min(sweepEvery, p.cfg.LeaseTime) // who follows may lead by then
		if at, _ := p.lead.now(); at == leading {
			next = sweepEvery
			if end := p.sweep(ctx); !end.IsZero() {
				next = min(next, max(time.Until(end), time.Second))
			}
		}
		if !wait(ctx, next) {
			return
		}
	}
}

// sweep deletes the sessions of runs that are over, and nothing else: neither what a run under way needs,
// nor what only looks like a probe's. It returns when to look again before the usual time, because a recorded
// run must be over or what is absent stays so; zero if there is no need.
func (p *Prober) sweep(ctx context.Context) (next time.Time) {
	p.sweeping.Lock()
	defer p.sweeping.Unlock()
	ctx, cancel := context.WithTimeout(ctx, sweepTime)
	defer cancel()
	open, err := p.cfg.Intents.Open(ctx)
	if err != nil {
		if ctx.Err() == nil {
			p.cfg.Logger.Warn("probes: what earlier runs left behind could not be read", "why", err.Error())
		}
		return next
	}
	left, tries := map[string]orphans{}, 0
	for _, i := range open {
		if _, ours := p.targets[i.Target]; !ours || p.ledger.isActive(i.Session) {
			continue // what is noted for another target waits for a prober that knows it
		}
		if !i.due(p.instanceID, !p.cfg.Shared, time.Now()) {
			next = earliest(next, i.Until)
			continue
		}
		if tries++; tries > sweepMost {
			left[i.Target] = left[i.Target].with(nil)
		} else if gone, f := p.tidy(ctx, i); !gone {
			left[i.Target] = left[i.Target].with(f)
		} else if end := i.At.Add(settleTime); time.Now().Before(end) {
			next = earliest(next, end) // a create that was cut off may still make it until then
		}
	}
	p.ledger.setOrphans(left)
	p.reportLeadership()
	return next
}

// earliest is the earlier of two times, of which the first may be zero for none.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// tidy deletes one session and crosses its intent out. It reports whether all is well: the session is
// gone, or there is none yet and the janitor comes back. Else the failure is the target's, if there is one.
func (p *Prober) tidy(ctx context.Context, i Intent) (bool, *failure) {
	d := open(p.targets[i.Target])
	defer d.close()
	ctx, cancel := context.WithTimeout(ctx, cleanupTime)
	defer cancel()
	absent, f := d.deleteOnce(ctx, session.Ref{Name: i.Session})
	switch {
	case f != nil:
		p.cfg.Logger.Warn("probes: a session could not be deleted", "session", i.Session, "target", i.Target, "why", f.words())
		return false, f
	case absent && !i.settled(time.Now()):
		return true, nil
	}
	return p.cfg.Intents.Done(ctx, i.Session) == nil, nil
}

// reportLeadership tells the observer what there is to watch over. Who follows keeps nothing: what it could not delete
// when it led is the leader's by now, and nobody would ever take the number back here.
func (p *Prober) reportLeadership() {
	at, _ := p.lead.now()
	left := p.ledger.orphans()
	if at == following {
		left = 0
	}
	p.cfg.Observer.SetLeader(at == leading, left)
}
