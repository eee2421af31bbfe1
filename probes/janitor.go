package probes

import (
	"context"
	"fmt"
	"time"

	"qrgate/compat"
	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// Bounds of the janitor.
const (
	sweepInterval = time.Minute
	sweepTimeout  = 30 * time.Second
	maxDeletions  = 20 // in one sweep
)

// janitor sweeps at once and then every minute while this replica leads.
func (p *Prober) janitor(ctx context.Context) {
	for {
		next := leaseTTL // a follower may lead by then
		if role, _ := p.leader.current(); role == leading {
			next = sweepInterval
			if at := p.sweep(ctx); !at.IsZero() {
				next = min(next, max(time.Until(at), time.Second))
			}
		}
		if !compat.Sleep(ctx, next) {
			return
		}
	}
}

// sweep deletes the recorded sessions of runs that are over, and no other session. It returns when to sweep again
// before the usual interval; zero if there is no need.
func (p *Prober) sweep(ctx context.Context) (nextAt time.Time) {
	p.sweepMu.Lock()
	defer p.sweepMu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	open, err := p.cfg.Intents.Open(ctx)
	if err != nil {
		if ctx.Err() == nil {
			p.cfg.Logger.Warn("probe intents not readable", "err", err.Error())
		}
		return nextAt
	}
	left, deletions := map[string]orphans{}, 0
	for _, i := range open {
		_, known := p.targets[i.Target]
		if _, isActive := p.active.Load(i.Session); isActive || !known {
			continue // a prober that knows the target deletes it
		}
		if !i.isDue(p.instanceID, p.cfg.Shared, time.Now()) {
			nextAt = earliest(nextAt, i.Until)
			continue
		}
		if deletions++; deletions > maxDeletions {
			left[i.Target] = left[i.Target].with(nil)
		} else if ok, f := p.deleteOrphan(ctx, i); !ok {
			left[i.Target] = left[i.Target].with(f)
		} else if end := i.At.Add(settleDelay); time.Now().Before(end) {
			nextAt = earliest(nextAt, end) // a create that was cut off may still create the session until then
		}
	}
	p.results.setOrphans(left)
	p.reportLeadership()
	return nextAt
}

// earliest is the earlier of two times, of which the first may be zero for none.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// deleteOrphan deletes one session and removes its intent. ok is also true while the session does not exist but may
// still appear. The failure is the target's, if there is one.
func (p *Prober) deleteOrphan(ctx context.Context, i Intent) (ok bool, failed *failure) {
	s := p.targetSession(i.Target, i.Session)
	defer s.Client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, cleanupTimeout)
	defer cancel()
	isAbsent, err := s.Client.DeleteOnce(ctx, s.Caller, session.Ref{Name: i.Session})
	switch f := callFailure(err); {
	case f != nil:
		p.cfg.Logger.Warn("probe session not deleted", "session", i.Session, "target", i.Target, "err", f.String())
		return false, f
	case isAbsent && !i.isSettled(time.Now()):
		return true, nil
	}
	return p.cfg.Intents.Done(ctx, i.Session) == nil, nil
}

// reportLeadership updates the observer. A follower reports no orphans: those that it could not delete as the leader
// are the new leader's, and nothing would reset the number here.
func (p *Prober) reportLeadership() {
	role, _ := p.leader.current()
	left := p.results.orphanCount()
	if role == following {
		left = 0
	}
	p.cfg.Observer.SetLeader(role == leading, left)
}

// orphans are the sessions at one target that could not be deleted.
type orphans struct {
	n    int
	last *failure // of the last deletion that failed; nil if none was tried or only the intent is left
}

func (o orphans) with(f *failure) orphans {
	o.n++
	if f != nil {
		o.last = f
	}
	return o
}

// outage returns the failure of the last deletion if the target did not respond at all.
func (o orphans) outage() *failure {
	if o.last != nil && (o.last.code == diagnosis.EngineUnreachable || o.last.code == diagnosis.EngineTimeout) {
		return o.last
	}
	return nil
}

// describe explains a skipped run: how many sessions are left, where they are recorded and what helps.
func (o orphans) describe(target, location string) string {
	text := fmt.Sprintf(
		"%d test sessions from earlier runs could not be deleted at %s (recorded in %s). ", o.n, target, location)
	if o.last != nil {
		text += fmt.Sprintf("The last attempt: %s. ", o.last)
	}
	return text + "The next run deletes them once the target deletes sessions again; " +
		"or delete the sessions and then their records."
}
