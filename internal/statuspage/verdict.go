package statuspage

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/probes"
)

// Verdict states whether QRs are delivered, and if not, to whom, since when, why, and what to do.
type Verdict struct {
	Level    string          `json:"level"` // one of the Level constants
	Title    string          `json:"title"` // of the diagnosis, if there is one
	Affected string          `json:"affected"`
	Since    time.Time       `json:"since,omitzero"`
	Why      string          `json:"why"`
	Help     string          `json:"help"` // empty for nothing
	Who      diagnosis.Actor `json:"who"`
	Code     diagnosis.Code  `json:"code,omitempty"`
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
	recentWindow  = 15 * time.Minute // older results do not count
	minFailures   = 3                // sessions with the same cause that are no coincidence
	fullPercent   = 90               // of the waiters' limit
	lateIntervals = 3                // without a run, after which a probe is late
	lateGrace     = 30 * time.Second
	inactiveAfter = 30 * time.Second // without a request for a session
	maxAlso       = 6
)

// problem is the verdict on one diagnosis. Without evidence, why is its title.
func (s Snapshot) problem(
	code diagnosis.Code, isFailing bool, affected string, since time.Time, evidence string,
) Verdict {
	d := diagnosis.New(code).Localize(string(s.lang))
	v := Verdict{
		Level: LevelDegraded, Title: d.Title, Affected: affected, Since: since, Why: cmp.Or(evidence, d.Title),
		Help: d.Help, Who: d.Who, Code: code, Also: []string{},
	}
	if isFailing {
		v.Level = LevelFailing
	}
	return v
}

// Judge returns the verdict of a snapshot: the first problem that keeps QRs from users, or else the first. It is pure.
func Judge(s Snapshot) Verdict {
	all := slices.Concat(engineProblems(s), whatsAppProblems(s), probeProblems(s), sessionProblems(s), capacityProblems(s))
	if len(all) == 0 {
		return healthyVerdict(s)
	}
	first := max(0, slices.IndexFunc(all, func(p Verdict) bool { return p.Level == LevelFailing }))
	v := all[first]
	for _, p := range slices.Delete(all, first, first+1) {
		if p.Code == v.Code && v.Why == v.Title {
			v.Why = p.Why
		}
		if p.Title != v.Title && len(v.Also) < maxAlso { // the list of causes has the sessions
			v.Also = append(v.Also, fmt.Sprintf("%s (%s)", p.Title, p.Affected))
		}
	}
	return v
}

func engineProblems(s Snapshot) []Verdict {
	if s.Engine.State != EngineDown {
		return nil
	}
	evidence := ""
	if last := s.Engine.Last; last != nil && last.Class != "ok" {
		evidence = s.lang.text("Last call: %s", s.lang.line(*last))
	}
	return []Verdict{s.problem(s.Engine.Cause, true, affectedUsers(s), s.Engine.Since, evidence)}
}

// affectedUsers describes who is affected when no QR can be delivered.
func affectedUsers(s Snapshot) string {
	if waiting := s.Sessions[session.Connecting]; waiting > 0 {
		return s.lang.text("All users; %s", s.lang.count(waiting, "session waits", "sessions wait"))
	}
	failed := 0
	for _, c := range s.Causes {
		if isOperatorCause(c.Code) {
			failed += c.Sessions
		}
	}
	without := s.lang.count(failed, "session", "sessions")
	return s.lang.text("All users; no session waits, %s got no QR in 15 min", without)
}

// whatsAppProblems concerns the embedded engine only: another engine has a connection of its own.
func whatsAppProblems(s Snapshot) []Verdict {
	w := s.WhatsApp
	if w == nil || w.OK() || s.Engine.Kind != EngineEmbedded || s.At.Sub(w.At) > recentWindow {
		return nil
	}
	if last, _ := lastQR(s); last.at.After(w.At) {
		return nil
	}
	evidence := ""
	if n := len(w.Evidence); n > 0 {
		evidence = w.Evidence[n-1]
	}
	return []Verdict{s.problem(w.Code, true, affectedUsers(s), w.FailingSince, evidence)}
}

// probeProblems finds probes that fail, and probes that did not run when they were due: no result is no good result.
func probeProblems(s Snapshot) []Verdict {
	var all []Verdict
	for _, probe := range s.Probes {
		if probe.Elsewhere || len(probe.Runs) == 0 {
			continue
		}
		if n, first := failureStreak(probe.Runs); n > 0 {
			all = append(all, failingProbe(s, probe.Name, n, first))
		}
		last := probe.Runs[0].StartedAt
		if probe.Every > 0 && s.At.Sub(last) > lateIntervals*duration(probe.Every)+lateGrace {
			why := s.lang.text("Last run %s, interval %s", s.lang.ago(last, s.At), short(duration(probe.Every)))
			p := s.problem(diagnosis.Undetermined, false, s.lang.text("No users; monitoring is reduced"), last, why)
			p.Title = s.lang.text("The probe %s does not run", probe.Name)
			all = append(all, p)
		}
	}
	return all
}

