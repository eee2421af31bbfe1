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

const (
	maxFailing     = 2000
	failureTTL     = 15 * time.Minute
	labelsPerCause = 5
)

// failures holds the sessions that are waited for and have no QR. The zero value is ready.
type failures struct {
	byID  map[string]*list.Element
	order list.List // of *failure, the one with the latest event at the back
}

// failure is the state of one session, from its diagnoses and from the failed calls to the engine.
type failure struct {
	id, label string
	isProbe   bool

	code          diagnosis.Code // "" while there is none
	evidence      string
	since, last   time.Time
	call          Answer // the last failed call; Class is "" while the engine responds
	calls         int    // consecutive failed calls of the same kind
	firstCallAt   time.Time
	callErrorKind session.ErrorKind
}

func (f *failures) observe(e session.Event) {
	switch {
	case e.AcquisitionID == "" && e.Session == "":
	case isResolved(e):
		f.remove(idOf(e))
	case e.Kind == session.EventEngineCall:
		f.observeCall(e)
	case isFailure(e.Diagnosis) && (e.Kind != session.EventWait || e.Outcome == session.Failure):
		f.get(e).observeDiagnosis(e)
	}
}

// isResolved reports whether an event shows that its session does not fail.
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

// isFailure reports whether a diagnosis explains a missing QR.
func isFailure(c diagnosis.Code) bool {
	return c != "" && c != diagnosis.None && c != diagnosis.AlreadyPaired && c != diagnosis.ClientGone
}

func (f *failures) observeCall(e session.Event) {
	switch e.ErrorKind {
	case "", session.KindNotReady, session.KindAlreadyPaired, session.KindCanceled:
		if el := f.byID[idOf(e)]; el != nil {
			el.Value.(*failure).calls = 0
		}
		return
	}
	x, call := f.get(e), answerOf(e)
	if x.callErrorKind != e.ErrorKind || x.call.Code != call.Code || x.calls == 0 {
		x.firstCallAt, x.calls = e.At, 0
	}
	x.call, x.callErrorKind = call, e.ErrorKind
	x.calls++
}

// get finds or adds the session of an event. It evicts the one without an event for longest.
func (f *failures) get(e session.Event) *failure {
	if f.byID == nil {
		f.byID = map[string]*list.Element{}
	}
	id := idOf(e)
	if el := f.byID[id]; el != nil {
		f.order.MoveToBack(el)
		return el.Value.(*failure)
	}
	if len(f.byID) >= maxFailing {
		f.remove(f.order.Front().Value.(*failure).id)
	}
	x := &failure{id: id, label: labelOf(e), isProbe: e.Traffic == session.SyntheticTraffic}
	f.byID[id] = f.order.PushBack(x)
	return x
}

func (f *failures) remove(id string) {
	if el := f.byID[id]; el != nil {
		f.order.Remove(el)
		delete(f.byID, id)
	}
}

func (x *failure) observeDiagnosis(e session.Event) {
	if x.code != e.Diagnosis {
		x.code, x.since = e.Diagnosis, e.At
		if e.Duration > 0 && e.Kind != session.EventState {
			x.since = e.At.Add(-e.Duration)
		}
	}
	x.last = e.At
	switch e.Kind {
	case session.EventAcquisition:
		x.evidence = fmt.Sprintf("no QR in %s and %s", short(e.Duration), count(e.Attempt, "poll", "polls"))
	case session.EventWait:
		x.evidence = fmt.Sprintf("a request waited %s without a QR, the session is %s", short(e.Duration), e.To)
	default:
		x.evidence = fmt.Sprintf("the session went from %s to %s", e.From, e.To)
	}
}

// cause is the diagnosis, or what two failed calls suggest until there is one.
func (x *failure) cause() diagnosis.Code {
	if x.code != "" || x.calls < 2 {
		return x.code
	}
	return causeOfErrorKind[x.callErrorKind]
}

var causeOfErrorKind = map[session.ErrorKind]diagnosis.Code{
	session.KindUnreachable: diagnosis.EngineUnreachable, session.KindTimeout: diagnosis.EngineTimeout,
	session.KindServerError: diagnosis.Engine5xx, session.KindBadResponse: diagnosis.EngineBadResponse,
	session.KindRateLimited: diagnosis.RateLimited, session.KindKeyRefused: diagnosis.KeyRefused,
	session.KindSessionNotFound: diagnosis.SessionNotFound,
}

// describe returns the best evidence: the engine's response before qrgate's observation.
func (x *failure) describe() string {
	if x.calls == 0 {
		return x.evidence
	}
	return fmt.Sprintf("%s, %d× in %s", x.call.masked().String(), x.calls, short(x.call.At.Sub(x.firstCallAt)))
}

// span returns when the failure began and when it was last observed.
func (x *failure) span() (since, last time.Time) {
	since, last = x.since, x.last
	if x.calls > 0 && (since.IsZero() || x.firstCallAt.Before(since)) {
		since = x.firstCallAt
	}
	if x.call.At.After(last) {
		last = x.call.At
	}
	return since, last
}

// causes groups the current failures by cause, those with the most sessions first. It removes old failures.
func (f *failures) causes(now time.Time) []Cause {
	found := map[diagnosis.Code]*Cause{}
	for el := f.order.Back(); el != nil; {
		x, older := el.Value.(*failure), el.Prev()
		since, last := x.span()
		switch code := x.cause(); {
		case now.Sub(last) > failureTTL:
			f.remove(x.id)
		case code != "":
			if found[code] == nil {
				found[code] = &Cause{Code: code, Since: since, Last: last, Evidence: x.describe()}
			}
			found[code].add(x, since, last)
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

func (c *Cause) add(x *failure, since, last time.Time) {
	c.Sessions++
	if x.isProbe {
		c.Probes++
	} else if x.label != "" && len(c.Labels) < labelsPerCause {
		c.Labels = append(c.Labels, redact.Name(x.label))
	}
	if since.Before(c.Since) {
		c.Since = since
	}
	if last.After(c.Last) {
		c.Last = last
	}
}

// idOf separates sessions. It contains the tenant and is never shown.
func idOf(e session.Event) string { return cmp.Or(e.AcquisitionID, e.Session) }
