package acquire

import (
	"time"

	"qrgate/internal/session"
)

// rateLimiter is what is known of an engine's rate limits for one credential. Clients spend calls of the same
// windows, so qrgate leaves a part of each window to them. It is a value: every method returns the next one.
type rateLimiter struct {
	windows     []window
	clientCalls []time.Time // calls of clients within the last clientWindow
	pausedUntil time.Time   // no call before this: the engine answered 429
	updatedAt   time.Time   // when the engine last stated its limits
}

// window is one of the engine's limits, in its present window.
type window struct {
	limit, remaining int
	resetAt          time.Time
	length           time.Duration // the longest time to a reset that was seen; the length of the next window
}

// priority says how much a call is worth, and with it how many calls of each window stay for others.
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

// update takes what the engine said in an answer at now. An answer without limits changes nothing. Answers to
// concurrent calls arrive in any order, so within one window the smaller number stands.
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
			if d := old.resetAt.Sub(w.resetAt); now.Before(old.resetAt) && d.Abs() <= resetTolerance {
				w.remaining, w.resetAt = min(w.remaining, old.remaining), old.resetAt
			}
		}
		r.windows[i] = w
	}
	return r
}

// current returns the windows as they are at now: one that is over has begun anew.
func (r rateLimiter) current(now time.Time) []window {
	windows := make([]window, len(r.windows))
	for i, w := range r.windows {
		if !now.Before(w.resetAt) {
			if w.length <= 0 {
				w.length = defaultInterval
			}
			w.remaining, w.resetAt = w.limit, now.Add(w.length)
		}
		windows[i] = w
	}
	return windows
}

// addClientCall counts a call that a client made at now.
func (r rateLimiter) addClientCall(now time.Time) rateLimiter {
	recent := make([]time.Time, 0, len(r.clientCalls)+1)
	for _, at := range r.clientCalls {
		if now.Sub(at) < clientWindow {
			recent = append(recent, at)
		}
	}
	r.clientCalls = append(recent, now)
	return r
}

// expectedClientCalls is how many calls clients will probably make in the next clientWindow.
func (r rateLimiter) expectedClientCalls(now time.Time) int {
	n := 0
	for _, at := range r.clientCalls {
		if now.Sub(at) < clientWindow {
			n++
		}
	}
	return n
}

// consume counts a call that is sent at now.
func (r rateLimiter) consume(now time.Time) rateLimiter {
	r.windows = r.current(now)
	for i := range r.windows {
		r.windows[i].remaining = max(r.windows[i].remaining-1, 0)
	}
	return r
}

// refund takes a call back that never reached the engine.
func (r rateLimiter) refund() rateLimiter {
	windows := make([]window, len(r.windows))
	for i, w := range r.windows {
		w.remaining = min(w.remaining+1, w.limit)
		windows[i] = w
	}
	r.windows = windows
	return r
}

// pause takes a 429 at now: no call for as long as the engine says, else until its window ends.
func (r rateLimiter) pause(retryAfter time.Duration, now time.Time) rateLimiter {
	until := now.Add(retryAfter)
	if retryAfter <= 0 {
		until = now.Add(defaultPause)
		for _, w := range r.windows {
			if w.remaining == 0 && w.resetAt.After(now) {
				until = w.resetAt
			}
		}
	}
	r.pausedUntil = until
	return r
}

// nextAllowed returns the earliest time of the next call after one at last, when what remains must last for
// horizon. The zero time means now.
func (r rateLimiter) nextAllowed(last, now time.Time, p priority, horizon time.Duration) time.Time {
	at := r.pausedUntil
	expected := r.expectedClientCalls(now)
	for _, w := range r.windows {
		if !now.Before(w.resetAt) {
			continue // this window is over; the next one is full
		}
		if t := w.nextAllowed(last, now, expected, p, horizon); t.After(at) {
			at = t
		}
	}
	if !at.After(now) {
		return time.Time{}
	}
	return at
}

func (w window) nextAllowed(last, now time.Time, expected int, p priority, horizon time.Duration) time.Time {
	available := w.remaining - expected - p.reserve(w.limit)
	if p == listPriority {
		available = max(available, min(w.remaining-p.reserve(w.limit), listReserve)) // client calls leave these
	}
	if available <= 0 {
		return w.resetAt
	}
	period := w.resetAt.Sub(now)
	if p == highPriority || p == listPriority && horizon > 0 || p == recoveryPriority {
		period = min(period, horizon)
	}
	return last.Add(period / time.Duration(available))
}

// admits reports when n more client calls fit into the present windows and leave keep calls; the zero time means now.
func (r rateLimiter) admits(n, keep int, now time.Time) time.Time {
	at := r.pausedUntil
	for _, w := range r.windows {
		left := min(keep, w.limit/4) // a small limit cannot keep that much
		if now.Before(w.resetAt) && w.remaining-n < left && w.resetAt.After(at) {
			at = w.resetAt
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
