package statuspage

import (
	"cmp"
	"container/list"
	"fmt"
	"slices"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/redact"
	"qrgate/internal/session"
)

// Bounds of what is remembered of sessions in trouble.
const (
	maxTroubles  = 2000
	troubleLife  = 15 * time.Minute // without news of it, a trouble is no longer current
	causesLabels = 5                // sessions shown with each cause
)

// failures are the sessions that have no QR though somebody wants one. The zero value is ready.
type failures struct {
	byFlight map[string]*list.Element
	order    list.List // of *trouble, the one with the latest news at the back
}

// trouble is one session's. Two things speak of it: what the heart named, and what the engine's calls bring.
type trouble struct {
	flight, label string
	probe         bool

	named           diagnosis.Code // "" for nothing yet
	evidence        string
	since, last     time.Time
	op              string
	fault           session.ErrorKind // of the last calls; "" when the engine answers as it should
	status, times   int
	engineCode, why string
	faulty, faulted time.Time // the first and the last of them
}

// observe learns from one event.
func (t *failures) observe(e session.Event) {
	switch {
	case e.AcquisitionID == "" && e.Session == "":
	case isResolved(e):
		t.drop(flightOf(e))
	case e.Kind == session.EventEngineCall:
		t.look(e)
	case !harmless(e.Diagnosis) && (e.Kind != session.EventWait || e.Outcome == session.Failure):
		t.take(e).name(e)
	}
}

// isResolved reports whether an event shows that its session is well.
func isResolved(e session.Event) bool {
	switch e.Kind {
	case session.EventQR:
		return true
	case session.EventAcquisition, session.EventWait:
		return e.Outcome == session.Success || e.Kind == session.EventAcquisition && e.Outcome == session.Abandoned
	case session.EventState:
		return e.To == session.AwaitingScan || e.To == session.Connected || e.To == session.Created
	case session.EventEngineCall:
		return e.Op == session.OpQR && e.ErrorKind == ""
	}
	return false
}

// harmless reports whether a diagnosis is nothing that keeps a QR from somebody who wants it.
func harmless(c diagnosis.Code) bool {
	switch c {
	case "", diagnosis.None, diagnosis.AlreadyPaired, diagnosis.ClientGone:
		return true
	}
	return false
}

// look counts calls that failed in a row. That a QR is not there yet is how a working engine answers.
func (t *failures) look(e session.Event) {
	switch e.ErrorKind {
	case "", session.KindNotReady, session.KindAlreadyPaired, session.KindCanceled:
		if el := t.byFlight[flightOf(e)]; el != nil {
			known := el.Value.(*trouble)
			known.fault, known.times = "", 0
		}
		return
	}
	k := t.take(e)
	if k.fault != e.ErrorKind || k.engineCode != clip(e.Code) {
		k.faulty, k.times = e.At, 0
	}
	k.op, k.fault, k.status, k.engineCode, k.why, k.faulted = e.Op, e.ErrorKind, e.Status, clip(e.Code), e.Reason, e.At
	k.times++
}

// take finds the session of an event, or begins with it; the one without news for longest goes when there
// are too many.
func (t *failures) take(e session.Event) *trouble {
	if t.byFlight == nil {
		t.byFlight = map[string]*list.Element{}
	}
	flight := flightOf(e)
	if el := t.byFlight[flight]; el != nil {
		t.order.MoveToBack(el)
		return el.Value.(*trouble)
	}
	if len(t.byFlight) >= maxTroubles {
		t.drop(t.order.Front().Value.(*trouble).flight)
	}
	k := &trouble{flight: flight, label: label(e), probe: e.Traffic == session.SyntheticTraffic}
	t.byFlight[flight] = t.order.PushBack(k)
	return k
}

func (t *failures) drop(flight string) {
	if el := t.byFlight[flight]; el != nil {
		t.order.Remove(el)
		delete(t.byFlight, flight)
	}
}

