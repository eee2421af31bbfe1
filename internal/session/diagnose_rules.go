package session

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"qrgate/internal/diagnosis"
)

func ruleAlreadyPaired(in *input) finding {
	if in.State != Connected {
		return finding{}
	}
	return fact(diagnosis.AlreadyPaired, "the engine reports the session as connected")
}

// fact is a finding that needs no ConfirmDelay.
func fact(code diagnosis.Code, evidence string) finding {
	return finding{code: code, confirmed: true, evidence: []string{evidence}}
}

// symptom is a finding that must last for its ConfirmDelay.
func symptom(code diagnosis.Code, since time.Time, format string, args ...any) finding {
	return finding{code: code, since: since}.with(format, args...)
}

// with returns the finding with one more line of evidence.
func (f finding) with(format string, args ...any) finding {
	f.evidence = append(f.evidence, fmt.Sprintf(format, args...))
	return f
}

// ruleUnauthorized needs one error only: a retry does not change a refused key.
func ruleUnauthorized(in *input) finding {
	for _, f := range slices.Insert(in.failures(), 0, in.Failure) {
		if f.Kind == KindKeyRefused {
			return fact(diagnosis.KeyRefused, f.String(in.now))
		}
	}
	return finding{}
}

// ruleEngineNamesCause reads the text of the engine's present error, and of the error of a rejected connect.
func ruleEngineNamesCause(in *input) finding {
	for _, f := range in.failures() {
		if f.Kind == KindBadResponse && f.Code == codeQRInvalid {
			return fact(diagnosis.QRInvalid, f.String(in.now))
		}
		if f.isUnreachable() {
			return finding{}
		}
		if p, ok := diagnosis.MatchError(f.Text + " " + f.Code); ok {
			return namedCause(p, f.Text, in)
		}
	}
	return finding{}
}

// failures are the present failures: of polls, and of the last connect if the engine rejected it.
func (in *input) failures() []FailureStreak {
	if in.connectRejected() {
		return []FailureStreak{in.currentFailure(), in.History.ConnectFailure}
	}
	return []FailureStreak{in.currentFailure()}
}

// codeQRInvalid is the error code of an engine adapter for a QR that is no image.
const codeQRInvalid = "QR_INVALID"

// namedCause is the finding of a pattern in the engine's text. WhatsApp is not silent if it ends the connection after
// it sent codes. The evidence has the words of the pattern, and of the engine's text only what cannot be a secret.
func namedCause(p diagnosis.Pattern, text string, in *input) finding {
	code := p.Code
	if p.Words[0] == diagnosis.RestartRequired && !in.passed(in.Since.Add(SymptomDelay)) {
		return finding{}
	}
	if code == diagnosis.WhatsAppSilent && in.Sequence > 0 {
		code = diagnosis.WhatsAppUnavailable
		if slices.Contains(p.Words, "timed out") {
			code = diagnosis.Undetermined // of a query, or because no phone scanned the codes
		}
	}
	lead := "the engine names this cause itself: "
	if code == diagnosis.Undetermined {
		lead = "the engine's error leaves the cause open: "
	}
	found := fact(code, lead+strings.Join(p.Words, ", "))
	if details := diagnosis.Details(text); len(details) > 0 {
		found = found.with("its text mentions: %s", strings.Join(details, ", "))
	}
	return found
}

// ruleEngineUnreachable comes before older errors of the engine. Polls may succeed while connects fail.
func ruleEngineUnreachable(in *input) finding {
	for _, f := range slices.Insert(in.failures(), 1, in.Failure) {
		if in.RateLimitWait > 0 && in.LastResponse.After(f.LastAt) {
			continue // the engine is back, and the rate limit delays the poll that would show it
		}
		if found := f.finding(in.now); f.isUnreachable() && in.established(found) {
			return found
		}
	}
	return finding{}
}

func ruleDisconnectReason(in *input) finding {
	if in.State == AwaitingScan && !in.codeDead() {
		return finding{} // a newer connect returned a code
	}
	if p, ok := diagnosis.MatchCause(in.Reason); ok {
		return namedCause(p, in.Reason, in)
	}
	return finding{}
}

// ruleCrashLoop: between two outages the engine responds, so that each of them alone looks like a restart.
func ruleCrashLoop(in *input) finding {
	o := in.History.Outages
	if o.Times < minOutages || in.passed(o.LastAt.Add(recurrenceGap)) {
		return finding{}
	}
	return fact(diagnosis.EngineCrashLoop, fmt.Sprintf("the engine became unreachable %d times, the last time %s ago",
		o.Times, in.now.Sub(o.LastAt).Round(time.Second)))
}

