package session

import (
	"time"

	"qrgate/internal/diagnosis"
)

// Environment is what the gate sees beyond one session: how others fare, and what it found when it looked at
// WhatsApp itself. The zero value knows nothing, and nothing is concluded from it.
type Environment struct {
	FailingSessions int                // sessions that fail in the same way right now, this one included
	PeerSuccesses   int                // other sessions of the caller that got a QR since this one has been waited for
	RateLimitWait   time.Duration      // until the engine's budget allows another look; 0 when it allows one now
	MinLatency      time.Duration      // the shortest of how long the engine's last answers took; 0 when not measured
	Connectivity    ConnectivityResult // the gate's own last look at WhatsApp; the zero value for none
	LastSuccess     time.Time          // when the engine last gave any session its QR; zero if it never did
}

// engineHasOwnRoute reports whether the engine has another way to WhatsApp than the gate: it gave somebody a QR while all that
// the gate tried itself failed. Gateways in networks without a way out are like that for ever.
func (c Environment) engineHasOwnRoute() bool {
	return !c.Connectivity.Failing.IsZero() && c.LastSuccess.After(c.Connectivity.Failing)
}

// SymptomDelay is how long an acquisition may take before its silence is a symptom.
const SymptomDelay = 8 * time.Second

// Diagnose names the cause why session s has no QR at now, with its evidence. None means that nothing is
// wrong, or nothing yet; Undetermined that something is and nobody can say what.
//
// The signs are looked for in a fixed order, causes before their consequences, and the first that has
// lasted long enough to be believed is the answer.
func Diagnose(s Session, c Environment, now time.Time) diagnosis.Diagnosis {
	d, _ := DiagnoseUntil(s, c, now)
	return d
}

// DiagnoseUntil is Diagnose, and says when time alone may change the cause that it names; the zero time means never.
func DiagnoseUntil(s Session, c Environment, now time.Time) (diagnosis.Diagnosis, time.Time) {
	at := &input{Session: s, Environment: c, now: now}
	if s.State != Connected && s.QRUsable(now) {
		at.passed(s.QR.UsableUntil())
		return diagnosis.Diagnosis{Code: diagnosis.None}, at.until
	}
	for _, rule := range rules {
		found := rule(at)
		if !at.established(found) {
			continue
		}
		d := diagnosis.New(found.code, found.evidence...)
		if !c.engineHasOwnRoute() {
			at.passed(c.Connectivity.At.Add(connectivityTTL))
			at.passed(c.Connectivity.At.Add(failureTTL))
			d = CrossCheck(d, c.Connectivity, now)
		}
		d.Since = found.since
		return d, at.until
	}
	return diagnosis.Diagnosis{Code: diagnosis.None}, at.until
}

// rules is what is looked for, causes before consequences: an engine that cannot be reached explains why
// its last words are old; a reason that it gave explains why its connects fail; and whatever has a name
// explains the silence.
var rules = []func(*input) finding{
	ruleAlreadyPaired,     // no QR is needed
	ruleUnauthorized,      // nothing can be known behind a refused key
	ruleEngineSaysCause,   // the engine's present error names its cause
	ruleEngineUnreachable, // unreachable, hanging, or something else in its place
	ruleDisconnectReason,  // its last word on the session names the cause
	ruleLastNamedCause,    // it did so before the gate connected again
	ruleSessionLost,       // it lost the session, or never had it
	ruleConnectFailing,    // it cannot begin
	ruleEngineErrors,      // it answers with errors
	ruleRateLimited,       // its budget is spent
	ruleCodesExpired,      // the codes were there, and nobody scanned
	ruleSlowEngine,        // it answers, and slowly
	ruleNoQR,              // it answers, and makes no QR
	ruleNotConnected,      // nobody asked it to, as far as the gate saw
}

// input is what the signs are looked for in.
type input struct {
	Session
	Environment
	now   time.Time
	until time.Time // the earliest time in the future that a rule asked about
}

// passed reports whether t has come. Every comparison of a rule with the present goes through it, so that it is known
// when the rules may find something else.
func (at *input) passed(t time.Time) bool {
	if !at.now.Before(t) {
		return true
	}
	if at.until.IsZero() || t.Before(at.until) {
		at.until = t
	}
	return false
}

// finding is something seen: what it means, since when it is so, and what shows it. The zero value is nothing.
type finding struct {
	code      diagnosis.Code
	since     time.Time
	confirmed bool // it need not last: it was seen twice, or it is no matter of time
	evidence  []string
}

// established reports whether there is a sign that has lasted long enough.
func (at *input) established(f finding) bool {
	return f.code != "" && (f.confirmed || at.passed(f.since.Add(ConfirmDelay(f.code))))
}

// ConfirmDelay is how long the signs of a cause must last before it is named. What passes sooner is chance,
// or a step on the way to a QR, and naming it would make the diagnosis flicker. It is 0 for causes that are
// facts as soon as they are seen: the engine named them itself.
func ConfirmDelay(c diagnosis.Code) time.Duration {
	switch c {
	case diagnosis.EngineUnreachable, diagnosis.EngineTimeout, diagnosis.Engine5xx, diagnosis.EngineBadResponse, diagnosis.ConnectFailing, diagnosis.SessionNotFound, diagnosis.RateLimited:
		return 2 * time.Second // or seen twice in a row
	case diagnosis.QRExpired:
		return 5 * time.Second // a code vanishes as well when it was scanned: the link needs a moment to show
	case diagnosis.QRNotEmitted, diagnosis.EngineOverloaded, diagnosis.Undetermined:
		return SymptomDelay
	case diagnosis.SessionStuck:
		return SymptomDelay + 4*time.Second // until then others may turn out to fail alike
	}
	return 0
}