func failingProbe(s Snapshot, name string, failures int, first probes.Result) Verdict {
	evidence := s.lang.text("Probe %s failed %s", name, s.lang.count(failures, "time", "times"))
	if first.Diagnosis != nil && len(first.Diagnosis.Evidence) > 0 {
		evidence += ": " + first.Diagnosis.Evidence[0]
	}
	p := s.problem(first.Code(), failures > 1, s.lang.text("Probably all users"), first.StartedAt, evidence)
	switch {
	case failures == 1:
		p.Affected = s.lang.text("Unknown: one failed run may be a coincidence")
	case p.Code == diagnosis.KeyRefused && hasClientSuccess(s, p.Since):
		p.Level, p.Affected = LevelDegraded, s.lang.text("The probe only: a client got its QR since (QRGATE_PROBE_API_KEY)")
	case p.Code == diagnosis.KeyRefused:
		p.Affected = s.lang.text("The probe (QRGATE_PROBE_API_KEY), or all users if the engine lost its keys")
	}
	return p
}

// failureStreak counts the failures since the last success and returns the first of them. Runs without a result do not
// count, nor do runs that could not take place without Redis.
func failureStreak(runs []probes.Result) (n int, first probes.Result) {
	for _, r := range runs {
		switch {
		case r.Outcome == session.Success:
			return n, first
		case r.Outcome == session.Failure && r.Code() != diagnosis.RedisUnavailable:
			n, first = n+1, r
		}
	}
	return n, first
}

// sessionProblems concerns sessions without a QR.
func sessionProblems(s Snapshot) []Verdict {
	var all []Verdict
	for _, c := range s.Causes {
		if !isOperatorCause(c.Code) {
			continue
		}
		affected := s.lang.count(c.Sessions, "session", "sessions")
		if c.IsInactive(s.At) || s.Waiters == 0 && s.Total() == 0 {
			affected += s.lang.text(", last request %s", s.lang.ago(c.Last, s.At))
		}
		last, _ := lastQR(s)
		isFailing := c.Sessions >= minFailures && !last.at.After(c.Since)
		all = append(all, s.problem(c.Code, isFailing, affected, c.Since, strings.Join(c.Evidence, ", ")))
	}
	return all
}

// isOperatorCause reports whether a cause concerns the operators and not one client.
func isOperatorCause(c diagnosis.Code) bool {
	who := diagnosis.New(c).Who
	return who == diagnosis.Operator || who == diagnosis.Nobody
}

func hasClientSuccess(s Snapshot, since time.Time) bool {
	return slices.ContainsFunc(s.Acquisitions, func(a Acquisition) bool {
		return a.Outcome == session.Success && a.At.After(since)
	})
}

// capacityProblems concerns the store and the limit of waiting requests.
func capacityProblems(s Snapshot) []Verdict {
	var all []Verdict
	if s.Store.State == StoreDegraded {
		affected := s.lang.text("No users yet; replicas share no state and no probe acquires a QR")
		all = append(all, s.problem(diagnosis.RedisUnavailable, false, affected, s.Store.Since, s.Store.Note))
	}
	if s.WaiterLimit > 0 && s.Waiters*100 >= s.WaiterLimit*fullPercent {
		why := s.lang.text("%d of %d possible requests wait", s.Waiters, s.WaiterLimit)
		affected := s.lang.text("New requests do not wait")
		all = append(all, s.problem(diagnosis.EngineOverloaded, false, affected, time.Time{}, why))
	}
	return all
}

// healthyVerdict is the verdict without a problem: ok after a recent QR, else unknown.
func healthyVerdict(s Snapshot) Verdict {
	v := Verdict{Level: LevelUnknown, Affected: s.lang.text("No users known"), Who: diagnosis.Nobody, Also: []string{}}
	last, since := lastQR(s)
	switch {
	case last.at.IsZero():
		v.Title, v.Since = s.lang.text("No QR was requested yet"), s.Build.Started
		v.Why = s.lang.text("No acquisition has ended since the start")
		v.Help = s.lang.text("Request a QR, or run `qrgate probe`")
	case s.At.Sub(last.at) > recentWindow:
		v.Title, v.Since = s.lang.text("No QR was requested recently"), last.at
		v.Why = s.lang.text("The last QR was delivered %s", s.lang.ago(last.at, s.At))
	default:
		v.Level, v.Title, v.Affected = LevelOK, s.lang.text("QRs are delivered"), s.lang.text("No users")
		v.Since = since
		v.Why = s.lang.text("The last QR was delivered %s, after %s", s.lang.ago(last.at, s.At), short(last.took))
	}
	return v
}

// result is the end of an acquisition or of a probe's run.
type result struct {
	at   time.Time
	took time.Duration
	ok   bool
}

// results returns the successes that delivered a QR, to a client or a probe, and the failures that concern operators,
// the newest first.
func results(s Snapshot) []result {
	var all []result
	for _, a := range s.Acquisitions {
		if ok := a.Outcome == session.Success; ok || a.Outcome == session.Failure && isOperatorCause(a.Code) {
			all = append(all, result{a.At, duration(a.Seconds), ok})
		}
	}
	for _, p := range s.Probes {
		for _, r := range p.Runs {
			if ok := r.Outcome == session.Success; ok && p.Name == probes.CreateConnectQR || r.Outcome == session.Failure {
				took := duration(r.Seconds)
				all = append(all, result{r.StartedAt.Add(took), took, ok})
			}
		}
	}
	slices.SortFunc(all, func(a, b result) int { return b.at.Compare(a.at) })
	return all
}

// lastQR returns the last delivery, and the first one after the last failure.
func lastQR(s Snapshot) (last result, healthySince time.Time) {
	isHealthy := true
	for _, r := range results(s) {
		isHealthy = isHealthy && r.ok
		if r.ok && last.at.IsZero() {
			last = r
		}
		if isHealthy {
			healthySince = r.at
		}
	}
	return last, healthySince
}
