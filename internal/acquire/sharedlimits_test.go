package acquire

import (
	"testing"
	"time"

	"qrgate/internal/session"
)

func TestRateLimiter_Merge(t *testing.T) {
	t.Parallel()
	limited := func(left int, reset time.Duration) rateLimiter {
		return rateLimiter{}.update([]session.RateLimit{{Max: 30, Remaining: left, Reset: reset}}, t0)
	}
	const stored = 8 // calls left in the record, in a window of 30 s from 2 s before t0 on
	record := limited(stored, 30*time.Second).export(t0)
	for name, c := range map[string]struct {
		mine    rateLimiter
		unknown int
		hasNews bool
		want    int
	}{
		"nothing is known here":                 {rateLimiter{}, 0, false, 8},
		"the engine just stated less":           {limited(5, 28*time.Second), 0, true, 5},
		"others took calls back":                {limited(5, 28*time.Second), 0, false, 8},
		"others made calls":                     {limited(12, 28*time.Second), 0, false, 8},
		"calls that the record does not count":  {limited(12, 28*time.Second), 3, false, 5},
		"another window is counted for this IP": {limited(25, 10*time.Second), 0, false, 25},
		"the window here is over":               {limited(1, -time.Second), 0, false, 8},
	} {
		got := c.mine.merge(record, at(-2), c.unknown, c.hasNews, t0)
		if len(got.windows) != 1 || got.windows[0].remaining != c.want {
			t.Errorf("%s: %+v, want %d left", name, got.windows, c.want)
		}
	}
	paused := rateLimiter{}.merge(rateLimiter{}.pause(9*time.Second, t0).export(t0), at(-2), 0, false, t0)
	if want := at(7); !paused.pausedUntil.Equal(want) {
		t.Errorf("paused until %v, want %v", paused.pausedUntil, want)
	}
}

func TestRateLimiter_ExportTTL(t *testing.T) {
	t.Parallel()
	window := func(left int, reset time.Duration) rateLimiter {
		return rateLimiter{}.update([]session.RateLimit{{Max: 1000, Remaining: left, Reset: reset}}, t0)
	}
	for name, c := range map[string]struct {
		limiter rateLimiter
		want    time.Duration
	}{
		"most of a long window is left": {window(900, 14*time.Minute), minLimitsTTL},
		"a long window is mostly used":  {window(400, 14*time.Minute), 14 * time.Minute},
		"a short window is used up":     {window(0, 20*time.Second), minLimitsTTL},
		"a day is used up":              {window(0, 24*time.Hour), maxLimitsTTL},
		"a long pause":                  {rateLimiter{}.pause(3*time.Minute, t0), 3 * time.Minute},
	} {
		if got := c.limiter.export(t0).TTL; got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	if !(rateLimiter{}).export(t0).isEmpty() || window(900, time.Minute).export(t0).isEmpty() {
		t.Error("a record is empty if the engine has stated no limits")
	}
}
