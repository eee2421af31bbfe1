package statuspage

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// Verdict states whether QRs are delivered, and if not, to whom, since when, why, and what to do.
type Verdict struct {
	Level    string          `json:"level"`    // one of the Level constants
	Sentence string          `json:"sentence"` // the overall state
	Affected string          `json:"whom"`
	Since    time.Time       `json:"since,omitzero"`
	Why      string          `json:"why"`
	Todo     string          `json:"todo"` // empty for nothing
	Who      diagnosis.Actor `json:"who"`  // who does it
	Code     diagnosis.Code  `json:"diagnosis,omitempty"`
	Also     []string        `json:"also"` // further problems
}

// The levels.
const (
	LevelOK       = "ok"
	LevelUnknown  = "unknown"  // no problem is known, and no recent QR proves that there is none
	LevelDegraded = "degraded" // QRs are delivered, and there is a problem
	LevelFailing  = "failing"  // QRs are not delivered
)

const (
	recentWindow   = 15 * time.Minute // older results do not count
	minFailures    = 3                // consecutive failures, or sessions with the same cause, that are no coincidence
	fullPercent    = 90               // of the waiters' limit
	lateIntervals  = 3                // without a run, after which a probe is late
	lateGrace      = 30 * time.Second
	inactiveAfter  = 30 * time.Second // without a request for a session
	maxAlso        = 6
	maxWhyRunes    = 180 // leaves room for what to do on a phone's first screen
	probeCreateQR  = "create_connect_qr"
	probeHealth    = "engine_health"
	noRequestWaits = "All users; no request waits"
)

// problem is one diagnosis with what the page knows about it.
type problem struct {
	code     diagnosis.Code
	failing  bool // QRs are not delivered
	affected string
	since    time.Time
	evidence string
	title    string // replaces the diagnosis's; "" for none
}

func (p problem) text() string { return cmp.Or(p.title, diagnosis.New(p.code).Title) }

