package statuspage

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// Verdict is the answer to what somebody asks at night: is it broken, for whom, since when, why.
type Verdict struct {
	Level    string          `json:"level"`    // one of the Level constants
	Sentence string          `json:"sentence"` // the overall state
	Affected string          `json:"whom"`     // for whom it is so
	Since    time.Time       `json:"since,omitzero"`
	Why      string          `json:"why"`
	Todo     string          `json:"todo"` // what to do; empty for nothing
	Who      diagnosis.Actor `json:"who"`  // who does it
	Code     diagnosis.Code  `json:"diagnosis,omitempty"`
	Also     []string        `json:"also"` // what else is wrong
}

// The levels.
const (
	LevelOK       = "ok"
	LevelUnknown  = "unknown"  // nothing is known to be wrong, and nothing proves that all is well
	LevelDegraded = "degraded" // QRs come, and something is wrong
	LevelFailing  = "failing"  // QRs do not come; a person acts
)

// Limits of the judgement.
const (
	recentWindow = 15 * time.Minute // what happened longer ago does not speak for now
	minFailures  = 3                // failures in a row, or sessions alike, that are no chance
	nearlyFull   = 90               // per cent of the waiters' limit
	lateProbe    = 3                // intervals without a run, from which a probe is blind
	graceOfLate  = 30 * time.Second
	atWork       = 30 * time.Second // without news for longer, nobody asks for a session any more
	mostAlso     = 6                // things told of beside the worst
	longestWhy   = 180              // runes
)

// finding is one thing that is wrong.
type finding struct {
	failing bool
	what    string // goes on after a colon
	whom    string
	since   time.Time
	why     string
	code    diagnosis.Code
}

// Judge weighs a snapshot. It reads no clock.
func Judge(s Snapshot) Verdict {
	all := findings(s)
	if len(all) == 0 {
		return healthyVerdict(s)
	}
	slices.SortStableFunc(all, func(a, b finding) int { return rank(a) - rank(b) })
	worst := all[0]
	about := diagnosis.New(worst.code)
	v := Verdict{Level: LevelDegraded, Sentence: "Not all is well: " + worst.what + ".", Affected: worst.whom, Since: worst.since, Why: worst.why, Code: worst.code, Todo: about.Help, Who: about.Who}
	if v.Why == "" {
		v.Why = about.Title
	}
	if worst.failing {
		v.Level, v.Sentence = LevelFailing, "QR delivery is failing: "+worst.what+"."
	}
	v.Why = brief(v.Why)
	v.Also = also(worst.code, all[1:])
	return v
}

// also tells of what else is wrong, with its cause if that is another one: "1000 sessions get no QR", ten times over,
// tells nothing. What is beyond the first few stands further down the page.
func also(told diagnosis.Code, rest []finding) []string {
	out := []string{}
	for i, f := range rest {
		if left := len(rest) - i; i == mostAlso && left > 1 {
			return append(out, fmt.Sprintf("%d more", left))
		}
		switch f.code {
		case told, diagnosis.RedisUnavailable, diagnosis.EngineOverloaded, diagnosis.Undetermined:
			out = append(out, f.what) // it says its cause, or the verdict does
		default:
			out = append(out, f.what+" ("+string(f.code)+")")
		}
	}
	return out
}

// brief is a reason that leaves room on a phone's first screen for what to do. All of it stands beside the run or cause.
func brief(why string) string {
	if r := []rune(why); len(r) > longestWhy {
		return strings.TrimSpace(string(r[:longestWhy])) + "…"
	}
	return why
}

func rank(f finding) int {
	if f.failing {
		return 0
	}
	return 1
}

func findings(s Snapshot) []finding {
	var all []finding
	for _, look := range []func(Snapshot) []finding{engineDown, whatsAppUnreachable, probesFail, journeysFail, activeCauses, storeDown, nearCapacity, probesLate} {
		all = append(all, look(s)...)
	}
	return all
}

func probesFail(s Snapshot) []finding {
	var all []finding
	for _, p := range s.Probes.Probes {
		failed, first := streak(p.Runs)
		if failed == 0 || p.Elsewhere {
			continue
		}
		f := finding{failed > 1, fmt.Sprintf("the probe %s failed %s", p.Name, times(failed)), "Probably everybody: probes walk the way of a client", first.Began, why(first), first.Code}
		switch {
		case !f.failing:
			f.what = fmt.Sprintf("the probe %s failed in its last run", p.Name)
			f.whom = "Not known yet: one failure may be chance"
		case first.Code == diagnosis.KeyRefused && clientServedSince(s, first.Began):
			f.failing, f.whom = false, "The probe alone: a client got its QR since"
		case first.Code == diagnosis.KeyRefused:
			f.whom = "Everybody, if the engine has lost its keys; else the probe alone"
		}
		all = append(all, f)
	}
	return all
}

func times(n int) string {
	if n == 2 {
		return "twice in a row"
	}
	return fmt.Sprintf("%d times in a row", n)
}

// why is what a failed run says, in one line.
func why(r Run) string {
	d := diagnosis.New(r.Code)
	if r.Code == diagnosis.KeyRefused {
		d.Title += " of the probe, QRGATE_PROBE_API_KEY"
	}
	if r.Evidence != "" {
		return d.Title + ": " + r.Evidence
	}
	return d.Title
}

