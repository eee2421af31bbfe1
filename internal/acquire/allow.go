package acquire

import (
	"context"
	"time"

	"qrgate/internal/session"
)

// freshWindow is the age up to which a wish is answered first: somebody holds a request that ends soon. It is a
// little shorter than the hold, so that the last look that the budget allows comes before the hold ends.
const freshWindow = 8600 * time.Millisecond

// pollAllowedAt is when the budget lets the gate make the given look; mu is held.
func (d *tenant) pollAllowedAt(l pendingAction, now time.Time) time.Time {
	if l.e.needsAuthCheck {
		return d.budget.paused // somebody's own call, which the gate makes for them
	}
	if l.do == pollStatus && now.Sub(l.e.asked) < statusInterestTTL {
		return d.budget.nextAllowed(time.Time{}, now, high, 0) // likewise: without the gate it would have been theirs
	}
	if l.do == pollStatus && l.e.s.State != session.Connecting {
		return d.budget.nextAllowed(d.lastLook, now, low, 0)
	}
	u, reach := normal, time.Duration(0)
	for _, e := range d.entries {
		left := freshWindow - now.Sub(e.waitingSince())
		if e.s.State == session.Connecting && left > 0 && (u != high || left < reach) {
			u, reach = high, left // what is left of the budget must reach until the first hold ends
		}
	}
	return d.budget.nextAllowed(d.lastLook, now, u, reach)
}

// recoveryAllowedAt is when the budget lets the gate connect on its own account; mu is held.
func (d *tenant) recoveryAllowedAt(now time.Time) time.Time {
	return d.budget.nextAllowed(time.Time{}, now, high, 0)
}

// failingSessions counts, over all credentials, the sessions that have been without a QR for longer than patience;
// mu is held.
func (d *tenant) failingSessions(now time.Time) int {
	mine := 0
	for _, e := range d.entries {
		if e.s.State == session.Connecting && !e.s.AcquiringSince.IsZero() && now.Sub(e.s.AcquiringSince) > session.SymptomDelay {
			mine++
		}
	}
	return d.p.failing.set(d.caller.Tenant, mine)
}

// environment is what is known beyond session s at now, under the caller's own name for it; mu is held. Others that had
// their QR before s was waited for prove nothing: whatever s meets may have begun since.
func (d *tenant) environment(name string, s session.Session, now time.Time) session.Environment {
	c := session.Environment{FailingSessions: d.p.failing.sum(), MinLatency: d.p.pace.min(now), Control: d.p.cfg.Control()}
	if came := d.p.lastSuccess.Load(); came != 0 {
		c.LastSuccess = time.Unix(0, came)
	}
	for other, at := range d.lastSuccess {
		if other != name && at.After(s.AcquiringSince) {
			c.PeerSuccesses++
		}
	}
	return c
}

// rateLimitWait is how long the budget keeps session s of entry e from being looked at; mu is held.
func (d *tenant) rateLimitWait(e *tracker, s session.Session, now time.Time) time.Duration {
	if s.State != session.Connecting || s.AcquiringSince.IsZero() {
		return 0
	}
	if wait := d.pollAllowedAt(pendingAction{e, action{do: pollQR}}, now).Sub(now); wait > time.Second {
		return wait
	}
	return 0
}

// view is what can be said of the entry at now.
func (v visit) view(now time.Time) *session.Snapshot {
	d := v.d
	d.mu.Lock()
	defer d.mu.Unlock()
	s := v.e.s
	view := &session.Snapshot{Session: s, At: now, RemainingCalls: d.budget.remaining(now)}
	view.Authorized = !s.AuthorizedAt.IsZero() && now.Sub(s.AuthorizedAt) < authTTL && s.Trouble.Kind != session.KindKeyRefused
	if view.RateLimitWait = d.rateLimitWait(v.e, s, now); view.RateLimitWait > 0 {
		view.QueuePosition = d.queuePosition(v.e)
	}
	c := d.environment(v.e.name, s, now)
	c.Waiting = view.RateLimitWait
	view.Diagnosis = session.Diagnose(s, c, now)
	return view
}

// queuePosition is the entry's place among those that wait, the oldest connect first; mu is held.
func (d *tenant) queuePosition(mine *tracker) int {
	place := 1
	for _, e := range d.entries {
		if e != mine && e.s.State == session.Connecting && !e.s.AcquiringSince.IsZero() && e.waitingSince().Before(mine.waitingSince()) {
			place++
		}
	}
	return place
}

// ensureList makes sure that the list has been read since the call began, for a name nobody knows. A list that
// was read a moment ago is not read again.
func (d *tenant) ensureList(ctx context.Context, _ string) {
	now := time.Now()
	d.mu.Lock()
	if now.Sub(d.lastListAt) < followInterval || d.budget.paused.After(now) {
		d.mu.Unlock()
		return
	}
	if d.listInFlight == nil {
		d.startList(now)
	}
	done := d.listInFlight
	d.mu.Unlock()
	select {
	case <-done:
	case <-ctx.Done():
	}
}
