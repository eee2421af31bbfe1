package session

import (
	"fmt"
	"regexp"
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

// ruleUnauthorized needs one error only: a retry does not change a refused key.
func ruleUnauthorized(in *input) finding {
	if in.Failure.Kind != KindKeyRefused {
		return finding{}
	}
	return fact(diagnosis.KeyRefused, in.Failure.String(in.now))
}

// ruleEngineNamesCause reads the text of the engine's present error, and of the error of a rejected connect.
func ruleEngineNamesCause(in *input) finding {
	failures := []FailureStreak{in.currentFailure()}
	if in.connectRejected() {
		failures = append(failures, in.History.ConnectFailure)
	}
	for _, f := range failures {
		if f.Kind == KindBadResponse && f.Code == codeQRInvalid {
			return fact(diagnosis.QRInvalid, "the engine's QR is too large, not an image, or not a code")
		}
		if f.isUnreachable() {
			return finding{}
		}
		if p, ok := diagnosis.MatchCause(f.Text + " " + f.Code); ok {
			return namedCause(p, in)
		}
	}
	return finding{}
}

// codeQRInvalid is the error code of an engine adapter for a QR that is no image.
const codeQRInvalid = "QR_INVALID"

// namedCause is the finding of a pattern in the engine's text. WhatsApp is not silent if it ends the connection after
// it sent codes. The evidence has the words of the pattern and not the engine's text, which may contain secrets.
func namedCause(p diagnosis.Pattern, in *input) finding {
	code := p.Code
	if p.Words[0] == diagnosis.RestartRequired && !in.passed(in.Since.Add(SymptomDelay)) {
		return finding{}
	}
	if code == diagnosis.WhatsAppSilent && in.Sequence > 0 {
		code = diagnosis.WhatsAppUnavailable
	}
	return fact(code, "the engine names this cause itself: "+strings.Join(p.Words, ", "))
}

// ruleEngineUnreachable comes before older errors of the engine. Polls may succeed while connects fail.
func ruleEngineUnreachable(in *input) finding {
	failures := []FailureStreak{in.currentFailure(), in.Failure}
	if in.connectRejected() {
		failures = append(failures, in.History.ConnectFailure)
	}
	for _, f := range failures {
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
		return namedCause(p, in)
	}
	return finding{}
}

// ruleLastNamedCause keeps the cause that the engine named before qrgate's own reconnect, until that has a result.
// Without it the diagnosis would disappear at each reconnect and return seconds later.
func ruleLastNamedCause(in *input) finding {
	n := in.History.Named
	if n.Code == "" || in.State != Connecting || in.Sequence > 0 || !in.isRecoveryConnect() ||
		n.LastAt.Before(in.Since) || in.passed(n.LastAt.Add(restartTTL)) {
		return finding{}
	}
	return fact(n.Code, "the engine named this cause before qrgate's last reconnect, and has returned no QR since")
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
			"and did not know the session %s ago", in.now.Sub(h.RestartedAt).Round(time.Second)))
	case f.Kind != KindSessionNotFound || f.Op == OpStatus:
		return finding{} // engines return 404 at /status for sessions that exist (contract C18)
	case in.LostByEngine:
		return fact(diagnosis.EngineRestarted, f.String(in.now))
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
	if !in.connectRejected() || f.isUnreachable() {
		return finding{}
	}
	return f.finding(in.now)
}

// connectRejected reports whether the engine rejected the last connect.
func (in *input) connectRejected() bool {
	f := in.History.ConnectFailure
	return in.Recovery.FailedConnects > 0 && f.Kind != "" && f.LastAt.After(in.ConnectedAt)
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
	since := in.now
	if !in.LastPolledAt.IsZero() {
		since = in.LastPolledAt
	}
	if !in.passed(since.Add(rateLimitGap - in.RateLimitWait)) {
		return finding{}
	}
	return fact(diagnosis.RateLimited, fmt.Sprintf("the rate limit allows the next poll in %s",
		in.RateLimitWait.Round(time.Second)))
}

func ruleCodesExpired(in *input) finding {
	if in.Sequence == 0 || in.QR.Present() || in.LostByEngine || in.State == AwaitingScan {
		return finding{}
	}
	return finding{code: diagnosis.QRExpired, since: in.Since,
		evidence: []string{fmt.Sprintf("%d codes were shown since the connect", in.Sequence)}}
}

// slowLatency is far above the latency of a healthy engine, 150 ms (contract 7).
const slowLatency = 2500 * time.Millisecond

func ruleSlowEngine(in *input) finding {
	if in.MinLatency < slowLatency || in.State != Connecting {
		return finding{}
	}
	return finding{code: diagnosis.EngineOverloaded, since: in.Since, evidence: []string{
		fmt.Sprintf("the fastest of the engine's last responses took %s", in.MinLatency.Round(100*time.Millisecond))}}
}

// ruleNoQR: other sessions show whether only this session is affected.
func ruleNoQR(in *input) finding {
	if in.State != Connecting && in.State != Failed || in.ConnectedAt.IsZero() || in.Sequence > 0 {
		return finding{}
	}
	found := finding{code: diagnosis.QRNotEmitted, since: in.noQRSince()}
	found.evidence = append(found.evidence, fmt.Sprintf("no QR for %s since the connect was accepted, in %d polls",
		in.now.Sub(found.since).Round(time.Second), in.Polls))
	staleAt := in.History.StaleQRAt
	if in.established(found) && staleAt.After(in.ConnectedAt) && !in.passed(staleAt.Add(pollErrorTTL)) {
		return finding{code: diagnosis.QRInvalid, confirmed: true, evidence: append(found.evidence,
			"the engine returns a code that has expired by the engine's own clock")}
	}
	switch {
	case in.Reason != "":
		found.evidence = append(found.evidence,
			"the engine returned an unknown reason"+leadingStatus(in.Reason)+"; see its log")
	case in.LostByEngine:
		found.evidence = append(found.evidence, "the engine ended the session without a reason")
	}
	if in.FailingSessions > 1 {
		found.evidence = append(found.evidence, fmt.Sprintf("%d sessions wait in the same way", in.FailingSessions))
	}
	stuck := finding{code: diagnosis.SessionStuck, since: found.since}
	if in.FailingSessions <= 1 && in.PeerSuccesses > 0 && in.established(stuck) {
		found.code = diagnosis.SessionStuck
		found.evidence = append(found.evidence, fmt.Sprintf("%d other sessions got their QR meanwhile", in.PeerSuccesses))
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

// ruleNotConnected: a client may still connect the session.
func ruleNotConnected(in *input) finding {
	if in.State != Connecting || !in.ConnectedAt.IsZero() || in.Sequence > 0 {
		return finding{}
	}
	return finding{code: diagnosis.Undetermined, since: in.Since, evidence: []string{
		fmt.Sprintf("no connect of this session came through qrgate, and %d polls found no QR; connect it", in.Polls)}}
}
