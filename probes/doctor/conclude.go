package doctor

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// findings are what the checks found, as far as they went.
type findings struct {
	engine     bool // there is one to examine
	unnoted    bool // a session could not be noted, so none was made
	fault      *session.EngineError
	walked     bool // a session was made
	session    session.Session
	seen       time.Time // when the session was last looked at
	climate    session.Environment
	latencies  []time.Duration        // how long the engine's answers took
	pollErrors []*session.EngineError // looks that failed, whatever came in the end
	withCode   int                    // other sessions that have a code
	invalidQR  string                 // why the picture of the code is no QR
	look       session.ConnectivityResult
}

// conclude is the verdict on all that was found. An engine that made a QR is healthy, whatever the way from here
// to WhatsApp is like.
func conclude(f findings, now time.Time) verdict {
	f.climate.Connectivity = f.look
	looked := !f.look.At.IsZero()
	switch {
	case f.invalidQR != "":
		return verdict{Diagnosis: diagnosis.New(diagnosis.QRInvalid, f.invalidQR), whole: true}
	case f.session.QR.Present():
		return f.working()
	case f.walked:
		return f.silent(now)
	case f.fault != nil:
		return ofFault(f.fault, now)
	case !f.engine && looked && f.look.OK() && f.look.Step == session.ControlHandshake:
		return healthy("WhatsApp sent codes to an unlinked device from here")
	case looked && !f.look.OK():
		d := diagnosis.New(f.look.Code, f.look.Evidence...)
		if f.engine {
			d.Evidence = append(d.Evidence, "this is the way from here; the engine may have another, and no session was tried")
		}
		return verdict{Diagnosis: d, whole: !f.engine}
	}
	v := verdict{Diagnosis: diagnosis.New(diagnosis.Undetermined, "no session was tried"), title: nothingWrong, help: giveAKey}
	if f.unnoted {
		v.help = giveAPlace
	}
	return v
}

// working is the verdict on an engine that made a QR. That the look from here failed all the same is worth a
// word, because it stands among the checks.
func (f findings) working() verdict {
	v := healthy("the engine made a QR for a session of this examination")
	if n := len(f.pollErrors); n > 0 {
		v.help = stumbled
		v.Evidence = append(v.Evidence, fmt.Sprintf("%d of %d looks failed before: %s", n, f.session.Polls, faultLine(f.pollErrors[n-1])))
	}
	switch {
	case f.look.At.IsZero() || f.look.OK():
		return v
	case f.look.Code == diagnosis.ClientOutdated:
		v.help = otherLibrary
	default:
		v.help = otherWay
	}
	v.Evidence = append(v.Evidence, fmt.Sprintf("the look from here ended at %s: %s", f.look.Step, f.look.Code))
	return v
}

// silent is the verdict on an engine that made no QR.
func (f findings) silent(now time.Time) verdict {
	f.climate.MinLatency = slices.Min(f.latencies)
	d := session.Diagnose(f.session, f.climate, f.seen)
	switch {
	case d.Code == diagnosis.SessionNotFound:
		return f.deniedAfterCreate(d.Evidence...)
	case f.session.ConnectedAt.IsZero() && f.fault != nil && f.fault.Kind == session.KindSessionNotFound:
		return f.deniedAfterCreate(faultLine(f.fault))
	case d.Code == diagnosis.EngineRestarted:
		d.Who = diagnosis.Operator // no gate is at work here that would connect it again
		return verdict{Diagnosis: d, help: itDies, whole: true}
	case d.Code == diagnosis.QRNotEmitted && f.withCode > 0:
		d.Evidence = append(d.Evidence, fmt.Sprintf("%d other sessions have their codes", f.withCode))
		return verdict{Diagnosis: d, help: noneForNew, whole: true}
	case !d.Healthy() && d.Code != diagnosis.Undetermined:
		return verdict{Diagnosis: d, whole: true}
	case f.session.ConnectedAt.IsZero() && f.fault != nil:
		return ofFault(f.fault, now)
	case f.session.ConnectedAt.IsZero():
		return verdict{Diagnosis: diagnosis.New(diagnosis.Undetermined, "no connect was accepted"), help: readTheLog, whole: true}
	}
	return f.tooShort(now)
}

