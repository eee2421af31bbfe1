package statuspage

import (
	"fmt"
	"time"
)

// short writes a length of time as a person says it, in one unit or two: 42 ms, 3.2 s, 48 s, 5 min, 2 h 5 min, 3 d.
func short(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 24*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d d %d h", int(d.Hours())/24, int(d.Hours())%24)
}

// ago is how long ago something was.
func ago(at, now time.Time) string {
	if d := now.Sub(at); d >= 2*time.Second {
		if d < 10*time.Second {
			return fmt.Sprintf("%d s ago", int(d.Seconds()))
		}
		return short(d) + " ago"
	}
	return "just now"
}

// count is a number with its noun.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func length(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }
