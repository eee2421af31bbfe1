package qrgate

import (
	"fmt"
	"regexp"
	"time"
)

// linked: there is a phone, so there is no QR.
func linked(at *scene) sign {
	if at.State != Connected {
		return sign{}
	}
	return sign{code: AlreadyPaired, sure: true, evidence: []string{"the engine reports the session as connected"}}
}

// keyRefused: one refusal is enough, a key does not become right by waiting.
func keyRefused(at *scene) sign {
	if at.Trouble.Kind != KeyRefused {
		return sign{}
	}
	return sign{code: KeyRejected, sure: true, evidence: []string{at.Trouble.line(at.now)}}
}

// noEngine: whatever the engine said before, it says nothing now. Its looks may answer and its connects not.
func noEngine(at *scene) sign {
	heard := []Trouble{at.trouble(), at.Trouble}
	if at.refusing() {
		heard = append(heard, at.Past.Refusal)
	}
	for _, t := range heard {
		code, ok := absences[t.Kind]
		if found := t.sign(code, at.now); ok && found.visible(at.now) {
			return found
		}
	}
	return sign{}
}

// absences are the kinds of faults that are no word of the engine.
var absences = map[Kind]Code{Unreachable: EngineUnreachable, TimedOut: EngineTimeout, BadAnswer: EngineBadAnswer}

// forgotten: the engine denies a session. That it had it shows in a connect that it accepted.
func forgotten(at *scene) sign {
	p, t := at.Past, at.trouble()
	unknown := p.Refusal.sign(SessionNotFound, at.now)
	switch {
	case at.refusing() && p.Refusal.Kind == UnknownSession && unknown.visible(at.now):
		return unknown
	case at.restarted():
		return sign{code: EngineRestarted, sure: true, evidence: []string{
			fmt.Sprintf("it accepted a connect and %s ago it knew nothing of it", at.now.Sub(p.Restarted).Round(time.Second))}}
	case t.Kind != UnknownSession || t.Op == OpStatus:
		return sign{} // engines deny at /status what they serve elsewhere (contract C18)
	case at.Lost:
		return sign{code: EngineRestarted, sure: true, evidence: []string{t.line(at.now)}}
	}
	return t.sign(SessionNotFound, at.now)
}

// restartTime is how long a restart of the engine explains that there is no QR.
const restartTime = 30 * time.Second

// restarted reports whether the engine lost this session lately, and has made no QR since.
func (at *scene) restarted() bool {
	r := at.Past.Restarted
	return !r.IsZero() && at.now.Sub(r) < restartTime && at.State == Connecting && at.Sequence == 0 && !at.Since.After(r)
}

// connectFails: no connect of this wish was accepted. Looks in between are answered as ever, so the present
// trouble does not show it.
func connectFails(at *scene) sign {
	r := at.Past.Refusal
	switch {
	case !at.refusing():
		return sign{}
	case r.Kind == RateLimited:
		return r.sign(Throttled, at.now)
	case r.Kind == EngineError:
		return r.sign(ConnectFailing, at.now)
	}
	return sign{}
}

// refusing reports whether the last connect was refused, and none accepted since.
func (at *scene) refusing() bool {
	r := at.Past.Refusal
	return at.Pushed.Failed > 0 && r.Kind != "" && r.Last.After(at.Connect)
}

// engineFails: errors that say nothing of their cause.
func engineFails(at *scene) sign {
	t := at.trouble()
	switch {
	case t.Kind == RateLimited:
		return t.sign(Throttled, at.now)
	case t.Kind == EngineError && t.Op == OpConnect:
		return t.sign(ConnectFailing, at.now)
	case t.Kind == EngineError:
		return t.sign(EngineFailing, at.now)
	}
	return sign{}
}

// longGap is the time between two looks from which the budget, and not the schedule, is what delays a QR.
const longGap = 5 * time.Second

// readyTime is the age of a connect at which a healthy engine has its code.
const readyTime = 5 * time.Second

// rationed: the whole gap between two looks counts, so that the sign stays while the wait gets shorter. An engine
// that was still silent when a healthy one has a code is not excused by the next look's being late: the gate's own
// looks at it are what spent the budget.
func rationed(at *scene) sign {
	if at.State != Connecting || at.Waiting <= 0 || at.Looked.Sub(at.silence()) >= readyTime {
		return sign{}
	}
	gap := at.Waiting
	if !at.Looked.IsZero() {
		gap += at.now.Sub(at.Looked)
	}
	if gap <= longGap {
		return sign{}
	}
	return sign{code: Throttled, sure: true, evidence: []string{
		fmt.Sprintf("the next look at the engine is allowed in %s", at.Waiting.Round(time.Second))}}
}

// ranOut: there were codes, and there are none.
func ranOut(at *scene) sign {
	if at.Sequence == 0 || at.QR.Present() || at.Lost || at.State == AwaitingScan {
		return sign{}
	}
	return sign{code: QRExpired, since: at.Since, evidence: []string{fmt.Sprintf("%d codes were shown since the connect", at.Sequence)}}
}

// slowAnswer is the time of an answer that a healthy engine never needs: it takes 150 ms (contract 7).
const slowAnswer = 2500 * time.Millisecond

func overloaded(at *scene) sign {
	if at.Slow < slowAnswer || at.State != Connecting {
		return sign{}
	}
	return sign{code: EngineOverloaded, since: at.Since, evidence: []string{
		fmt.Sprintf("even the quickest of the engine's last answers took %s", at.Slow.Round(100*time.Millisecond))}}
}

// silent: the engine answers, and that is all. Whether it is this session's matter is seen in others.
func silent(at *scene) sign {
	if at.State != Connecting && at.State != Failed || at.Connect.IsZero() || at.Sequence > 0 {
		return sign{}
	}
	found := sign{code: QRNotEmitted, since: at.silence()}
	waited := at.now.Sub(found.since).Round(time.Second)
	found.evidence = append(found.evidence, fmt.Sprintf("no QR for %s since the connect was accepted, in %d looks", waited, at.Looks))
	if found.visible(at.now) && at.Past.Stale.After(at.Connect) && at.now.Sub(at.Past.Stale) < lookLife {
		return sign{code: QRInvalid, sure: true, evidence: append(found.evidence, "the engine hands out a code that had expired, by the engine's own clock")}
	}
	switch {
	case at.Reason != "":
		found.evidence = append(found.evidence, "the engine gave a reason that has no name here"+numberIn(at.Reason)+"; its log has it")
	case at.Lost:
		found.evidence = append(found.evidence, "the engine gave the session up and does not say why")
	}
	if at.Alike > 1 {
		found.evidence = append(found.evidence, fmt.Sprintf("%d sessions wait alike", at.Alike))
	}
	if stuck := (sign{code: SessionStuck, since: found.since}); at.Alike <= 1 && at.Fine > 0 && stuck.visible(at.now) {
		found.code = SessionStuck
		found.evidence = append(found.evidence, fmt.Sprintf("%d other sessions got their QR meanwhile", at.Fine))
	}
	return found
}

// leadingNumber is how Baileys and WhatsApp number the end of a connection.
var leadingNumber = regexp.MustCompile(`^[1-5][0-9]{2}\b`)

// numberIn is the number that an engine's reason begins with, for the evidence. The words stay out: they may name
// somebody.
func numberIn(reason string) string {
	if number := leadingNumber.FindString(reason); number != "" {
		return " (" + number + ")"
	}
	return ""
}

// neverBegun: a QR is wanted of a session that nobody connected through this gate. It may be about to come.
func neverBegun(at *scene) sign {
	if at.State != Connecting || !at.Connect.IsZero() || at.Sequence > 0 {
		return sign{}
	}
	return sign{code: Undetermined, since: at.Since, evidence: []string{
		fmt.Sprintf("no connect of this session came through the gate, and %d looks found no QR; connect it", at.Looks)}}
}
