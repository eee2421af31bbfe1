package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// findings are the results of the checks.
type findings struct {
	hasEngine    bool
	isUnrecorded bool                 // the session could not be recorded, so it was not created
	failure      *session.EngineError // of the first check that failed
	isCreated    bool                 // the test session
	session      session.Session
	seenAt       time.Time // when the session was polled last
	environment  session.Environment
	latencies    []time.Duration
	pollErrors   []*session.EngineError
	withCode     int    // other sessions that have a QR
	invalidQR    string // why the QR is not readable
	whatsapp     session.ConnectivityResult
}

// addOthers counts the states of other sessions. Those with a code show that the engine can emit one.
func (f *findings) addOthers(list []session.SessionReport) {
	f.environment.FailingSessions = 1
	for _, o := range list {
		switch o.State {
		case session.AwaitingScan:
			f.withCode++
		case session.Failed, session.Connecting:
			f.environment.FailingSessions++
		}
	}
}

// conclusion is a diagnosis, with doctor's own texts where the catalog's do not fit.
type conclusion struct {
	diagnosis.Diagnosis
	title, help string // "": the catalog's
	isComplete  bool   // every check that decides was made
}

func (v conclusion) localize(language string) diagnosis.Diagnosis {
	d, title, help := v.Diagnosis.Localize(language), v.title, v.help
	if language == "es" {
		title, help = spanish[title], spanish[help]
	}
	d.Title, d.Help = cmp.Or(title, d.Title), cmp.Or(help, d.Help)
	return d
}

// conclude derives the conclusion. An engine that emitted a QR is healthy, whatever the connectivity check from here
// found.
func conclude(f findings, now time.Time) conclusion {
	f.environment.Connectivity = f.whatsapp
	isChecked := !f.whatsapp.At.IsZero()
	switch {
	case f.invalidQR != "":
		return conclusion{Diagnosis: diagnosis.New(diagnosis.QRInvalid, f.invalidQR), isComplete: true}
	case f.session.QR.Present():
		return f.withQR()
	case f.isCreated:
		return f.withoutQR(now)
	case f.failure != nil:
		return concludeFailure(f.failure, now)
	case !f.hasEngine && isChecked && f.whatsapp.OK() && f.whatsapp.Step == session.StepHandshake:
		return healthy("WhatsApp sent codes to an unpaired device on this host")
	case isChecked && !f.whatsapp.OK():
		d := diagnosis.New(f.whatsapp.Code, f.whatsapp.Evidence...)
		if f.hasEngine {
			d.Evidence = append(d.Evidence,
				"this is the connection from this host; the engine may use another, and no session was created")
		}
		return conclusion{Diagnosis: d, isComplete: !f.hasEngine}
	}
	d := diagnosis.New(diagnosis.Undetermined, "no session was created")
	if f.isUnrecorded {
		return conclusion{Diagnosis: d, title: titleIncomplete, help: helpDataDir}
	}
	return conclusion{Diagnosis: d, title: titleIncomplete, help: helpKey}
}

// withQR is the conclusion on an engine that emitted a QR. Failed polls and a failed connectivity check are mentioned.
func (f findings) withQR() conclusion {
	v := healthy("the engine emitted a QR for the test session")
	if n := len(f.pollErrors); n > 0 {
		v.help = helpPollErrors
		last := describe(f.pollErrors[n-1])
		v.Evidence = append(v.Evidence, fmt.Sprintf("%d of %d polls failed before: %s", n, f.session.Polls, last))
	}
	switch {
	case f.whatsapp.At.IsZero() || f.whatsapp.OK():
		return v
	case f.whatsapp.Code == diagnosis.ClientOutdated:
		v.help = helpOwnLibrary
	default:
		v.help = helpOwnConnection
	}
	text := fmt.Sprintf("the check from this host failed at %s: %s", f.whatsapp.Step, f.whatsapp.Code)
	v.Evidence = append(v.Evidence, text)
	return v
}

