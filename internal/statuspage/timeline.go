package statuspage

import (
	"fmt"
	"math"
	"time"

	"qrgate/internal/session"
)

const (
	recentRuns  = 30 // slots of a probe's strip
	olderRuns   = 10 // older failures in front of them
	stripHeight = 44 // in pixels
	minBar      = 7
)

// strip is a timeline for SVG: positions in per cent of its width, heights in pixels. The newest mark is at the right.
type strip struct {
	Label  string // for screen readers
	Marks  []mark
	Break  string // where the older failures end, "" without any
	Height int
}

// mark is a run or an acquisition in a strip.
type mark struct {
	Kind          string // ok, bad or void
	X, Width, Mid string
	Y, Height     int
	Title         string
	outcome       session.Outcome
	seconds       float64
}

func newMark(at time.Time, outcome session.Outcome, seconds float64, text string) mark {
	title := fmt.Sprintf("%s UTC, %s, %s", at.UTC().Format("15:04:05"), text, short(duration(seconds)))
	return mark{Title: title, outcome: outcome, seconds: seconds}
}

// newStrip places marks, the newest first, in slots. older of the marks are separated by a break.
func newStrip(marks []mark, slots, older int, label string) strip {
	s := strip{Label: label, Height: stripHeight, Marks: marks}
	total, longest := slots, 0.0
	if older > 0 {
		total += older + 1
	}
	for _, m := range marks {
		if m.outcome == session.Success {
			longest = max(longest, m.seconds)
		}
	}
	width := 100 / float64(total)
	for i := range marks {
		slot := total - 1 - i
		if i >= slots {
			slot-- // the break
		}
		m := &marks[i]
		m.X, m.Width = percent(float64(slot)*width+width*.14), percent(width*.72)
		m.Mid = percent((float64(slot) + .5) * width)
		m.setHeight(longest)
	}
	if older > 0 {
		s.Break = percent((float64(older) + .5) * width)
	}
	return s
}

// setHeight makes failures the highest; the height of a success grows with its duration.
func (m *mark) setHeight(longest float64) {
	m.Kind, m.Height = "void", minBar
	switch m.outcome {
	case session.Failure:
		m.Kind, m.Height = "bad", stripHeight
	case session.Success:
		m.Kind = "ok"
		if longest > 0 {
			m.Height = max(minBar, int(math.Round(math.Sqrt(m.seconds/longest)*(stripHeight-8))))
		}
	}
	m.Y = stripHeight - m.Height
}

// runStrip shows the runs of a probe.
func runStrip(p Probe) strip {
	var marks []mark
	failed := 0
	for _, r := range p.Runs[:min(len(p.Runs), recentRuns+olderRuns)] {
		text := "success"
		switch r.Outcome {
		case session.Success:
		case session.Failure:
			text = "failed: " + string(r.Code)
			failed++
		default:
			text = "no result: " + r.Missed
		}
		marks = append(marks, newMark(r.Began, r.Outcome, r.Seconds, text))
	}
	label := fmt.Sprintf("%s: %s, %d failed", p.Name, count(len(marks), "run", "runs"), failed)
	return newStrip(marks, recentRuns, max(0, len(marks)-recentRuns), label)
}

// acquisitionStrip shows the last acquisitions.
func acquisitionStrip(all []Journey) strip {
	var marks []mark
	failed := 0
	for _, j := range all {
		text := "QR"
		switch j.Outcome {
		case session.Failure:
			text = "no QR: " + string(j.Code)
			failed++
		case session.Abandoned:
			text = "abandoned"
		}
		marks = append(marks, newMark(j.At, j.Outcome, j.Seconds, text))
	}
	label := fmt.Sprintf("%s, %d failed", count(len(all), "acquisition", "acquisitions"), failed)
	return newStrip(marks, keptAcquisitions, 0, label)
}

func percent(p float64) string { return fmt.Sprintf("%.2f%%", p) }

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

func ago(at, now time.Time) string {
	switch d := now.Sub(at); {
	case d < 2*time.Second:
		return "just now"
	case d < 10*time.Second:
		return fmt.Sprintf("%d s ago", int(d.Seconds()))
	default:
		return short(d) + " ago"
	}
}

// count formats a number with its noun.
func count(n int, singular, plural string) string {
	if n == 1 {
		return "1 " + singular
	}
	return fmt.Sprintf("%d %s", n, plural)
}

func duration(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }

func seconds(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }
