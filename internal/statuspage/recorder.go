package statuspage

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/redact"
	"qrgate/internal/session"
)

// What a Recorder keeps. Busy clients must not displace the changes of the engine and the store.
const (
	maxAcquisitions  = 50
	maxChanges       = 30
	maxSystemChanges = 20
	maxResponses     = 60
	maxFailures      = 2000
	failureTTL       = 15 * time.Minute
	labelsPerCause   = 5
)

// Recorder remembers recent events. The zero value is ready. It is safe for concurrent use and its memory is bounded.
type Recorder struct {
	mu            sync.Mutex
	recent        Snapshot // its lists, and the state of the engine and of the store
	systemChanges []Change
	responses     []Response
	failures      map[string]*failure
}

// failure is a session that is waited for and has no QR.
type failure struct {
	label       string
	code        diagnosis.Code
	since, last time.Time
	call        string // the engine's last failure; "" while it responds
	summary     string // what qrgate observed
}

// Observe records an event. It is a [session.EventHandler].
func (r *Recorder) Observe(e session.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.Traffic == session.SyntheticTraffic && e.Kind != session.EventEngineCall {
		return // the results of the probes report it
	}
	switch e.Kind {
	case session.EventEngineCall:
		r.responses = push(r.responses, responseOf(e), maxResponses)
		cause := diagnosis.EngineUnreachable
		if e.ErrorKind == session.KindTimeout {
			cause = diagnosis.EngineTimeout
		}
		if up, known := e.EngineUp(); known {
			r.setEngineUp(e.At, up, cause)
		}
	case session.EventAcquisition:
		r.recent.Acquisitions = push(r.recent.Acquisitions, Acquisition{
			At: e.At, Seconds: e.Duration.Seconds(), Outcome: e.Outcome, Code: e.Diagnosis, Polls: e.Attempt,
			Label: redact.Name(e.Session),
		}, maxAcquisitions)
	case session.EventState:
		r.recent.Changes = push(r.recent.Changes, Change{
			At: e.At, About: "session", Label: redact.Name(e.Session), From: string(e.From), To: string(e.To), Code: e.Diagnosis,
		}, maxChanges)
	case session.EventStore:
		r.recent.Store.Since = e.At
		r.addSystemChange(e.At, "store", map[bool]string{true: "redis available", false: "redis unavailable"}[e.Available])
	case session.EventDecryptFailed:
		r.addSystemChange(e.At, "seal", "cannot decrypt stored value")
	}
	r.observeFailure(e)
}

// Health records the result of a health check of the engine, [diagnosis.None] or the reason why it failed.
func (r *Recorder) Health(at time.Time, cause diagnosis.Code) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if up, known := session.EngineUp(cause); known {
		r.setEngineUp(at, up, cause)
	}
}

// EngineState is the state of the engine.
func (r *Recorder) EngineState() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return cmp.Or(r.recent.Engine.State, EngineUnknown)
}

func (r *Recorder) setEngineUp(at time.Time, up bool, cause diagnosis.Code) {
	engine, state := &r.recent.Engine, EngineUp
	if !up {
		state, engine.Cause = EngineDown, cause
	}
	if state == engine.State {
		return
	}
	if engine.State != "" || !up {
		r.addSystemChange(at, "engine", state)
	}
	engine.State, engine.Since = state, at
}

func (r *Recorder) addSystemChange(at time.Time, about, to string) {
	r.systemChanges = push(r.systemChanges, Change{At: at, About: about, To: to}, maxSystemChanges)
}

// noFailures are the diagnoses that explain no missing QR.
var noFailures = []diagnosis.Code{"", diagnosis.None, diagnosis.AlreadyPaired, diagnosis.ClientGone}

// observeFailure keeps the sessions that fail by their latest diagnosis, until an event shows that they do not.
func (r *Recorder) observeFailure(e session.Event) {
	id := cmp.Or(e.AcquisitionID, e.Session) // contains the tenant, and is never shown
	f := r.failures[id]
	isFailure := !slices.Contains(noFailures, e.Diagnosis)
	switch {
	case id == "":
	case isResolved(e):
		delete(r.failures, id)
	case e.Kind == session.EventEngineCall:
		if f != nil {
			f.observeCall(e)
		}
	case isFailure && (e.Kind != session.EventWait || e.Outcome == session.Failure):
		if f == nil {
			f = r.addFailure(id, e)
		}
		f.observeDiagnosis(e)
	}
}

