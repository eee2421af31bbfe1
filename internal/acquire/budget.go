package acquire

import (
	"time"

	"qrgate/internal/session"
)

// rateLimiter is what the gate believes of an engine's rate limits for one credential. The clients' own calls
// spend from the same purse, so part of it is never touched. A value: every method returns the next one.
type rateLimiter struct {
	windows   []window
	clients   []time.Time // the clients' own calls of the last rush
	paused    time.Time   // no call before this: the engine said 429
	updatedAt time.Time   // when the engine spoke of limits last
}

// window is one limiter of the engine.
type window struct {
	limit, left int
	ends        time.Time
}

// priority is how much a call is worth, and with it how much of the budget must stay for the clients.
type priority int

const (
	low    priority = iota // a shown code waits to be scanned: half of the budget stays
	normal                 // a QR is wanted, but not by a connect of these seconds: a fifth stays
	high                   // a connect of these seconds: a thirtieth stays
)

var reserve = map[priority]int{low: 2, normal: 5, high: 30}

// update takes what the engine said in an answer at now. An answer without limits changes nothing.
func (b rateLimiter) update(limits []session.RateLimit, now time.Time) rateLimiter {
	if len(limits) == 0 {
		return b
	}
	b.updatedAt = now
	b.windows = make([]window, len(limits))
	for i, l := range limits {
		b.windows[i] = window{limit: l.Max, left: l.Remaining, ends: now.Add(l.Reset)}
	}
	return b
}

// clientWindow is the time over which the clients' calls are counted: as many are expected in the next one.
const clientWindow = 3 * time.Second

// addClientCall counts a call that a client made itself at now.
func (b rateLimiter) addClientCall(now time.Time) rateLimiter {
	recent := make([]time.Time, 0, len(b.clients)+1)
	for _, at := range b.clients {
		if now.Sub(at) < clientWindow {
			recent = append(recent, at)
		}
	}
	b.clients = append(recent, now)
	return b
}

// expectedClientCalls is how many calls of the clients' own must find room: as many as in the last rush.
func (b rateLimiter) expectedClientCalls(now time.Time) int {
	n := 0
	for _, at := range b.clients {
		if now.Sub(at) < clientWindow {
			n++
		}
	}
	return n
}

// consume counts a call that has been sent and not yet answered.
func (b rateLimiter) consume() rateLimiter {
	windows := make([]window, len(b.windows))
	for i, w := range b.windows {
		windows[i] = w
		windows[i].left = max(w.left-1, 0)
	}
	b.windows = windows
	return b
}

// pause takes a 429 at now: nothing for as long as the engine wishes, else until its window ends.
func (b rateLimiter) pause(after time.Duration, now time.Time) rateLimiter {
	until := now.Add(after)
	if after <= 0 {
		until = now.Add(defaultPause)
		for _, w := range b.windows {
			if w.left == 0 && w.ends.After(now) {
				until = w.ends
			}
		}
	}
	b.paused = until
	return b
}

// defaultPause follows a 429 that says nothing of its end.
const defaultPause = 10 * time.Second

// nextAllowed returns the earliest time at which one more call may be made after the last, when what is left
// must reach over horizon. The zero time means now.
func (b rateLimiter) nextAllowed(last, now time.Time, u priority, horizon time.Duration) time.Time {
	at := b.paused
	keep := b.expectedClientCalls(now)
	for _, w := range b.windows {
		if !now.Before(w.ends) {
			continue // this window is over; the next one is full
		}
		w.left -= keep
		if t := w.allows(last, now, u, horizon); t.After(at) {
			at = t
		}
	}
	if !at.After(now) {
		return time.Time{}
	}
	return at
}

func (w window) allows(last, now time.Time, u priority, horizon time.Duration) time.Time {
	room := w.left - max(1, w.limit/reserve[u])
	if room <= 0 {
		return w.ends
	}
	reach := w.ends.Sub(now)
	if u == high {
		reach = min(reach, horizon)
	}
	return last.Add(reach / time.Duration(room))
}

// left is the smallest number of calls that any limiter still allows; -1 when the engine says nothing.
func (b rateLimiter) remaining(now time.Time) int {
	least := -1
	for _, w := range b.windows {
		if now.Before(w.ends) && (least < 0 || w.left < least) {
			least = w.left
		}
	}
	return least
}
