package pairing

import (
	"time"

	"qrgate"
)

// budget is what the gate believes of an engine's rate limits for one credential. The clients' own calls
// spend from the same purse, so part of it is never touched. A value: every method returns the next one.
type budget struct {
	windows []window
	clients []time.Time // the clients' own calls of the last rush
	paused  time.Time   // no call before this: the engine said 429
	told    time.Time   // when the engine spoke of limits last
}

// window is one limiter of the engine.
type window struct {
	most, left int
	ends       time.Time
}

// urgency is how much a call is worth, and with it how much of the budget must stay for the clients.
type urgency int

const (
	calm   urgency = iota // a shown code waits to be scanned: half of the budget stays
	steady                // a QR is wanted, but not by a connect of these seconds: a fifth stays
	young                 // a connect of these seconds: a thirtieth stays
)

var share = map[urgency]int{calm: 2, steady: 5, young: 30}

// learned takes what the engine said in an answer at now. An answer without limits changes nothing.
func (b budget) learned(limits []qrgate.RateLimit, now time.Time) budget {
	if len(limits) == 0 {
		return b
	}
	b.told = now
	b.windows = make([]window, len(limits))
	for i, l := range limits {
		b.windows[i] = window{most: l.Max, left: l.Remaining, ends: now.Add(l.Reset)}
	}
	return b
}

// rush is the time over which the clients' calls are counted: as many are expected in the next one.
const rush = 3 * time.Second

// called counts a call that a client made itself at now.
func (b budget) called(now time.Time) budget {
	recent := make([]time.Time, 0, len(b.clients)+1)
	for _, at := range b.clients {
		if now.Sub(at) < rush {
			recent = append(recent, at)
		}
	}
	b.clients = append(recent, now)
	return b
}

// expected is how many calls of the clients' own must find room: as many as in the last rush.
func (b budget) expected(now time.Time) int {
	n := 0
	for _, at := range b.clients {
		if now.Sub(at) < rush {
			n++
		}
	}
	return n
}

// spent counts a call that has been sent and not yet answered.
func (b budget) spent() budget {
	windows := make([]window, len(b.windows))
	for i, w := range b.windows {
		windows[i] = w
		windows[i].left = max(w.left-1, 0)
	}
	b.windows = windows
	return b
}

// refused takes a 429 at now: nothing for as long as the engine wishes, else until its window ends.
func (b budget) refused(after time.Duration, now time.Time) budget {
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

// allows returns the earliest time at which one more call may be made after the last, when what is left
// must reach over horizon. The zero time means now.
func (b budget) allows(last, now time.Time, u urgency, horizon time.Duration) time.Time {
	at := b.paused
	keep := b.expected(now)
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

func (w window) allows(last, now time.Time, u urgency, horizon time.Duration) time.Time {
	room := w.left - max(1, w.most/share[u])
	if room <= 0 {
		return w.ends
	}
	reach := w.ends.Sub(now)
	if u == young {
		reach = min(reach, horizon)
	}
	return last.Add(reach / time.Duration(room))
}

// left is the smallest number of calls that any limiter still allows; -1 when the engine says nothing.
func (b budget) leftNow(now time.Time) int {
	least := -1
	for _, w := range b.windows {
		if now.Before(w.ends) && (least < 0 || w.left < least) {
			least = w.left
		}
	}
	return least
}
