package acquire

import (
	"cmp"
	"slices"
	"time"

	"qrgate/internal/session"
)

// rateLimiter is what is known of an engine's rate limits for one credential. Clients use calls of the same windows, so
// qrgate leaves a part of each window to them. It is a value: every method returns the next one.
type rateLimiter struct {
	windows     []window
	clientCalls []time.Time // calls of clients within the last clientWindow
	pausedUntil time.Time   // no call before this: the engine answered 429
	updatedAt   time.Time   // when the engine last stated its limits
	usedAt      time.Time   // when a call of any replica last used the windows, as far as is known
	usedBefore  time.Time   // the same before usedAt
	replicas    int         // that use the windows without knowledge of each other's calls; 0 and 1: this one alone
}

// window is one of the engine's limits, in its present window.
type window struct {
	limit, remaining int
	resetAt          time.Time
	length           time.Duration // the longest time to a reset that was seen; the length of the next window
}

// priority is how important a call is. It decides how many calls of each window stay for others.
type priority int

// The priorities, the lowest first.
const (
	lowPriority      priority = iota // the code is shown and waits for its scan: half of the window stays
	normalPriority                   // a QR is wanted, but its connect is older than freshWindow: a fifth stays
	highPriority                     // a QR of a fresh connect: one for clients and one for a recovery step stay
	listPriority                     // one list call for several sessions: one for clients stays
	recoveryPriority                 // a recovery step: one for clients stays
)

const (
	clientWindow    = 3 * time.Second  // client calls are counted over this time; as many are expected in the next one
	defaultPause    = 10 * time.Second // follows a 429 that does not say when it ends
	connectReserve  = listReserve + 1  // and one for another call of a client
	listReserve     = 2                // calls of each window that client calls leave to the list while QRs are awaited
	resetTolerance  = 2 * time.Second  // two resets this close are the same: engines state whole seconds
	defaultInterval = time.Minute      // length of a window that was never seen at its start
	settleTime      = time.Second      // a call without another one for so long has an exact number in its response
)

// reserve is how many calls of a window of the given limit stay for others.
func (p priority) reserve(limit int) int {
	switch p {
	case lowPriority:
		return max(1, limit/2)
	case normalPriority:
		return max(1, limit/5)
	case highPriority:
		return max(1, limit/30) + 1
	}
	return max(1, limit/30)
}

// update records what the engine reported at now. A response without limits changes nothing. Responses to concurrent
// calls arrive in any order, so within one window the smaller number counts.
func (r rateLimiter) update(limits []session.RateLimit, now time.Time) rateLimiter {
	if len(limits) == 0 {
		return r
	}
	before := r.windows
	r.updatedAt = now
	r.windows = make([]window, len(limits))
	for i, l := range limits {
		w := window{limit: l.Max, remaining: l.Remaining, resetAt: now.Add(l.Reset), length: l.Reset}
		for _, old := range before {
			if old.limit != w.limit {
				continue
			}
			w.length = max(w.length, old.length)
			if now.Before(old.resetAt) && old.resetAt.Sub(w.resetAt).Abs() <= resetTolerance {
				w.remaining, w.resetAt = min(w.remaining, old.remaining), old.resetAt
			}
		}
		r.windows[i] = w
	}
	return r
}

// recentClientCalls are the calls of clients within the last clientWindow. As many are expected in the next one.
func (r rateLimiter) recentClientCalls(now time.Time) []time.Time {
	i := slices.IndexFunc(r.clientCalls, func(at time.Time) bool { return now.Sub(at) < clientWindow })
	if i < 0 {
		return nil
	}
	return slices.Clip(r.clientCalls[i:])
}

// addClientCall counts a call that a client made at now.
func (r rateLimiter) addClientCall(now time.Time) rateLimiter {
	r.clientCalls = append(r.recentClientCalls(now), now)
	return r
}

// consume counts a call that is sent at now. A window that is over starts anew.
func (r rateLimiter) consume(now time.Time) rateLimiter {
	r = r.markUsed(now)
	r.windows = slices.Clone(r.windows)
	for i := range r.windows {
		w := &r.windows[i]
		if !now.Before(w.resetAt) {
			w.length = cmp.Or(w.length, defaultInterval)
			w.remaining, w.resetAt = w.limit, now.Add(w.length)
		}
		w.remaining = max(w.remaining-1, 0)
	}
	return r
}