// deniedAfterCreate is the verdict on an engine that denies the session that it has just created. That is nobody's wrong id.
func (f findings) deniedAfterCreate(evidence ...string) verdict {
	return verdict{Diagnosis: diagnosis.New(diagnosis.EngineBadResponse, evidence...), title: disowned, help: oneEngine, whole: true}
}

// tooShort is the verdict when the patience ended before the silence is a symptom of the engine alone. The same
// silence beside a look that failed means what it means to a longer patience.
func (f findings) tooShort(now time.Time) verdict {
	waited := f.seen.Sub(f.session.ConnectedAt).Round(100 * time.Millisecond)
	d := diagnosis.New(diagnosis.QRNotEmitted, fmt.Sprintf("no QR for %s since the connect was accepted, in %d looks", waited, f.session.Polls))
	if shared := session.CrossCheck(d, f.look, now); shared.Code != d.Code {
		return verdict{Diagnosis: shared, whole: true}
	}
	whole, help := waited >= session.SymptomDelay, readTheLog
	if !whole {
		help = bePatient
	}
	return verdict{Diagnosis: diagnosis.New(diagnosis.Undetermined, d.Evidence...), help: help, whole: whole}
}

// stopped is the verdict on an examination that somebody interrupted: what it found stands in its checks.
func stopped(f findings, checks []Check) verdict {
	d := diagnosis.New(diagnosis.Undetermined, fmt.Sprintf("it was interrupted after %d checks", len(checks)))
	if f.fault != nil {
		d.Evidence = append(d.Evidence, faultLine(f.fault))
	}
	if f.session.QR.Present() {
		d.Evidence = append(d.Evidence, "the engine made a QR for a session of this examination")
	}
	return verdict{Diagnosis: d, title: interrupted, help: runItAgain}
}

func healthy(evidence ...string) verdict {
	d := diagnosis.Diagnosis{Code: diagnosis.None, Who: diagnosis.Nobody, Evidence: evidence}
	return verdict{Diagnosis: d, title: allWell, help: nothingToDo, whole: true}
}

// ofFault is what a fault outside of any session means: it was met once, and that is how it is now.
func ofFault(f *session.EngineError, now time.Time) verdict {
	t := session.FailureStreak{Kind: f.Kind, Op: f.Op, Status: f.Status, Code: f.Code, Text: f.Text, Since: now, LastAt: now, Times: 2}
	v := verdict{Diagnosis: session.Diagnose(session.Session{Failure: t}, session.Environment{}, now), whole: true}
	if v.Healthy() {
		v.Diagnosis, v.help = diagnosis.New(diagnosis.Undetermined), readTheLog
	}
	v.Evidence = []string{faultLine(f)}
	return v
}

func faultLine(f *session.EngineError) string { return f.Op + ": " + words(f) }

// others reads from a list how other sessions fare. Those that have a code make this one no session that is stuck: it
// is new, and to delete it and create it anew is what was just done.
func (f *findings) others(list []session.SessionReport) {
	f.climate.FailingSessions = 1
	for _, o := range list {
		switch o.State {
		case session.AwaitingScan:
			f.withCode++
		case session.Failed, session.Connecting:
			f.climate.FailingSessions++
		}
	}
}

// tally counts the other sessions by state, and by the cause that the engine names for them.
func tally(others []session.SessionReport) string {
	if len(others) == 0 {
		return "there are none"
	}
	counts := map[string]int{}
	for _, o := range others {
		name := string(o.State)
		if d := session.Diagnose(session.Session{State: o.State, Reason: o.Reason}, session.Environment{}, o.At); !d.Healthy() && d.Code != diagnosis.AlreadyPaired {
			name += " (" + string(d.Code) + ")"
		}
		counts[name]++
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[name], name))
	}
	return strings.Join(parts, ", ")
}
