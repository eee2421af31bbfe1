package pairing

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"qrgate"
)

func limits(left int) []qrgate.RateLimit {
	return []qrgate.RateLimit{{Max: 1000, Remaining: 900, Reset: 15 * time.Minute}, {Max: 30, Remaining: left, Reset: time.Minute}}
}

func TestBudgetAllows(t *testing.T) {
	t.Parallel()
	empty, tight := budget{}, budget{}.learned(limits(5), t0)
	for name, c := range map[string]struct {
		b       budget
		u       urgency
		horizon time.Duration
		want    time.Duration // after t0; 0 is now
	}{
		"an engine that says nothing":     {empty, calm, 0, 0},
		"plenty":                          {budget{}.learned(limits(29), t0), young, 9 * time.Second, 9 * time.Second / 28},
		"little is spread over the hold":  {tight, young, 8 * time.Second, 2 * time.Second},
		"a fifth is kept":                 {tight, steady, 0, time.Minute},
		"half is kept":                    {budget{}.learned(limits(14), t0), calm, 0, time.Minute},
		"nothing is left":                 {budget{}.learned(limits(0), t0), young, time.Second, time.Minute},
		"a 429 with its wish":             {budget{}.learned(limits(9), t0).refused(7*time.Second, t0), young, 0, 7 * time.Second},
		"a 429 at the window's end":       {budget{}.learned(limits(0), t0).refused(0, t0), young, 0, time.Minute},
		"a 429 without a word":            {budget{}.refused(0, t0), young, 0, defaultPause},
		"calls under way count":           {tight.spent().spent().spent().spent(), young, 8 * time.Second, time.Minute},
		"the clients' rush is expected":   {tight.called(t0).called(t0).called(t0).called(t0), young, 8 * time.Second, time.Minute},
		"an answer without limits is mum": {tight.learned(nil, t0), young, 8 * time.Second, 2 * time.Second},
	} {
		got := c.b.allows(t0, t0, c.u, c.horizon)
		if want := t0.Add(c.want); c.want == 0 && !got.IsZero() || c.want != 0 && !got.Equal(want) {
			t.Errorf("%s: at %v, want %v", name, got.Sub(t0), c.want)
		}
	}
	if got := tight.allows(t0, t0.Add(61*time.Second), steady, 0); !got.IsZero() {
		t.Errorf("a window that is over still counts: %v", got.Sub(t0))
	}
}

// Whatever clients and flights do, the gate's own looks leave the clients at least one call of every window.
func TestTheGateNeverSpendsTheLastCall(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		most := rapid.IntRange(2, 100).Draw(rt, "limit")
		left, now, last := most, t0, time.Time{}
		b := budget{}.learned([]qrgate.RateLimit{{Max: most, Remaining: left, Reset: time.Minute}}, now)
		for range rapid.IntRange(1, 200).Draw(rt, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(1, 500).Draw(rt, "ms")) * time.Millisecond)
			if now.After(t0.Add(time.Minute)) {
				return
			}
			u := urgency(rapid.IntRange(int(calm), int(young)).Draw(rt, "urgency"))
			if at := b.allows(last, now, u, time.Second); !at.IsZero() {
				continue
			}
			if left <= 1 {
				rt.Fatalf("a look with %d calls left of %d", left, most)
			}
			left, last = left-1, now
			b = b.spent().learned([]qrgate.RateLimit{{Max: most, Remaining: left, Reset: t0.Add(time.Minute).Sub(now)}}, now)
		}
	})
}

func TestLeftNow(t *testing.T) {
	t.Parallel()
	if got := (budget{}).leftNow(t0); got != -1 {
		t.Errorf("an engine that says nothing has %d left", got)
	}
	if got := (budget{}).learned(limits(5), t0).leftNow(t0); got != 5 {
		t.Errorf("%d left, want the tighter limiter's 5", got)
	}
}
