package qrgate

import "time"

// Climate is what the gate sees beyond one session: how others fare, and what it found when it looked at
// WhatsApp itself. The zero value knows nothing, and nothing is concluded from it.
type Climate struct {
	Alike   int           // sessions that fail in the same way right now, this one included
	Fine    int           // other sessions of the caller that got a QR since this one has been waited for
	Waiting time.Duration // until the engine's budget allows another look; 0 when it allows one now
	Slow    time.Duration // the shortest of how long the engine's last answers took; 0 when not measured
	Control ControlLook   // the gate's own last look at WhatsApp; the zero value for none
	Came    time.Time     // when the engine last gave any session its QR; zero if it never did
}

// apart reports whether the engine has another way to WhatsApp than the gate: it gave somebody a QR while all that
// the gate tried itself failed. Gateways in networks without a way out are like that for ever.
func (c Climate) apart() bool {
	return !c.Control.Failing.IsZero() && c.Came.After(c.Control.Failing)
}

// PatienceTime is how long an acquisition may take before its silence is a symptom.
const PatienceTime = 8 * time.Second

// Diagnose names the cause why session s has no QR at now, with its evidence. None means that nothing is
// wrong, or nothing yet; Undetermined that something is and nobody can say what.
//
// The signs are looked for in a fixed order, causes before their consequences, and the first that has
// lasted long enough to be believed is the answer.
func Diagnose(s Session, c Climate, now time.Time) Diagnosis {
	if s.State != Connected && s.QR.Fresh(now) && !s.over() {
		return Diagnosis{Code: None}
	}
	at := &scene{s, c, now}
	for _, look := range order {
		found := look(at)
		switch {
		case !found.visible(now):
		case c.apart():
			return About(found.code, found.evidence...)
		default:
			return Weigh(About(found.code, found.evidence...), c.Control, now)
		}
	}
	return Diagnosis{Code: None}
}

// order is what is looked for, causes before consequences: an engine that cannot be reached explains why
// its last words are old; a reason that it gave explains why its connects fail; and whatever has a name
// explains the silence.
var order = []func(*scene) sign{
	linked,       // no QR is needed
	keyRefused,   // nothing can be known behind a refused key
	answered,     // the engine's present error names its cause
	noEngine,     // unreachable, hanging, or something else in its place
	reasoned,     // its last word on the session names the cause
	remembered,   // it did so before the gate connected again
	forgotten,    // it lost the session, or never had it
	connectFails, // it cannot begin
	engineFails,  // it answers with errors
	rationed,     // its budget is spent
	ranOut,       // the codes were there, and nobody scanned
	overloaded,   // it answers, and slowly
	silent,       // it answers, and makes no QR
	neverBegun,   // nobody asked it to, as far as the gate saw
}

// scene is what the signs are looked for in.
type scene struct {
	Session
	Climate
	now time.Time
}

// sign is something seen: what it means, since when it is so, and what shows it. The zero value is nothing.
type sign struct {
	code     Code
	since    time.Time
	sure     bool // it need not last: it was seen twice, or it is no matter of time
	evidence []string
}

// visible reports whether there is a sign that has lasted long enough.
func (f sign) visible(now time.Time) bool {
	return f.code != "" && (f.sure || now.Sub(f.since) >= TimeToVisible(f.code))
}

// TimeToVisible is how long the signs of a cause must last before it is named. What passes sooner is chance,
// or a step on the way to a QR, and naming it would make the diagnosis flicker. It is 0 for causes that are
// facts as soon as they are seen: the engine named them itself.
func TimeToVisible(c Code) time.Duration {
	switch c {
	case EngineUnreachable, EngineTimeout, EngineFailing, EngineBadAnswer, ConnectFailing, SessionNotFound, Throttled:
		return 2 * time.Second // or seen twice in a row
	case QRExpired:
		return 5 * time.Second // a code vanishes as well when it was scanned: the link needs a moment to show
	case QRNotEmitted, EngineOverloaded, Undetermined:
		return PatienceTime
	case SessionStuck:
		return PatienceTime + 4*time.Second // until then others may turn out to fail alike
	}
	return 0
}
