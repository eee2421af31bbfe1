package statuspage

import (
	"fmt"
	"time"
)

func clock(t time.Time) string { return t.UTC().Format("15:04:05") + " UTC" }

// short formats a duration in one or two units: 42 ms, 3.2 s, 48 s, 5 min, 2 h 5 min, 3 d 1 h.
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

func duration(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }
