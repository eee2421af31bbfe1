package statuspage

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// healthyVerdict is the verdict when nothing is wrong: all is well if a QR came lately, else nobody knows.
func healthyVerdict(s Snapshot) Verdict {
	v := Verdict{Level: LevelUnknown, Sentence: "Nothing is known to be wrong.", Affected: "Nobody, as far as is known", Who: diagnosis.Nobody, Also: []string{}}
	at, took := lastCode(s)
	switch {
	case at.IsZero():
		v.Sentence = "No QR was asked for yet, so nothing is known."
		v.Why = "No walk to a QR has ended since the start"
		if known := known(s); known != "" {
			v.Sentence, v.Why = "No QR was asked for yet, so nothing proves that they come.", v.Why+"; "+known
		}
		v.Todo = "Ask for a QR, or let probes do it: `qrgate probe`"
		if slices.ContainsFunc(s.Probes.Probes, func(p Probe) bool { return p.QR() && p.Elsewhere }) {
			v.Todo = "Ask for a QR, or look at the page of the replica that runs the probes"
		}
		v.Since = s.Build.Started
	case s.At.Sub(at) > recentWindow:
		v.Why = fmt.Sprintf("The last QR came %s ago, and nobody has asked since", short(s.At.Sub(at)))
		v.Since = at
	default:
		v.Level, v.Sentence, v.Affected = LevelOK, "QRs are delivered.", "Nobody"
		v.Why = fmt.Sprintf("The last QR came %s, in %s", ago(at, s.At), short(took))
		v.Since = healthySince(s)
	}
	return v
}

// known is what is known to work before the first QR; "" for nothing.
func known(s Snapshot) string {
	var all []string
	if s.Engine.State == EngineUp {
		all = append(all, "the engine answers")
	}
	if w := s.WhatsApp; w != nil && w.Reached() {
		all = append(all, "WhatsApp was reached from here "+ago(w.At, s.At))
	}
	return strings.Join(all, ", and ")
}

// lastCode is when the newest QR came, of a client's journey or a probe's, and how long it took.
func lastCode(s Snapshot) (at time.Time, took time.Duration) {
	for _, j := range s.Journeys {
		if j.Outcome == session.Success && j.At.After(at) {
			at, took = j.At, length(j.Seconds)
		}
	}
	for _, p := range s.Probes.Probes {
		for _, r := range p.Runs {
			if end := r.Began.Add(length(r.Seconds)); p.QR() && r.Outcome == session.Success && end.After(at) {
				at, took = end, length(r.Seconds)
			}
		}
	}
	return at, took
}

// QR reports whether the probe walks the whole way to a QR.
func (p Probe) QR() bool { return p.Name == "create_connect_qr" }

// healthySince is the first QR after the last failure that is remembered; without a failure, the first that is.
func healthySince(s Snapshot) time.Time {
	var since, bad time.Time
	for _, j := range s.Journeys {
		if j.Outcome == session.Failure && isOperatorCause(j.Code) && j.At.After(bad) {
			bad = j.At
		}
	}
	for _, p := range s.Probes.Probes {
		for _, r := range p.Runs {
			if r.Outcome == session.Failure && r.Began.After(bad) {
				bad = r.Began
			}
		}
	}
	earlier := func(at time.Time) {
		if at.After(bad) && (since.IsZero() || at.Before(since)) {
			since = at
		}
	}
	for _, j := range s.Journeys {
		if j.Outcome == session.Success {
			earlier(j.At)
		}
	}
	for _, p := range s.Probes.Probes {
		for _, r := range p.Runs {
			if r.Outcome == session.Success && p.QR() {
				earlier(r.Began)
			}
		}
	}
	return since
}

// line is an answer in one line.
func (a Answer) line() string {
	text := a.Op + ": " + a.Class
	if a.Status != 0 {
		text += fmt.Sprintf(", HTTP %d", a.Status)
	}
	if a.Code != "" {
		text += " " + a.Code
	}
	if a.Why != "" {
		text += " (" + a.Why + ")"
	}
	return text + ", after " + short(length(a.Seconds))
}