// Judge returns the verdict of a snapshot. It is pure.
func Judge(s Snapshot) Verdict {
	var all []problem
	for _, find := range []func(Snapshot) []problem{
		engineDown, whatsAppUnreachable, failingProbes, failedAcquisitions, activeCauses, storeDown, nearCapacity, lateProbes,
	} {
		all = append(all, find(s)...)
	}
	if len(all) == 0 {
		return healthyVerdict(s)
	}
	slices.SortStableFunc(all, func(a, b problem) int { return compareBool(b.failing, a.failing) })
	first := all[0]
	d := diagnosis.New(first.code)
	v := Verdict{
		Level: LevelDegraded, Sentence: "QR delivery is degraded: " + first.text() + ".", Affected: first.affected,
		Since: first.since, Why: truncate(cmp.Or(first.evidence, d.Title)), Todo: d.Help, Who: d.Who, Code: first.code, Also: []string{},
	}
	if first.failing {
		v.Level, v.Sentence = LevelFailing, "QR delivery is failing: "+first.text()+"."
	}
	for i, p := range all[1:] {
		if left := len(all) - 1 - i; i == maxAlso && left > 1 {
			v.Also = append(v.Also, fmt.Sprintf("%d more", left))
			break
		}
		v.Also = append(v.Also, fmt.Sprintf("%s (%s)", p.text(), p.affected))
	}
	return v
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func truncate(text string) string {
	if r := []rune(text); len(r) > maxWhyRunes {
		return strings.TrimSpace(string(r[:maxWhyRunes])) + "…"
	}
	return text
}

func engineDown(s Snapshot) []problem {
	if s.Engine.State != EngineDown {
		return nil
	}
	p := problem{code: diagnosis.EngineUnreachable, failing: true, affected: affectedUsers(s), since: s.Engine.Since}
	if last := s.Engine.Last; last != nil {
		p.evidence = "Last call: " + last.Line()
		if last.Class == string(session.KindTimeout) {
			p.code = diagnosis.EngineTimeout
		}
	}
	// A newer health check explains more than the last call.
	for _, probe := range s.Probes.Probes {
		if probe.Name != probeHealth || len(probe.Runs) == 0 {
			continue
		}
		run := probe.Runs[0]
		if _, known := session.EngineUp(run.Code); known && run.Outcome == session.Failure && run.Evidence != "" &&
			(s.Engine.Last == nil || run.Began.After(s.Engine.Last.At)) {
			p.code, p.evidence = run.Code, "Health check: "+run.Evidence
		}
	}
	return []problem{p}
}

// whatsAppUnreachable concerns the embedded engine only: another engine has a connection of its own.
func whatsAppUnreachable(s Snapshot) []problem {
	w := s.WhatsApp
	if w == nil || w.Reached() || s.Engine.Kind != EngineEmbedded || s.At.Sub(w.At) > recentWindow {
		return nil
	}
	if at, _ := lastQR(s); at.After(w.At) {
		return nil
	}
	return []problem{{code: w.Code, failing: true, affected: affectedUsers(s), since: w.Since, evidence: w.Said()}}
}

// affectedUsers describes who is affected when no QR can be delivered.
func affectedUsers(s Snapshot) string {
	failed := 0
	for _, c := range s.Causes {
		if isOperatorCause(c.Code) {
			failed += c.Sessions - c.Probes
		}
	}
	switch waiting := s.Sessions[session.Connecting]; {
	case waiting > 0:
		return "All users; " + count(waiting, "session waits", "sessions wait")
	case s.Waiters.Held > 0:
		return "All users; " + count(s.Waiters.Held, "request waits", "requests wait")
	case failed > 0:
		return noRequestWaits + ", " + count(failed, "session", "sessions") + " got no QR in 15 min"
	}
	return noRequestWaits
}

func failingProbes(s Snapshot) []problem {
	var all []problem
	for _, probe := range s.Probes.Probes {
		n, first := failureStreak(probe.Runs)
		if n == 0 || probe.Elsewhere {
			continue
		}
		p := problem{
			code: first.Code, failing: n > 1, affected: "Probably all users", since: first.Began,
			evidence: fmt.Sprintf("Probe %s failed %s", probe.Name, count(n, "time", "times")),
		}
		if first.Evidence != "" {
			p.evidence += ": " + first.Evidence
		}
		switch {
		case n == 1:
			p.affected = "Unknown: one failed run may be a coincidence"
		case first.Code == diagnosis.KeyRefused && hasSuccessSince(s, first.Began, true):
			p.failing, p.affected = false, "The probe only: a client got its QR since (QRGATE_PROBE_API_KEY)"
		case first.Code == diagnosis.KeyRefused:
			p.affected = "The probe (QRGATE_PROBE_API_KEY), or all users if the engine lost its keys"
		}
		all = append(all, p)
	}
	return all
}

// failureStreak counts the failures since the last success and returns the first of them. Runs without a result do not
// count, nor do runs that could not take place without Redis.
func failureStreak(runs []Run) (n int, first Run) {
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

// failedAcquisitions concerns recent acquisitions of clients that failed for an operator's cause.
func failedAcquisitions(s Snapshot) []problem {
	var failed []Journey
	ended, streak, succeeded := 0, 0, false
	for _, j := range s.Journeys {
		if s.At.Sub(j.At) > recentWindow || j.Origin == session.SyntheticTraffic || j.Outcome == session.Abandoned {
			continue
		}
		ended++
		switch {
		case j.Outcome == session.Success:
			succeeded = true
		case isOperatorCause(j.Code):
			failed = append(failed, j)
			if !succeeded {
				streak++
			}
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return []problem{{
		code: failed[0].Code, failing: streak >= minFailures, since: failed[len(failed)-1].At,
		affected: fmt.Sprintf("%d of the last %s in 15 min", len(failed), count(ended, "acquisition", "acquisitions")),
	}}
}

// activeCauses concerns sessions of clients without a QR. Probes have their own problems.
func activeCauses(s Snapshot) []problem {
	var all []problem
	for _, c := range s.Causes {
		users := c.Sessions - c.Probes
		if users <= 0 || !isOperatorCause(c.Code) {
			continue
		}
		p := problem{
			code: c.Code, failing: users >= minFailures && !hasSuccessSince(s, c.Since, false),
			affected: count(users, "session", "sessions"), since: c.Since, evidence: c.Evidence,
		}
		if c.IsInactive(s.At) || s.Waiters.Held == 0 && s.Total() == 0 {
			p.affected += ", last request " + ago(c.Last, s.At)
		}
		all = append(all, p)
	}
	return all
}

// isOperatorCause reports whether a cause concerns the operators and not one client.
func isOperatorCause(c diagnosis.Code) bool {
	who := diagnosis.New(c).Who
	return who == diagnosis.Operator || who == diagnosis.Nobody
}

func hasSuccessSince(s Snapshot, since time.Time, clientsOnly bool) bool {
	return slices.ContainsFunc(s.Journeys, func(j Journey) bool {
		return j.Outcome == session.Success && j.At.After(since) && !(clientsOnly && j.Origin == session.SyntheticTraffic)
	})
}

func storeDown(s Snapshot) []problem {
	if s.Store.State != StoreDegraded {
		return nil
	}
	return []problem{{
		code: diagnosis.RedisUnavailable, affected: "No users yet; replicas share no state and no probe acquires a QR",
		since: s.Store.Since, evidence: s.Store.Note,
	}}
}

func nearCapacity(s Snapshot) []problem {
	if s.Waiters.Limit <= 0 || s.Waiters.Held*100 < s.Waiters.Limit*fullPercent {
		return nil
	}
	return []problem{{
		code: diagnosis.EngineOverloaded, affected: "New requests do not wait",
		evidence: fmt.Sprintf("%d of %d possible requests wait", s.Waiters.Held, s.Waiters.Limit),
	}}
}

// lateProbes finds probes that did not run when they were due: no result is no good result.
func lateProbes(s Snapshot) []problem {
	var all []problem
	for _, p := range s.Probes.Probes {
		if p.Every <= 0 || len(p.Runs) == 0 || p.Elsewhere {
			continue
		}
		last := p.Runs[0].Began
		if s.At.Sub(last) > lateIntervals*duration(p.Every)+lateGrace {
			all = append(all, problem{
				code: diagnosis.Undetermined, title: "The probe " + p.Name + " does not run",
				affected: "No users; monitoring is reduced", since: last,
				evidence: fmt.Sprintf("Last run %s, interval %s", ago(last, s.At), short(duration(p.Every))),
			})
		}
	}
	return all
}

// healthyVerdict is the verdict without a problem: ok after a recent QR, else unknown.
func healthyVerdict(s Snapshot) Verdict {
	v := Verdict{Level: LevelUnknown, Affected: "No users known", Who: diagnosis.Nobody, Also: []string{}}
	at, took := lastQR(s)
	switch {
	case at.IsZero():
		v.Sentence, v.Why, v.Since = "No QR was requested yet.", "No acquisition has ended since the start", s.Build.Started
		v.Todo = "Request a QR, or run `qrgate probe`"
	case s.At.Sub(at) > recentWindow:
		v.Sentence, v.Since = "No QR was requested recently.", at
		v.Why = "The last QR was delivered " + ago(at, s.At)
	default:
		v.Level, v.Sentence, v.Affected = LevelOK, "QRs are delivered.", "No users"
		v.Why = fmt.Sprintf("The last QR was delivered %s, after %s", ago(at, s.At), short(took))
		v.Since = healthySince(s)
	}
	return v
}

// result is the end of an acquisition or of a probe's run.
type result struct {
	at   time.Time // when it ended; of a run, when it began
	took time.Duration
	ok   bool
	end  time.Time
}

// results returns the successes that delivered a QR, and the failures that concern operators.
func results(s Snapshot) []result {
	var all []result
	for _, j := range s.Journeys {
		if ok := j.Outcome == session.Success; ok || j.Outcome == session.Failure && isOperatorCause(j.Code) {
			all = append(all, result{j.At, duration(j.Seconds), ok, j.At})
		}
	}
	for _, p := range s.Probes.Probes {
		for _, r := range p.Runs {
			if ok := r.Outcome == session.Success; ok && p.Name == probeCreateQR || r.Outcome == session.Failure {
				took := duration(r.Seconds)
				all = append(all, result{r.Began, took, ok, r.Began.Add(took)})
			}
		}
	}
	return all
}

// lastQR returns when the last QR was delivered, to a client or a probe, and how long that took.
func lastQR(s Snapshot) (at time.Time, took time.Duration) {
	for _, r := range results(s) {
		if r.ok && r.end.After(at) {
			at, took = r.end, r.took
		}
	}
	return at, took
}

// healthySince returns the first success after the last failure.
func healthySince(s Snapshot) (since time.Time) {
	var failedAt time.Time
	all := results(s)
	for _, r := range all {
		if !r.ok && r.at.After(failedAt) {
			failedAt = r.at
		}
	}
	for _, r := range all {
		if r.ok && r.at.After(failedAt) && (since.IsZero() || r.at.Before(since)) {
			since = r.at
		}
	}
	return since
}
