package doctor

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"qrgate"
)

// findings are what the checks found, as far as they went.
type findings struct {
	engine  bool // there is one to examine
	fault   *qrgate.Fault
	walked  bool // a session was made
	session qrgate.Session
	seen    time.Time // when the session was last looked at
	climate qrgate.Climate
	look    qrgate.ControlLook
}

// conclude is the diagnosis of all that was found, and whether all was looked at that decides. An engine
// that made a QR is healthy, whatever the way from here to WhatsApp is like.
func conclude(f findings, now time.Time) (d qrgate.Diagnosis, whole bool) {
	f.climate.Control = f.look
	looked := !f.look.At.IsZero()
	switch {
	case f.session.QR.Present():
		return healthy("the engine made a QR for a session of this examination"), true
	case f.walked && f.session.Trouble.Kind == "" && f.session.Connect.IsZero():
		return qrgate.About(qrgate.Undetermined, "the examination was cut short"), false
	case f.walked:
		d = qrgate.Diagnose(f.session, f.climate, f.seen)
		if d.Healthy() && f.fault != nil {
			d = ofFault(f.fault, now)
		}
	case f.fault != nil:
		d = ofFault(f.fault, now)
	case !f.engine && looked && f.look.Clean() && f.look.Step == qrgate.ControlHandshake:
		return healthy("WhatsApp sent codes to an unlinked device from here"), true
	case looked && !f.look.Clean():
		d = qrgate.About(f.look.Code, f.look.Evidence...)
		if f.engine {
			d.Evidence = append(d.Evidence, "this is the way from here; the engine may have another, and no session was tried")
		}
		return d, !f.engine
	default:
		return qrgate.About(qrgate.Undetermined, unfinished), false
	}
	if d.Healthy() {
		d = qrgate.About(qrgate.Undetermined, "no QR came in the time of this examination, and nothing else was found")
	}
	return d, true
}

// unfinished is what is said when nothing is wrong as far as anybody looked.
const unfinished = "nothing wrong was found, and no session was tried, which needs --api-key"

func healthy(evidence ...string) qrgate.Diagnosis {
	return qrgate.Diagnosis{Code: qrgate.None, Title: "Healthy", Help: "Nothing needs to be done.", Who: qrgate.Nobody, Evidence: evidence}
}

// ofFault is what a fault outside of any session means: it was met once, and that is how it is now.
func ofFault(f *qrgate.Fault, now time.Time) qrgate.Diagnosis {
	t := qrgate.Trouble{Kind: f.Kind, Op: f.Op, Status: f.Status, Code: f.Code, Text: f.Text, Since: now, Last: now, Times: 2}
	d := qrgate.Diagnose(qrgate.Session{Trouble: t}, qrgate.Climate{}, now)
	if d.Healthy() {
		d = qrgate.About(qrgate.Undetermined)
	}
	d.Evidence = []string{f.Op + ": " + words(f)}
	return d
}

// climateOf reads from a list how other sessions fare.
func climateOf(others []qrgate.Observation) qrgate.Climate {
	c := qrgate.Climate{Alike: 1}
	for _, o := range others {
		switch o.State {
		case qrgate.AwaitingScan:
			c.Fine++
		case qrgate.Failed, qrgate.Connecting:
			c.Alike++
		}
	}
	return c
}

// tally counts the other sessions by state, and by the cause that the engine names for them.
func tally(others []qrgate.Observation) string {
	if len(others) == 0 {
		return "there are none"
	}
	counts := map[string]int{}
	for _, o := range others {
		name := string(o.State)
		if d := qrgate.Diagnose(qrgate.Session{State: o.State, Reason: o.Reason}, qrgate.Climate{}, o.At); !d.Healthy() && d.Code != qrgate.AlreadyPaired {
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
