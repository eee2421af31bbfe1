package acquire

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"qrgate/internal/session"
)

func limits(left int) []session.RateLimit {
	return []session.RateLimit{{Max: 1000, Remaining: 900, Reset: 15 * time.Minute}, {Max: 30, Remaining: left, Reset: time.Minute}}
}

func replicas(n int, r rateLimiter) rateLimiter {
	r.replicas = n
	return r
}

func TestRateLimiter_NextAllowed(t *testing.T) {
	t.Parallel()
	empty, tight := rateLimiter{}, rateLimiter{}.update(limits(5), t0)
	for name, c := range map[string]struct {
		limiter rateLimiter
		p       priority
		horizon time.Duration
		want    time.Duration // after t0; 0 is now
	}{
		"an engine that says nothing":     {empty, lowPriority, 0, 0},
		"plenty":                          {rateLimiter{}.update(limits(29), t0), highPriority, 9 * time.Second, 9 * time.Second / 18},
		"two thirds last for the wait":    {tight, highPriority, 9 * time.Second, 4500 * time.Millisecond},
		"a fifth is kept":                 {tight, normalPriority, 0, time.Minute},
		"half is kept":                    {rateLimiter{}.update(limits(14), t0), lowPriority, 0, time.Minute},
		"nothing is left":                 {rateLimiter{}.update(limits(0), t0), highPriority, time.Second, time.Minute},
		"a 429 with Retry-After":          {rateLimiter{}.update(limits(9), t0).pause(7*time.Second, t0), highPriority, 0, 7 * time.Second},
		"a 429 at the window's end":       {rateLimiter{}.update(limits(0), t0).pause(0, t0), highPriority, 0, time.Minute},
		"a 429 without its end":           {rateLimiter{}.pause(0, t0), highPriority, 0, defaultPause},
		"calls in flight count":           {tight.consume(t0).consume(t0).consume(t0).consume(t0), highPriority, 8 * time.Second, time.Minute},
		"client calls are expected":       {tight.addClientCall(t0).addClientCall(t0).addClientCall(t0).addClientCall(t0), highPriority, 8 * time.Second, time.Minute},
		"an answer without limits":        {tight.update(nil, t0), highPriority, 9 * time.Second, 4500 * time.Millisecond},
		"replicas divide what remains":    {replicas(3, rateLimiter{}.update(limits(16), t0)), highPriority, 9 * time.Second, 9 * time.Second * 3 / 8},
		"one call each may be unknown":    {replicas(3, rateLimiter{}.update(limits(4), t0)), highPriority, 9 * time.Second, time.Minute},
		"a recovery step has a reserve":   {rateLimiter{}.update(limits(2), t0), recoveryPriority, 0, 0},
		"which polls leave to it":         {rateLimiter{}.update(limits(2), t0), highPriority, time.Second, time.Minute},
		"client calls leave the list two": {rateLimiter{}.update(limits(3), t0).addClientCall(t0).addClientCall(t0).addClientCall(t0), listPriority, 8 * time.Second, 4 * time.Second},
	} {
		got := c.limiter.nextAllowed(t0, t0, c.p, c.horizon)
		if want := t0.Add(c.want); c.want == 0 && !got.IsZero() || c.want != 0 && !got.Equal(want) {
			t.Errorf("%s: at %v, want %v", name, got.Sub(t0), c.want)
		}
	}
	if got := tight.nextAllowed(t0, t0.Add(61*time.Second), normalPriority, 0); !got.IsZero() {
		t.Errorf("a window that is over still counts: %v", got.Sub(t0))
	}
}

// Whatever clients do, qrgate's own calls leave the clients at least one call of every window.
func TestRateLimiter_LeavesTheLastCallToClients(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		most := rapid.IntRange(2, 100).Draw(rt, "limit")
		left, now, last := most, t0, time.Time{}
		b := rateLimiter{}.update([]session.RateLimit{{Max: most, Remaining: left, Reset: time.Minute}}, now)
		for range rapid.IntRange(1, 200).Draw(rt, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(1, 500).Draw(rt, "ms")) * time.Millisecond)
			if now.After(t0.Add(time.Minute)) {
				return
			}
			u := priority(rapid.IntRange(int(lowPriority), int(recoveryPriority)).Draw(rt, "urgency"))
			if at := b.nextAllowed(last, now, u, time.Second); !at.IsZero() {
				continue
			}
			if left <= 1 {
				rt.Fatalf("a poll with %d calls left of %d", left, most)
			}
			left, last = left-1, now
			b = b.consume(now).update([]session.RateLimit{{Max: most, Remaining: left, Reset: t0.Add(time.Minute).Sub(now)}}, now)
		}
	})
}

