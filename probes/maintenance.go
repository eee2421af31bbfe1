package probes

import (
	"fmt"
	"strings"
	"time"
)

// Window is a time of every week, or of every day, when nothing is probed on schedule. All times are UTC. The
// zero Window is always open.
type Window struct {
	Days     []time.Weekday // on which it begins; empty: every day
	From, To time.Duration  // since midnight; a To that is not after From is on the next day
}

// ParseWindows reads windows as a person writes them: "sat,sun 22:00-02:30; daily 03:00-03:15". The error
// says which one cannot be read and how one is written.
func ParseWindows(text string) ([]Window, error) {
	var all []Window
	for _, part := range strings.Split(text, ";") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		w, err := parseWindow(part)
		if err != nil {
			return nil, fmt.Errorf("%q is no maintenance window; write it in UTC like sat,sun 22:00-02:30 or daily 03:00-03:15", part)
		}
		all = append(all, w)
	}
	return all, nil
}

func parseWindow(text string) (w Window, err error) {
	days, hours, found := strings.Cut(text, " ")
	from, to, ranged := strings.Cut(strings.TrimSpace(hours), "-")
	if !found || !ranged {
		return w, fmt.Errorf("no hours")
	}
	if !strings.EqualFold(days, "daily") {
		for _, d := range strings.Split(days, ",") {
			day, ok := weekday(d)
			if !ok {
				return w, fmt.Errorf("no day")
			}
			w.Days = append(w.Days, day)
		}
	}
	if w.From, err = clock(from); err != nil {
		return w, err
	}
	w.To, err = clock(to)
	return w, err
}

func weekday(text string) (time.Weekday, bool) {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if strings.EqualFold(text, d.String()) || strings.EqualFold(text, d.String()[:3]) {
			return d, true
		}
	}
	return 0, false
}

func clock(text string) (time.Duration, error) {
	t, err := time.Parse("15:04", text)
	return t.Sub(t.Truncate(24 * time.Hour)), err
}

const day = 24 * time.Hour

// Open reports whether now lies in the window.
func (w Window) Open(now time.Time) bool {
	now = now.UTC()
	midnight := now.Truncate(day)
	long := w.To - w.From
	if long <= 0 {
		long += day
	}
	for _, began := range []time.Time{midnight, midnight.Add(-day)} { // today's, and what is left of yesterday's
		in := now.Sub(began.Add(w.From))
		if in >= 0 && in < long && w.on(began.Weekday()) {
			return true
		}
	}
	return false
}

func (w Window) on(d time.Weekday) bool {
	for _, day := range w.Days {
		if day == d {
			return true
		}
	}
	return len(w.Days) == 0
}

// resting reports whether the schedule rests at now.
func (c Config) resting(now time.Time) bool {
	if now.Before(c.PausedUntil) {
		return true
	}
	for _, w := range c.Maintenance {
		if w.Open(now) {
			return true
		}
	}
	return false
}