// streak counts the failures since the last success, and returns the first of them. Runs that say nothing
// are passed over, and so are those that could not take place without Redis: they say nothing about QRs.
func streak(runs []Run) (n int, first Run) {
	for _, r := range runs {
		switch {
		case r.Outcome == session.Success:
			return n, first
		case r.Outcome == session.Failure && r.Code != diagnosis.RedisUnavailable:
			n, first = n+1, r
		}
	}
	return n, first
}

// journeysFail looks at clients' journeys of the last quarter of an hour that failed for a reason that is
// not theirs.
func journeysFail(s Snapshot) []finding {
	ended, failed, inRow, succeeded := 0, 0, 0, false
	var first, newest Journey
	for _, j := range s.Journeys {
		if s.At.Sub(j.At) > recentWindow || j.Origin == session.SyntheticTraffic || j.Outcome == session.Abandoned {
			continue
		}
		ended++
		if j.Outcome == session.Success || !isOperatorCause(j.Code) {
			succeeded = succeeded || j.Outcome == session.Success
			continue
		}
		if failed++; failed == 1 {
			newest = j
		}
		if !succeeded {
			inRow++
		}
		first = j
	}
	if failed == 0 {
		return nil
	}
	f := finding{inRow >= minFailures, "some QRs do not come", partOf(failed, ended), first.At, "", newest.Code}
	came, _ := lastCode(s)
	switch {
	case f.failing:
		f.what = fmt.Sprintf("the last %d journeys ended without a QR", inRow)
	case !succeeded && s.At.Sub(came) > recentWindow:
		f.what = "nobody got a QR in the last 15 min"
	}
	return []finding{f}
}

// partOf says how many journeys of a quarter of an hour failed.
func partOf(failed, ended int) string {
	switch {
	case ended == 1:
		return "The only journey in 15 min"
	case failed == ended:
		return fmt.Sprintf("All of the last %d journeys in 15 min", ended)
	}
	return fmt.Sprintf("%d of the last %d journeys in 15 min", failed, ended)
}

// isOperatorCause reports whether a cause is the business of whoever runs the gate, the engine or the network, not
// that of one client.
func isOperatorCause(c diagnosis.Code) bool {
	who := diagnosis.New(c).Who
	return who == diagnosis.Operator || who == diagnosis.Nobody
}

// activeCauses looks at sessions that fail now, or failed lately and were given up. Probes have their own finding.
func activeCauses(s Snapshot) []finding {
	var all []finding
	for _, c := range s.Causes {
		users := c.Sessions - c.Probes
		if users <= 0 || !isOperatorCause(c.Code) {
			continue
		}
		f := finding{users >= minFailures && !successSince(s, c.Since), count(users, "session gets", "sessions get") + " no QR", count(users, "session", "sessions"), c.Since, c.Evidence, c.Code}
		if c.Quiet(s.At) || idle(s) {
			f.what = count(users, "session", "sessions") + " got no QR"
			f.whom += ", last asked for " + ago(c.Last, s.At)
		}
		f.why = diagnosis.New(c.Code).Title
		if c.Evidence != "" {
			f.why += ": " + c.Evidence
		}
		if f.failing {
			f.whom += ", and no other got one since"
		}
		all = append(all, f)
	}
	return all
}

// idle reports whether no client wants anything at this moment.
func idle(s Snapshot) bool {
	n := s.Waiters.Held
	for _, k := range s.Sessions {
		n += k
	}
	return n == 0
}

func clientServedSince(s Snapshot, since time.Time) bool {
	return slices.ContainsFunc(s.Journeys, func(j Journey) bool {
		return j.Outcome == session.Success && j.Origin != session.SyntheticTraffic && j.At.After(since)
	})
}

func successSince(s Snapshot, since time.Time) bool {
	return slices.ContainsFunc(s.Journeys, func(j Journey) bool { return j.Outcome == session.Success && j.At.After(since) })
}

func storeDown(s Snapshot) []finding {
	if s.Store.State != StoreDegraded {
		return nil
	}
	whom := "Nobody yet; replicas do not share what they know"
	if slices.ContainsFunc(s.Probes.Probes, func(p Probe) bool { return len(p.Runs) > 0 && p.Runs[0].Code == diagnosis.RedisUnavailable }) {
		whom += ", and no probe walks to a QR"
	}
	return []finding{{false, "Redis cannot be reached", whom, s.Store.Since, s.Store.Note, diagnosis.RedisUnavailable}}
}

func nearCapacity(s Snapshot) []finding {
	if s.Waiters.Limit <= 0 || s.Waiters.Held*100 < s.Waiters.Limit*nearlyFull {
		return nil
	}
	return []finding{{false, "almost as many requests wait for a QR as may", "Whoever asks next is told \"not yet\" at once", time.Time{},
		fmt.Sprintf("%d of %d places are taken", s.Waiters.Held, s.Waiters.Limit), diagnosis.EngineOverloaded}}
}

// probesLate finds probes that should have run and did not: silence must not look like health.
func probesLate(s Snapshot) []finding {
	var all []finding
	for _, p := range s.Probes.Probes {
		if p.Every <= 0 || len(p.Runs) == 0 || p.Elsewhere {
			continue
		}
		last := p.Runs[0].Began
		if s.At.Sub(last) > lateProbe*length(p.Every)+graceOfLate {
			all = append(all, finding{false, fmt.Sprintf("the probe %s has not run for %s", p.Name, short(s.At.Sub(last))), "Nobody; the gate watches with one eye less", last,
				"It should run every " + short(length(p.Every)), diagnosis.Undetermined})
		}
	}
	return all
}