func TestRateLimiter_Remaining(t *testing.T) {
	t.Parallel()
	if got := (rateLimiter{}).remaining(t0); got != -1 {
		t.Errorf("an engine that says nothing has %d left", got)
	}
	if got := (rateLimiter{}).update(limits(5), t0).remaining(t0); got != 5 {
		t.Errorf("%d left, want the tighter limiter's 5", got)
	}
}

// Answers to concurrent calls arrive in any order; within one window the smaller number stands, and a new window is full.
func TestRateLimiter_Update(t *testing.T) {
	t.Parallel()
	r := rateLimiter{}.update(limits(20), t0).consume(t0).update(limits(25), t0.Add(time.Second))
	if got := r.remaining(t0.Add(time.Second)); got != 19 {
		t.Errorf("%d remain, want 19", got)
	}
	next := t0.Add(61 * time.Second)
	if got := r.consume(next).remaining(next); got != 29 {
		t.Errorf("%d remain in the next window, want 29", got)
	}
	if got := r.update(limits(28), next).remaining(next); got != 28 {
		t.Errorf("%d remain by the engine's word, want 28", got)
	}
	if got := r.refund().remaining(t0); got != 20 {
		t.Errorf("%d remain after a refund, want 20", got)
	}
}

func TestRateLimiter_Admits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		left, calls, keep int
		want              time.Duration
	}{
		"plenty":            {20, 1, connectReserve, 0},
		"just enough":       {4, 1, connectReserve, 0},
		"into the reserve":  {3, 1, connectReserve, time.Minute},
		"nothing is kept":   {1, 1, 0, 0},
		"nothing remains":   {0, 1, 0, time.Minute},
		"a create, connect": {4, 2, connectReserve, time.Minute},
	} {
		got := rateLimiter{}.update(limits(c.left), t0).admits(c.calls, c.keep, t0)
		if want := t0.Add(c.want); c.want == 0 && !got.IsZero() || c.want > 0 && !got.Equal(want) {
			t.Errorf("%s: at %v, want %v", name, got.Sub(t0), c.want)
		}
	}
	small := rateLimiter{}.update([]session.RateLimit{{Max: 3, Remaining: 3, Reset: time.Minute}}, t0)
	if got := small.admits(1, connectReserve, t0); !got.IsZero() {
		t.Error("a small limit is kept from its clients")
	}
}

// A call that no other accompanied has the engine's exact number in its response: what replicas counted twice comes
// back. While other calls are made, the smaller number counts.
func TestRateLimiter_ExactNumberOfACallAlone(t *testing.T) {
	t.Parallel()
	counted := rateLimiter{}.update(limits(12), t0).consume(t0).consume(t0) // 10 left, as far as is known
	record := rateLimiter{}.update(limits(10), t0).export(t0)
	for name, c := range map[string]struct {
		limiter   rateLimiter
		startedAt time.Time
		want      bool
	}{
		"alone":                                  {counted.consume(at(4)), at(4), true},
		"another one at the same time":           {counted.consume(at(4)).consume(at(4)), at(4), false},
		"another one shortly before":             {counted.consume(at(3.5)).consume(at(4)), at(4), false},
		"another one since":                      {counted.consume(at(4)).consume(at(4.1)), at(4), false},
		"another replica's shortly before":       {counted.merge(record, at(3.5), 0, false, t0).consume(at(4)), at(4), false},
		"another replica's, which is read later": {counted.consume(at(4)).merge(record, at(3.5), 0, false, t0), at(4), false},
		"a client's":                             {counted.consume(at(4)), time.Time{}, false},
	} {
		if got := c.limiter.isAlone(c.startedAt); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	if got := counted.updateExactly(limits(11), t0).remaining(t0); got != 11 {
		t.Errorf("%d calls left, want the engine's 11", got)
	}
	if got := counted.updateExactly(nil, t0).remaining(t0); got != 10 {
		t.Errorf("%d calls left after a response without limits, want 10", got)
	}
}