// isResolved reports whether an event shows that its session does not fail.
func isResolved(e session.Event) bool {
	switch e.Kind {
	case session.EventQR:
		return true
	case session.EventWait:
		return e.Outcome == session.Success
	case session.EventAcquisition:
		return e.Outcome != session.Failure
	case session.EventCause:
		return e.Diagnosis == diagnosis.None
	case session.EventState:
		return e.To == session.AwaitingScan || e.To == session.Connected || e.To == session.Created
	}
	return false
}

// addFailure adds a session, and evicts another one when there are too many.
func (r *Recorder) addFailure(id string, e session.Event) *failure {
	if r.failures == nil {
		r.failures = map[string]*failure{}
	}
	for other := range r.failures {
		if len(r.failures) < maxFailures {
			break
		}
		delete(r.failures, other)
	}
	r.failures[id] = &failure{label: redact.Name(e.Session)}
	return r.failures[id]
}

func (f *failure) observeCall(e session.Event) {
	switch e.ErrorKind {
	case "", session.KindNotReady, session.KindAlreadyPaired, session.KindCanceled:
		f.call = ""
	default:
		f.call, f.last = responseOf(e).Text, e.At
	}
}

func (f *failure) observeDiagnosis(e session.Event) {
	if f.code != e.Diagnosis {
		f.code, f.since = e.Diagnosis, e.At
		if e.Kind != session.EventState {
			f.since = e.At.Add(-e.Duration)
		}
	}
	f.last = e.At
	if e.ErrorKind != "" {
		f.observeCall(e)
	}
	f.summary = fmt.Sprintf("no QR in %s, the session is %s", short(e.Duration), e.To)
}

// Snapshot returns what is remembered: causes, acquisitions, changes, the engine's responses, and since when the store
// is in its state. The caller fills the rest.
func (r *Recorder) Snapshot(now time.Time) Snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.recent
	s.At, s.Causes = now, r.causes(now)
	s.Acquisitions = append([]Acquisition{}, s.Acquisitions...)
	s.Changes = append(append([]Change{}, s.Changes...), r.systemChanges...)
	slices.SortStableFunc(s.Changes, func(a, b Change) int { return b.At.Compare(a.At) })
	s.Engine.State = cmp.Or(s.Engine.State, EngineUnknown)
	s.Engine.Responses = map[string]int{}
	for _, response := range r.responses {
		s.Engine.Responses[response.Class]++
	}
	if len(r.responses) > 0 {
		s.Engine.Last = new(r.responses[0])
	}
	return s
}

// causes groups the failures by cause, those with the most sessions first. It removes old failures.
func (r *Recorder) causes(now time.Time) []Cause {
	found := map[diagnosis.Code]*Cause{}
	for id, f := range r.failures {
		c := found[f.code]
		switch {
		case now.Sub(f.last) > failureTTL:
			delete(r.failures, id)
			continue
		case c == nil:
			c = &Cause{Since: f.since}
			found[f.code] = c
		}
		c.add(f)
	}
	out := []Cause{}
	for _, c := range found {
		slices.Sort(c.Labels)
		c.Labels = c.Labels[:min(len(c.Labels), labelsPerCause)]
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b Cause) int {
		return cmp.Or(cmp.Compare(b.Sessions, a.Sessions), a.Since.Compare(b.Since), cmp.Compare(a.Code, b.Code))
	})
	return out
}

// add counts a failure. Its evidence is the latest one, and the engine's before qrgate's own.
func (c *Cause) add(f *failure) {
	c.Sessions++
	c.Labels = append(c.Labels, f.label)
	if f.since.Before(c.Since) {
		c.Since = f.since
	}
	if f.last.After(c.Last) {
		c.Last, c.Diagnosis = f.last, diagnosis.New(f.code, cmp.Or(f.call, f.summary))
	}
}

func responseOf(e session.Event) Response {
	class := cmp.Or(string(e.ErrorKind), "ok")
	text := (&session.EngineError{
		Op: e.Op, Kind: session.ErrorKind(class), Status: e.Status, Code: redact.Name(e.Code), Reason: e.Reason,
	}).String()
	return Response{At: e.At, Class: class, Text: text, Seconds: e.Duration.Seconds()}
}

// push adds a value at the front of a list of at most limit.
func push[T any](list []T, v T, limit int) []T {
	return slices.Insert(list[:min(len(list), limit-1)], 0, v)
}