// ruleInconsistent: an engine that lost a session does not know it again without a connect, and one that has just
// created it knows it. Several engines behind one address respond so.
func ruleInconsistent(in *input) finding {
	again, denied := in.History.Reappearances, in.History.ConnectFailure
	isNew := in.CreatedHere && in.ConnectedAt.IsZero() && denied.Kind == KindSessionNotFound
	switch {
	case again.Times >= minReappearances && !in.passed(again.LastAt.Add(recurrenceGap)):
		return fact(diagnosis.EngineInconsistent, fmt.Sprintf(
			"the engine denied the session and knew it again %d times without a connect in between", again.Times))
	case isNew && !in.passed(denied.LastAt.Add(recurrenceGap)):
		return denied.findingFor(diagnosis.EngineInconsistent, in.now).with("the engine had accepted the create")
	}
	return finding{}
}

// ruleLastNamedCause keeps the cause that the engine named before qrgate's own reconnect, until that has a result.
// Without it the diagnosis would disappear at each reconnect and return seconds later.
func ruleLastNamedCause(in *input) finding {
	n := in.History.Named
	if n.Code == "" || in.State != Connecting || in.Sequence > 0 || !in.IsRecoveryConnect() ||
		n.LastAt.Before(in.Since) || in.passed(n.LastAt.Add(restartTTL)) {
		return finding{}
	}
	const text = "the engine named this cause before qrgate's last reconnect, and has returned no QR since: "
	return fact(n.Code, text+n.Words)
}

// ruleSessionLost: an accepted connect proves that the engine had the session.
func ruleSessionLost(in *input) finding {
	h, f := in.History, in.currentFailure()
	unknown := h.ConnectFailure.findingFor(diagnosis.SessionNotFound, in.now)
	switch {
	case in.connectRejected() && h.ConnectFailure.Kind == KindSessionNotFound && in.established(unknown):
		return unknown
	case in.restarted():
		return fact(diagnosis.EngineRestarted, fmt.Sprintf("the engine accepted a connect, "+
			"and responded as if it had lost the session %s ago", in.now.Sub(h.RestartedAt).Round(time.Second)))
	case f.Kind != KindSessionNotFound || f.Op == OpStatus:
		return finding{} // engines return 404 at /status for sessions that exist (contract C18)
	case in.LostByEngine:
		return fact(diagnosis.EngineRestarted, f.String(in.now))
	case f.Times == 1 && in.RateLimitWait > 0:
		return finding{} // it may be of an id that a deletion replaced, and no call is left to ask again
	}
	return f.findingFor(diagnosis.SessionNotFound, in.now)
}

// restartTTL is how long a restart of the engine explains a missing QR.
const restartTTL = 30 * time.Second

// restarted reports whether the engine lost this session recently and has returned no QR since.
func (in *input) restarted() bool {
	r := in.History.RestartedAt
	return !r.IsZero() && !in.passed(r.Add(restartTTL)) && in.State == Connecting && in.Sequence == 0 && !in.Since.After(r)
}

// ruleConnectFailing: the present failure does not show rejected connects, because polls between them succeed.
func ruleConnectFailing(in *input) finding {
	f := in.History.ConnectFailure
	switch {
	case !in.connectRejected() || f.isUnreachable():
		return finding{}
	case in.History.RefusedAt.Equal(f.LastAt) && f.Kind != KindServerError:
		return fact(diagnosis.ConnectFailing, f.String(in.now))
	}
	found := f.finding(in.now)
	found.confirmed = found.confirmed || in.History.RefusedAt.Equal(f.LastAt)
	return found
}

// connectRejected reports whether the engine rejected the last connect.
func (in *input) connectRejected() bool {
	f := in.History.ConnectFailure
	isPresent := in.Recovery.FailedConnects > 0 || in.History.RefusedAt.Equal(f.LastAt)
	return isPresent && f.Kind != "" && f.LastAt.After(in.ConnectedAt)
}

// ruleEngineErrors handles errors that name no cause.
func ruleEngineErrors(in *input) finding {
	f := in.currentFailure()
	if f.isUnreachable() {
		return finding{}
	}
	return f.finding(in.now)
}