// name takes what the heart says.
func (k *trouble) name(e session.Event) {
	if k.named != e.Diagnosis {
		k.named, k.since = e.Diagnosis, e.At
		if e.Duration > 0 && e.Kind != session.EventState {
			k.since = e.At.Add(-e.Duration)
		}
	}
	k.last = e.At
	switch e.Kind {
	case session.EventAcquisition:
		k.evidence = fmt.Sprintf("no QR in %s and %d looks", short(e.Duration), e.Attempt)
	case session.EventWait:
		k.evidence = fmt.Sprintf("a client waited %s in vain, the session is %s", short(e.Duration), e.To)
	default:
		k.evidence = fmt.Sprintf("the session went from %s to %s", e.From, e.To)
	}
}

// cause is what a session's trouble is counted as; one failed call is chance, two in a row are not.
func (k *trouble) cause() diagnosis.Code {
	if k.named != "" {
		return k.named
	}
	if k.times < 2 {
		return ""
	}
	return faultCauses[k.fault]
}

// faultCauses is the cause that calls alone suggest, until the heart names one.
var faultCauses = map[session.ErrorKind]diagnosis.Code{
	session.KindUnreachable: diagnosis.EngineUnreachable, session.KindTimeout: diagnosis.EngineTimeout, session.KindServerError: diagnosis.Engine5xx,
	session.KindBadResponse: diagnosis.EngineBadResponse, session.KindRateLimited: diagnosis.RateLimited, session.KindKeyRefused: diagnosis.KeyRefused,
	session.KindSessionNotFound: diagnosis.SessionNotFound,
}

// line is the best evidence there is: the engine's own words before ours.
func (k *trouble) line() string {
	if k.fault == "" || k.times == 0 {
		return k.evidence
	}
	line := fmt.Sprintf("%s: %s", k.op, k.fault)
	if k.status != 0 {
		line += fmt.Sprintf(", HTTP %d", k.status)
	}
	if k.engineCode != "" {
		line += " " + redact.Name(k.engineCode)
	}
	if k.why != "" {
		line += " (" + k.why + ")"
	}
	return fmt.Sprintf("%s, %d× in %s", line, k.times, short(k.faulted.Sub(k.faulty)))
}

// span is when the trouble began, and when it was last heard of.
func (k *trouble) span() (since, last time.Time) {
	since, last = k.since, k.last
	if k.times > 0 && (since.IsZero() || k.faulty.Before(since)) {
		since = k.faulty
	}
	if k.faulted.After(last) {
		last = k.faulted
	}
	return since, last
}

// causes gathers the current troubles by cause, those with the most sessions first. What is no longer
// current is forgotten.
func (t *failures) causes(now time.Time) []Cause {
	found := map[diagnosis.Code]*Cause{}
	for el := t.order.Back(); el != nil; {
		k, older := el.Value.(*trouble), el.Prev()
		since, last := k.span()
		switch {
		case now.Sub(last) > troubleLife:
			t.drop(k.flight)
		case k.cause() != "":
			if found[k.cause()] == nil {
				found[k.cause()] = &Cause{Code: k.cause(), Since: since, Last: last, Evidence: k.line()}
			}
			found[k.cause()].add(k, since, last)
		}
		el = older
	}
	out := make([]Cause, 0, len(found))
	for _, c := range found {
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b Cause) int {
		return cmp.Or(cmp.Compare(b.Sessions, a.Sessions), a.Since.Compare(b.Since), cmp.Compare(a.Code, b.Code))
	})
	return out
}

func (c *Cause) add(k *trouble, since, last time.Time) {
	c.Sessions++
	if k.probe {
		c.Probes++
	} else if k.label != "" && len(c.Labels) < causesLabels {
		c.Labels = append(c.Labels, redact.Name(k.label))
	}
	if since.Before(c.Since) {
		c.Since = since
	}
	if last.After(c.Last) {
		c.Last = last
	}
}

// flightOf tells sessions apart; it holds the tenant and is never shown.
func flightOf(e session.Event) string { return cmp.Or(e.AcquisitionID, e.Session) }