// withoutQR is the conclusion on an engine that emitted no QR.
func (f findings) withoutQR(now time.Time) conclusion {
	f.environment.MinLatency = slices.Min(f.latencies)
	d := session.Diagnose(f.session, f.environment, f.seenAt)
	notConnected := f.session.ConnectedAt.IsZero()
	switch {
	case d.Code == diagnosis.SessionNotFound:
		return deniedAfterCreate(d.Evidence...)
	case notConnected && f.failure != nil && f.failure.Kind == session.KindSessionNotFound:
		return deniedAfterCreate(describe(f.failure))
	case d.Code == diagnosis.EngineRestarted:
		d.Who = diagnosis.Operator // there is no gateway that would connect the session again
		return conclusion{Diagnosis: d, help: helpRestarts, isComplete: true}
	case d.Code == diagnosis.QRNotEmitted && f.withCode > 0:
		d.Evidence = append(d.Evidence, fmt.Sprintf("%d other sessions have their codes", f.withCode))
		return conclusion{Diagnosis: d, help: helpNewSessions, isComplete: true}
	case !d.Healthy() && d.Code != diagnosis.Undetermined:
		return conclusion{Diagnosis: d, isComplete: true}
	case notConnected && f.failure != nil:
		return concludeFailure(f.failure, now)
	case notConnected:
		d = diagnosis.New(diagnosis.Undetermined, "no connect was accepted")
		return conclusion{Diagnosis: d, help: helpReadLog, isComplete: true}
	}
	return f.afterTimeout(now)
}

// deniedAfterCreate is the conclusion on an engine that does not know the session that it has just created: no caller
// used a wrong id.
func deniedAfterCreate(evidence ...string) conclusion {
	d := diagnosis.New(diagnosis.EngineBadResponse, evidence...)
	return conclusion{Diagnosis: d, title: titleDenied, help: helpOneEngine, isComplete: true}
}

// afterTimeout is the conclusion when the timeout ended before the silence is a symptom of the engine alone. Together
// with a failed connectivity check it means what it means after a longer timeout.
func (f findings) afterTimeout(now time.Time) conclusion {
	waited := f.seenAt.Sub(f.session.ConnectedAt).Round(100 * time.Millisecond)
	d := diagnosis.New(diagnosis.QRNotEmitted, fmt.Sprintf(
		"no QR for %s since the connect was accepted, in %d polls", waited, f.session.Polls))
	if shared := session.CrossCheck(d, f.whatsapp, now); shared.Code != d.Code {
		return conclusion{Diagnosis: shared, isComplete: true}
	}
	v := conclusion{Diagnosis: diagnosis.New(diagnosis.Undetermined, d.Evidence...), help: helpReadLog, isComplete: true}
	if waited < session.SymptomDelay {
		v.help, v.isComplete = helpTimeout, false
	}
	return v
}

// interrupted is the conclusion on a run whose context ended.
func interrupted(f findings, checks []Check) conclusion {
	d := diagnosis.New(diagnosis.Undetermined, fmt.Sprintf("interrupted after %d checks", len(checks)))
	if f.failure != nil {
		d.Evidence = append(d.Evidence, describe(f.failure))
	}
	if f.session.QR.Present() {
		d.Evidence = append(d.Evidence, "the engine emitted a QR for the test session")
	}
	return conclusion{Diagnosis: d, title: titleInterrupted, help: helpRunAgain}
}

func healthy(evidence ...string) conclusion {
	d := diagnosis.Diagnosis{Code: diagnosis.None, Who: diagnosis.Nobody, Evidence: evidence}
	return conclusion{Diagnosis: d, title: titleHealthy, help: helpNothing, isComplete: true}
}

// concludeFailure is what a failed call outside of a session means. It counts as confirmed, because this is the present
// state.
func concludeFailure(e *session.EngineError, now time.Time) conclusion {
	streak := session.FailureStreak{
		Kind: e.Kind, Op: e.Op, Status: e.Status, Code: e.Code, Text: e.Text, Since: now, LastAt: now, Times: 2,
	}
	d := session.Diagnose(session.Session{Failure: streak}, session.Environment{}, now)
	v := conclusion{Diagnosis: d, isComplete: true}
	if d.Healthy() {
		v.Diagnosis, v.help = diagnosis.New(diagnosis.Undetermined), helpReadLog
	}
	v.Evidence = []string{describe(e)}
	return v
}
