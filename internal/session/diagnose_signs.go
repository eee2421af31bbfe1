package session

import (
	"fmt"
	"regexp"
	"time"

	"qrgate/internal/diagnosis"
)

// ruleAlreadyPaired: there is a phone, so there is no QR.
func ruleAlreadyPaired(at *input) finding {
	if at.State != Connected {
		return finding{}
	}
	return finding{code: diagnosis.AlreadyPaired, confirmed: true, evidence: []string{"the engine reports the session as connected"}}
}

// ruleUnauthorized: one refusal is enough, a key does not become right by waiting.
func ruleUnauthorized(at *input) finding {
	if at.Failure.Kind != KindKeyRefused {
		return finding{}
	}
	return finding{code: diagnosis.KeyRefused, confirmed: true, evidence: []string{at.Failure.String(at.now)}}
}

// ruleEngineUnreachable: whatever the engine said before, it says nothing now. Its looks may answer and its connects not.
func ruleEngineUnreachable(at *input) finding {
	heard := []FailureStreak{at.currentFailure(), at.Failure}
	if at.connectRejected() {
		heard = append(heard, at.History.ConnectFailure)
	}
	for _, t := range heard {
		code, ok := unreachableKinds[t.Kind]
		if found := t.findingFor(code, at.now); ok && at.established(found) {
			return found
		}
	}
	return finding{}
}

// unreachableKinds are the kinds of faults that are no word of the engine.
var unreachableKinds = map[ErrorKind]diagnosis.Code{KindUnreachable: diagnosis.EngineUnreachable, KindTimeout: diagnosis.EngineTimeout, KindBadResponse: diagnosis.EngineBadResponse}

// ruleSessionLost: the engine denies a session. That it had it shows in a connect that it accepted.
func ruleSessionLost(at *input) finding {
	p, t := at.History, at.currentFailure()
	unknown := p.ConnectFailure.findingFor(diagnosis.SessionNotFound, at.now)
	switch {
	case at.connectRejected() && p.ConnectFailure.Kind == KindSessionNotFound && at.established(unknown):
		return unknown
	case at.restarted():
		return finding{code: diagnosis.EngineRestarted, confirmed: true, evidence: []string{
			fmt.Sprintf("it accepted a connect and %s ago it knew nothing of it", at.now.Sub(p.RestartedAt).Round(time.Second))}}
	case t.Kind != KindSessionNotFound || t.Op == OpStatus:
		return finding{} // engines deny at /status what they serve elsewhere (contract C18)
	case at.LostByEngine:
		return finding{code: diagnosis.EngineRestarted, confirmed: true, evidence: []string{t.String(at.now)}}
	}
	return t.findingFor(diagnosis.SessionNotFound, at.now)
}

// restartTime is how long a restart of the engine explains that there is no QR.
const restartTime = 30 * time.Second

// restarted reports whether the engine lost this session lately, and has made no QR since.
func (at *input) restarted() bool {
	r := at.History.RestartedAt
	return !r.IsZero() && !at.passed(r.Add(restartTime)) && at.State == Connecting && at.Sequence == 0 && !at.Since.After(r)
}

// ruleConnectFailing: no connect of this wish was accepted. Looks in between are answered as ever, so the present
// trouble does not show it.
func ruleConnectFailing(at *input) finding {
	r := at.History.ConnectFailure
	switch {
	case !at.connectRejected():
		return finding{}
	case r.Kind == KindRateLimited:
		return r.findingFor(diagnosis.RateLimited, at.now)
	case r.Kind == KindServerError:
		return r.findingFor(diagnosis.ConnectFailing, at.now)
	}
	return finding{}
}

// connectRejected reports whether the last connect was refused, and none accepted since.
func (at *input) connectRejected() bool {
	r := at.History.ConnectFailure
	return at.Recovery.FailedConnects > 0 && r.Kind != "" && r.LastAt.After(at.ConnectedAt)
}

// ruleEngineErrors: errors that say nothing of their cause.
func ruleEngineErrors(at *input) finding {
	t := at.currentFailure()
	switch {
	case t.Kind == KindRateLimited:
		return t.findingFor(diagnosis.RateLimited, at.now)
	case t.Kind == KindServerError && t.Op == OpConnect:
		return t.findingFor(diagnosis.ConnectFailing, at.now)
	case t.Kind == KindServerError:
		return t.findingFor(diagnosis.Engine5xx, at.now)
	}
	return finding{}
}

// rateLimitGap is the time between two looks from which the budget, and not the schedule, is what delays a QR.
const rateLimitGap = 5 * time.Second