// markUsed records that a call of any replica used the windows at a time.
func (r rateLimiter) markUsed(at time.Time) rateLimiter {
	if at.After(r.usedAt) {
		r.usedAt, r.usedBefore = at, r.usedAt
	} else {
		r.usedBefore = latest(r.usedBefore, at)
	}
	return r
}

// isAlone reports whether a call of this replica that began at startedAt is the only one within settleTime before it
// and since.
func (r rateLimiter) isAlone(startedAt time.Time) bool {
	return !r.usedAt.After(startedAt) && r.usedAt.Sub(r.usedBefore) >= settleTime
}

// updateExactly is update for a response whose numbers count although they are larger: replicas count some concurrent
// calls twice.
func (r rateLimiter) updateExactly(limits []session.RateLimit, now time.Time) rateLimiter {
	if len(limits) > 0 {
		r.windows = slices.Clone(r.windows)
		for i := range r.windows {
			r.windows[i].remaining = r.windows[i].limit
		}
	}
	return r.update(limits, now)
}

// refund takes back a call that never reached the engine.
func (r rateLimiter) refund() rateLimiter {
	r.windows = slices.Clone(r.windows)
	for i := range r.windows {
		r.windows[i].remaining = min(r.windows[i].remaining+1, r.windows[i].limit)
	}
	return r
}

// pause records a 429 at now: no call for as long as the engine says, else until its window ends.
func (r rateLimiter) pause(retryAfter time.Duration, now time.Time) rateLimiter {
	r.pausedUntil = now.Add(retryAfter)
	if retryAfter > 0 {
		return r
	}
	r.pausedUntil = now.Add(defaultPause)
	for _, w := range r.windows {
		if w.remaining == 0 && w.resetAt.After(now) {
			r.pausedUntil = w.resetAt
		}
	}
	return r
}

// nextAllowed returns the earliest time of the next call after one at last; the zero time means now. Two thirds of
// what remains is for the time of horizon; without one, what remains lasts until the window ends. Independent
// replicas divide it. Each of the others may have made one call since, which this one learned nothing from yet.
func (r rateLimiter) nextAllowed(last, now time.Time, p priority, horizon time.Duration) time.Time {
	replicas := max(1, r.replicas)
	expected := len(r.recentClientCalls(now)) * replicas
	return r.latestOf(now, func(w window) time.Time {
		available := w.remaining - p.reserve(w.limit) - min(replicas-1, w.limit/4)
		if p == listPriority {
			available = max(available-expected, min(available, listReserve)) // client calls leave these
		} else {
			available -= expected
		}
		if available <= 0 {
			return w.resetAt
		}
		period := w.resetAt.Sub(now)
		switch {
		case horizon > 0:
			period, available = min(period, horizon), (2*available+2)/3 // sessions that begin later need the rest
		case p == highPriority, p == recoveryPriority:
			return last
		}
		return last.Add(period * time.Duration(replicas) / time.Duration(available))
	})
}

// admits returns when n more client calls fit into the present windows and leave keep calls; the zero time means now.
func (r rateLimiter) admits(n, keep int, now time.Time) time.Time {
	return r.latestOf(now, func(w window) time.Time {
		if w.remaining-n < min(keep, w.limit/4) { // a small limit cannot keep that much
			return w.resetAt
		}
		return now
	})
}

// latestOf is the latest of what the pause and all present windows allow; the zero time means now.
func (r rateLimiter) latestOf(now time.Time, allowedAt func(window) time.Time) time.Time {
	at := r.pausedUntil
	for _, w := range r.windows {
		if now.Before(w.resetAt) { // one that is over is full again
			at = latest(at, allowedAt(w))
		}
	}
	if !at.After(now) {
		return time.Time{}
	}
	return at
}

// remaining is the smallest number of calls that any limit still allows; -1 when the engine states none.
func (r rateLimiter) remaining(now time.Time) int {
	least := -1
	for _, w := range r.windows {
		if now.Before(w.resetAt) && (least < 0 || w.remaining < least) {
			least = w.remaining
		}
	}
	return least
}

// idleAt is when nothing more is known that a new limiter would not know.
func (r rateLimiter) idleAt() time.Time {
	at := r.pausedUntil
	for _, w := range r.windows {
		if w.remaining < w.limit/2 && w.resetAt.After(at) {
			at = w.resetAt
		}
	}
	return at
}
