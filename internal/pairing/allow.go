package pairing

import (
	"context"
	"time"

	"qrgate"
)

// youth is the age up to which a wish is answered first: somebody holds a request that ends soon. It is a
// little shorter than the hold, so that the last look that the budget allows comes before the hold ends.
const youth = 8600 * time.Millisecond

// allowed is when the budget lets the gate make the given look; mu is held.
func (d *desk) allowed(l due, now time.Time) time.Time {
	if l.e.proof {
		return d.budget.paused // somebody's own call, which the gate makes for them
	}
	if l.do == check && now.Sub(l.e.asked) < askedLife {
		return d.budget.allows(time.Time{}, now, young, 0) // likewise: without the gate it would have been theirs
	}
	if l.do == check && l.e.s.State != qrgate.Connecting {
		return d.budget.allows(d.lastLook, now, calm, 0)
	}
	u, reach := steady, time.Duration(0)
	for _, e := range d.entries {
		left := youth - now.Sub(e.rank())
		if e.s.State == qrgate.Connecting && left > 0 && (u != young || left < reach) {
			u, reach = young, left // what is left of the budget must reach until the first hold ends
		}
	}
	return d.budget.allows(d.lastLook, now, u, reach)
}

// mayPush is when the budget lets the gate connect on its own account; mu is held.
func (d *desk) mayPush(now time.Time) time.Time {
	return d.budget.allows(time.Time{}, now, young, 0)
}

// alike counts, over all credentials, the sessions that have been without a QR for longer than patience;
// mu is held.
func (d *desk) alike(now time.Time) int {
	mine := 0
	for _, e := range d.entries {
		if e.s.State == qrgate.Connecting && !e.s.AcquiringSince.IsZero() && now.Sub(e.s.AcquiringSince) > qrgate.SymptomDelay {
			mine++
		}
	}
	return d.p.failing.set(d.caller.Tenant, mine)
}

// climate is what is known beyond session s at now, under the caller's own name for it; mu is held. Others that had
// their QR before s was waited for prove nothing: whatever s meets may have begun since.
func (d *desk) climate(name string, s qrgate.Session, now time.Time) qrgate.Environment {
	c := qrgate.Environment{FailingSessions: d.p.failing.sum(), MinLatency: d.p.pace.quickest(now), Control: d.p.cfg.Control()}
	if came := d.p.came.Load(); came != 0 {
		c.LastSuccess = time.Unix(0, came)
	}
	for other, at := range d.fine {
		if other != name && at.After(s.AcquiringSince) {
			c.PeerSuccesses++
		}
	}
	return c
}

// waitOf is how long the budget keeps session s of entry e from being looked at; mu is held.
func (d *desk) waitOf(e *entry, s qrgate.Session, now time.Time) time.Duration {
	if s.State != qrgate.Connecting || s.AcquiringSince.IsZero() {
		return 0
	}
	if wait := d.allowed(due{e, step{do: look}}, now).Sub(now); wait > time.Second {
		return wait
	}
	return 0
}

// view is what can be said of the entry at now.
func (v visit) view(now time.Time) *qrgate.Snapshot {
	d := v.d
	d.mu.Lock()
	defer d.mu.Unlock()
	s := v.e.s
	view := &qrgate.Snapshot{Session: s, At: now, RemainingCalls: d.budget.leftNow(now)}
	view.Authorized = !s.AuthorizedAt.IsZero() && now.Sub(s.AuthorizedAt) < proofLife && s.Trouble.Kind != qrgate.KindKeyRefused
	if view.RateLimitWait = d.waitOf(v.e, s, now); view.RateLimitWait > 0 {
		view.QueuePosition = d.place(v.e)
	}
	c := d.climate(v.e.name, s, now)
	c.Waiting = view.RateLimitWait
	view.Diagnosis = qrgate.Diagnose(s, c, now)
	return view
}

// place is the entry's place among those that wait, the oldest connect first; mu is held.
func (d *desk) place(mine *entry) int {
	place := 1
	for _, e := range d.entries {
		if e != mine && e.s.State == qrgate.Connecting && !e.s.AcquiringSince.IsZero() && e.rank().Before(mine.rank()) {
			place++
		}
	}
	return place
}

// roll makes sure that the list has been read since the call began, for a name nobody knows. A list that
// was read a moment ago is not read again.
func (d *desk) roll(ctx context.Context, _ string) {
	now := time.Now()
	d.mu.Lock()
	if now.Sub(d.rolled) < follow || d.budget.paused.After(now) {
		d.mu.Unlock()
		return
	}
	if d.rolling == nil {
		d.startRoll(now)
	}
	done := d.rolling
	d.mu.Unlock()
	select {
	case <-done:
	case <-ctx.Done():
	}
}