const (
	rateLimitGap = 5 * time.Second // between two polls; from here on the rate limit delays the QR, not the schedule
	healthyTime  = 5 * time.Second // from the connect to the code of a healthy engine
)

// ruleRateLimited compares the whole gap between two polls, so that the finding stays while the remaining wait gets
// shorter. It does not apply to an engine that had no code at healthyTime: qrgate's own polls used the rate limit.
func ruleRateLimited(in *input) finding {
	if in.State != Connecting || in.RateLimitWait <= 0 || in.LastPolledAt.Sub(in.noQRSince()) >= healthyTime {
		return finding{}
	}
	lastPolledAt := in.LastPolledAt
	if lastPolledAt.IsZero() {
		lastPolledAt = in.now
	}
	if !in.passed(lastPolledAt.Add(rateLimitGap - in.RateLimitWait)) {
		return finding{}
	}
	return fact(diagnosis.RateLimited, fmt.Sprintf("the rate limit allows the next poll in %s",
		in.RateLimitWait.Round(time.Second)))
}

func ruleCodesExpired(in *input) finding {
	if in.Sequence == 0 || in.QR.Present() || in.LostByEngine || in.State == AwaitingScan || in.wasPaired() {
		return finding{}
	}
	since := in.Since
	if ends := in.History.CodeEndsAt; ends.After(since) {
		since = ends // a code that disappears before its end was scanned
	}
	return symptom(diagnosis.QRExpired, since, "%d codes were shown since the connect", in.Sequence)
}

// slowLatency is far above the latency of a healthy engine, 150 ms (contract 7).
const slowLatency = 2500 * time.Millisecond

func ruleSlowEngine(in *input) finding {
	if in.MinLatency < slowLatency || in.State != Connecting {
		return finding{}
	}
	return symptom(diagnosis.EngineOverloaded, in.Since, "the fastest of the engine's last responses took %s",
		in.MinLatency.Round(100*time.Millisecond))
}

// ruleNoQR: other sessions show whether only this session is affected.
func ruleNoQR(in *input) finding {
	if in.State != Connecting && in.State != Failed || in.ConnectedAt.IsZero() || in.Sequence > 0 || in.QueuePosition > 0 {
		return finding{}
	}
	since, staleAt := in.noQRSince(), in.History.StaleQRAt
	found := symptom(diagnosis.QRNotEmitted, since, "no QR for %s since the connect was accepted, in %d polls",
		in.now.Sub(since).Round(time.Second), in.Polls)
	if in.established(found) && staleAt.After(since) && !in.passed(staleAt.Add(pollErrorTTL)) {
		found.code, found.confirmed = diagnosis.QRInvalid, true
		return found.with("the engine returns a code that has expired by the engine's own clock")
	}
	switch {
	case in.Reason != "":
		found = found.with("the engine returned an unknown reason%s; see its log", leadingStatus(in.Reason))
	case in.LostByEngine:
		found = found.with("the engine ended the session without a reason")
	}
	stuck := finding{code: diagnosis.SessionStuck, since: since}
	switch {
	case in.FailingSessions > 1:
		found = found.with("%d sessions wait in the same way", in.FailingSessions)
	case in.PeerSuccesses > 0 && in.established(stuck):
		found.code = diagnosis.SessionStuck
		found = found.with("%d other sessions got their QR meanwhile", in.PeerSuccesses)
	}
	return found
}

// leadingNumber is the status number with which reasons of Baileys and WhatsApp begin.
var leadingNumber = regexp.MustCompile(`^[1-5][0-9]{2}\b`)

// leadingStatus returns the status number of a reason for the evidence, without the rest, which may contain names.
func leadingStatus(reason string) string {
	if number := leadingNumber.FindString(reason); number != "" {
		return " (" + number + ")"
	}
	return ""
}

// wasPaired reports whether a phone has scanned a code since the last connect.
func (s *Session) wasPaired() bool { return s.PairedAt.After(s.ConnectedAt) }

// ruleNotConnected: a client may still connect the session.
func ruleNotConnected(in *input) finding {
	if in.State == Connecting && in.wasPaired() {
		return symptom(diagnosis.Undetermined, in.Since,
			"a phone was paired after the last connect, and the engine does not report it any more; connect the session")
	}
	if in.State != Connecting || !in.ConnectedAt.IsZero() || in.Sequence > 0 {
		return finding{}
	}
	return symptom(diagnosis.Undetermined, in.Since,
		"the engine accepted no connect of this session through qrgate, and %d polls found no QR; connect it", in.Polls)
}