// readyTime is the age of a connect at which a healthy engine has its code.
const readyTime = 5 * time.Second

// ruleRateLimited: the whole gap between two looks counts, so that the sign stays while the wait gets shorter. An engine
// that was still silent when a healthy one has a code is not excused by the next look's being late: the gate's own
// looks at it are what spent the budget.
func ruleRateLimited(at *input) finding {
	if at.State != Connecting || at.RateLimitWait <= 0 || at.LastPolledAt.Sub(at.noQRSince()) >= readyTime {
		return finding{}
	}
	since := at.now
	if !at.LastPolledAt.IsZero() {
		since = at.LastPolledAt
	}
	if !at.passed(since.Add(rateLimitGap - at.RateLimitWait)) {
		return finding{}
	}
	return finding{code: diagnosis.RateLimited, confirmed: true, evidence: []string{
		fmt.Sprintf("the next look at the engine is allowed in %s", at.RateLimitWait.Round(time.Second))}}
}

// codesExpired: there were codes, and there are none.
func ruleCodesExpired(at *input) finding {
	if at.Sequence == 0 || at.QR.Present() || at.LostByEngine || at.State == AwaitingScan {
		return finding{}
	}
	return finding{code: diagnosis.QRExpired, since: at.Since, evidence: []string{fmt.Sprintf("%d codes were shown since the connect", at.Sequence)}}
}

// slowAnswer is the time of an answer that a healthy engine never needs: it takes 150 ms (contract 7).
const slowAnswer = 2500 * time.Millisecond

func ruleSlowEngine(at *input) finding {
	if at.MinLatency < slowAnswer || at.State != Connecting {
		return finding{}
	}
	return finding{code: diagnosis.EngineOverloaded, since: at.Since, evidence: []string{
		fmt.Sprintf("even the quickest of the engine's last answers took %s", at.MinLatency.Round(100*time.Millisecond))}}
}

// ruleNoQR: the engine answers, and that is all. Whether it is this session's matter is seen in others.
func ruleNoQR(at *input) finding {
	if at.State != Connecting && at.State != Failed || at.ConnectedAt.IsZero() || at.Sequence > 0 {
		return finding{}
	}
	found := finding{code: diagnosis.QRNotEmitted, since: at.noQRSince()}
	waited := at.now.Sub(found.since).Round(time.Second)
	found.evidence = append(found.evidence, fmt.Sprintf("no QR for %s since the connect was accepted, in %d looks", waited, at.Polls))
	if at.established(found) && at.History.StaleQRAt.After(at.ConnectedAt) && !at.passed(at.History.StaleQRAt.Add(pollErrorTTL)) {
		return finding{code: diagnosis.QRInvalid, confirmed: true, evidence: append(found.evidence, "the engine hands out a code that had expired, by the engine's own clock")}
	}
	switch {
	case at.Reason != "":
		found.evidence = append(found.evidence, "the engine gave a reason that has no name here"+leadingStatus(at.Reason)+"; its log has it")
	case at.LostByEngine:
		found.evidence = append(found.evidence, "the engine gave the session up and does not say why")
	}
	if at.FailingSessions > 1 {
		found.evidence = append(found.evidence, fmt.Sprintf("%d sessions wait alike", at.FailingSessions))
	}
	if stuck := (finding{code: diagnosis.SessionStuck, since: found.since}); at.FailingSessions <= 1 && at.PeerSuccesses > 0 && at.established(stuck) {
		found.code = diagnosis.SessionStuck
		found.evidence = append(found.evidence, fmt.Sprintf("%d other sessions got their QR meanwhile", at.PeerSuccesses))
	}
	return found
}

// leadingNumber is how Baileys and WhatsApp number the end of a connection.
var leadingNumber = regexp.MustCompile(`^[1-5][0-9]{2}\b`)

// leadingStatus is the number that an engine's reason begins with, for the evidence. The words stay out: they may name
// somebody.
func leadingStatus(reason string) string {
	if number := leadingNumber.FindString(reason); number != "" {
		return " (" + number + ")"
	}
	return ""
}

// ruleNotConnected: a QR is wanted of a session that nobody connected through this gate. It may be about to come.
func ruleNotConnected(at *input) finding {
	if at.State != Connecting || !at.ConnectedAt.IsZero() || at.Sequence > 0 {
		return finding{}
	}
	return finding{code: diagnosis.Undetermined, since: at.Since, evidence: []string{
		fmt.Sprintf("no connect of this session came through the gate, and %d looks found no QR; connect it", at.Polls)}}
}
