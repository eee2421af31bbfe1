package statuspage

import (
	"fmt"
	"math"
	"time"

	"qrgate/internal/session"
)

// The timeline's measures: a strip of slots, the newest at the right.
const (
	recentRuns  = 30 // what a probe keeps of all its runs
	olderRuns   = 10 // and of failures beyond those
	stripHeight = 44 // in pixels
	leastBar    = 7
)

// strip is a timeline, ready to be drawn as SVG: positions in per cent of its width, heights in pixels.
type strip struct {
	Label  string // for who cannot see it
	Marks  []mark
	Break  string // where the older failures end, "" without any
	Height int
	Middle int // where the signs of failures stand
}

// mark is one run or journey in a strip.
type mark struct {
	Kind          string // ok, bad or void
	X, Width, Mid string
	Y, Height     int
	Title         string
	outcome       session.Outcome
	seconds       float64
	began         time.Time
	what          string
}

// draw places marks, the newest first in marks, older of them being beyond the break.
func draw(marks []mark, slots, older int, label string) strip {
	s := strip{Label: label, Height: stripHeight, Middle: stripHeight / 2}
	total := slots
	if older > 0 {
		total += older + 1
	}
	most := 0.0
	for _, m := range marks {
		if m.outcome == session.Success {
			most = max(most, m.seconds)
		}
	}
	wide := 100 / float64(total)
	for i, m := range marks {
		slot := total - 1 - i
		if i >= slots {
			slot-- // the break
		}
		m.X, m.Width, m.Mid = percent(float64(slot)*wide+wide*.14), percent(wide*.72), percent((float64(slot)+.5)*wide)
		m.shape(most)
		s.Marks = append(s.Marks, m)
	}
	if older > 0 {
		s.Break = percent((float64(older) + .5) * wide)
	}
	return s
}

// shape gives a mark its height: that of its length among those that went well, the full one for a failure.
func (m *mark) shape(most float64) {
	m.Height = leastBar
	switch {
	case m.outcome == session.Failure:
		m.Kind, m.Height = "bad", stripHeight
	case m.outcome != session.Success:
		m.Kind = "void"
	default:
		m.Kind = "ok"
		if most > 0 {
			m.Height = max(leastBar, int(math.Round(math.Sqrt(m.seconds/most)*(stripHeight-8))))
		}
	}
	m.Y = stripHeight - m.Height
	m.Title = fmt.Sprintf("%s UTC, %s, %s", m.began.UTC().Format("15:04:05"), m.what, short(length(m.seconds)))
}

func percent(p float64) string { return fmt.Sprintf("%.2f%%", p) }

// runStrip draws the history of a probe.
func runStrip(p Probe) strip {
	var marks []mark
	runs := p.Runs[:min(len(p.Runs), recentRuns+olderRuns)]
	failed := 0
	for _, r := range runs {
		what := "it worked"
		switch {
		case r.Outcome == session.Failure:
			what = "failed: " + string(r.Code)
			failed++
		case r.Outcome != session.Success:
			what = "no result: " + r.Missed
		}
		marks = append(marks, mark{outcome: r.Outcome, seconds: r.Seconds, began: r.Began, what: what})
	}
	label := fmt.Sprintf("%s: %s, %d failed", p.Name, count(len(runs), "run", "runs"), failed)
	return draw(marks, recentRuns, max(0, len(runs)-recentRuns), label)
}

// journeyStrip draws the last journeys.
func journeyStrip(all []Journey) strip {
	var marks []mark
	failed := 0
	for _, j := range all {
		what := "a QR"
		switch j.Outcome {
		case session.Failure:
			what = "no QR: " + string(j.Code)
			failed++
		case session.Abandoned:
			what = "given up"
		}
		marks = append(marks, mark{outcome: j.Outcome, seconds: j.Seconds, began: j.At, what: what})
	}
	return draw(marks, keptJourneys, 0, fmt.Sprintf("%s, %d failed", count(len(all), "journey", "journeys"), failed))
}
