package session

import (
	"time"

	"qrgate/internal/diagnosis"
)

// Environment is what qrgate knows beyond one session: other sessions, the engine's rate limit and latency, and
// qrgate's own connectivity check. The zero value means that nothing is known; Diagnose concludes nothing from it.
type Environment struct {
	FailingSessions int                // sessions that fail in the same way right now, this one included
	PeerSuccesses   int                // other sessions of the caller that got a QR during this acquisition
	RateLimitWait   time.Duration      // until the engine's rate limit allows another poll; 0 if it does now
	MinLatency      time.Duration      // the shortest of the engine's recent latencies; 0 if not measured
	Connectivity    ConnectivityResult // the last connectivity check; the zero value without one
	LastSuccess     time.Time          // when the engine last returned a QR for any session; zero if never
	LastResponse    time.Time          // when the engine last responded to a call for any session; zero if never
}

// engineHasOwnRoute reports whether the engine reaches WhatsApp although qrgate does not: it returned a QR while every
// connectivity check failed. This is permanent where qrgate has no outbound internet access.
func (c Environment) engineHasOwnRoute() bool {
	return !c.Connectivity.FailingSince.IsZero() && c.LastSuccess.After(c.Connectivity.FailingSince)
}

// SymptomDelay is how long an acquisition may take before a missing QR is a symptom.
const SymptomDelay = 8 * time.Second

// Diagnose returns the cause why session s has no QR at now, with its evidence. None means that nothing is wrong, or
// not yet; Undetermined means that something is wrong and the cause is not known.
//
// The rules run in a fixed order, causes before their consequences. The first finding that has lasted for its
// ConfirmDelay is the diagnosis.
func Diagnose(s Session, c Environment, now time.Time) diagnosis.Diagnosis {
	d, _ := DiagnoseUntil(s, c, now)
	return d
}

// DiagnoseUntil also returns the time until which the cause cannot change without a new event; zero means never.
func DiagnoseUntil(s Session, c Environment, now time.Time) (diagnosis.Diagnosis, time.Time) {
	in := &input{Session: s, Environment: c, now: now}
	if s.State != Connected && s.QRUsable(now) {
		in.passed(s.QR.UsableUntil())
		return diagnosis.Diagnosis{Code: diagnosis.None}, in.until
	}
	for _, rule := range rules {
		found := rule(in)
		if !in.established(found) {
			continue
		}
		d := diagnosis.New(found.code, found.evidence...)
		if !c.engineHasOwnRoute() {
			in.passed(c.Connectivity.At.Add(connectivityTTL))
			in.passed(c.Connectivity.At.Add(failureTTL))
			d = CrossCheck(d, c.Connectivity, now)
		}
		d.Since = found.since
		return d, in.until
	}
	return diagnosis.Diagnosis{Code: diagnosis.None}, in.until
}

// rules are in the order of causes: an unreachable engine explains an old disconnect reason, a disconnect reason
// explains failing connects, and every named cause explains a missing QR.
var rules = []func(*input) finding{
	ruleAlreadyPaired,     // no QR is needed
	ruleUnauthorized,      // a refused key hides everything else
	ruleEngineNamesCause,  // the engine's present error names its cause
	ruleCrashLoop,         // the engine restarts again and again
	ruleEngineUnreachable, // unreachable, hanging, or another server in its place
	ruleDisconnectReason,  // the session's last disconnect names the cause
	ruleLastNamedCause,    // the engine named a cause before qrgate's own reconnect
	ruleInconsistent,      // the engine knows the session at times
	ruleCodesInvalid,      // the engine's codes cannot be scanned
	ruleSessionLost,       // the engine lost the session, or never had it
	ruleConnectFailing,    // the engine refuses connects
	ruleEngineErrors,      // the engine responds with errors
	ruleRateLimited,       // the rate limit is used up
	ruleCodesExpired,      // all codes expired
	ruleSlowEngine,        // the engine responds slowly
	ruleNoQR,              // the engine responds and returns no QR
	ruleNotConnected,      // no connect came through qrgate
}

// input is the input of a rule.
type input struct {
	Session
	Environment
	now   time.Time
	until time.Time // the earliest future time that a rule compared with now
}

// passed reports whether t has come. Rules compare times with now only through it, because it records when their
// result may change.
func (in *input) passed(t time.Time) bool {
	if !in.now.Before(t) {
		return true
	}
	if in.until.IsZero() || t.Before(in.until) {
		in.until = t
	}
	return false
}

// finding is the result of a rule. The zero value means that the rule does not apply.
type finding struct {
	code      diagnosis.Code
	since     time.Time
	confirmed bool // observed twice, or a fact: it needs no ConfirmDelay
	evidence  []string
}

// established reports whether a finding is confirmed or has lasted for its ConfirmDelay.
func (in *input) established(f finding) bool {
	return f.code != "" && (f.confirmed || in.passed(f.since.Add(ConfirmDelay(f.code))))
}

// confirmDelays has no entry for causes that the engine named itself.
var confirmDelays = map[diagnosis.Code]time.Duration{
	diagnosis.EngineUnreachable: 2 * time.Second, // or twice in a row, as the next six
	diagnosis.EngineTimeout:     2 * time.Second,
	diagnosis.Engine5xx:         2 * time.Second,
	diagnosis.EngineBadResponse: 2 * time.Second,
	diagnosis.ConnectFailing:    2 * time.Second,
	diagnosis.SessionNotFound:   2 * time.Second,
	diagnosis.RateLimited:       2 * time.Second,
	diagnosis.QRExpired:         5 * time.Second, // a code also disappears after a scan, some time before the login
	diagnosis.QRNotEmitted:      SymptomDelay,
	diagnosis.EngineOverloaded:  SymptomDelay,
	diagnosis.Undetermined:      SymptomDelay,
	diagnosis.SessionStuck:      SymptomDelay + 4*time.Second, // until then other sessions may fail, too
}

// ConfirmDelay is how long a finding must last before it is the diagnosis. Shorter ones are transient, and naming them
// would make the diagnosis flicker. It is 0 for causes that the engine named itself.
func ConfirmDelay(c diagnosis.Code) time.Duration { return confirmDelays[c] }
