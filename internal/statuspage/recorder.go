package statuspage

import (
	"slices"
	"sync"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/redact"
	"qrgate/internal/session"
)

// What a Recorder keeps. Probes run often and must not displace clients; busy clients must not displace the engine and
// the store.
const (
	keptAcquisitions  = 50
	keptChanges       = 30
	keptOfProbes      = 10 // acquisitions and changes, each
	keptSystemChanges = 20
	keptAnswers       = 60
)

// Recorder remembers recent events. The zero value is ready. It is safe for concurrent use and its memory is bounded.
type Recorder struct {
	mu                sync.Mutex
	acquisitions      ring[Journey]
	probeAcquisitions ring[Journey]
	changes           ring[Change]
	probeChanges      ring[Change]
	systemChanges     ring[Change]
	answers           ring[Answer]
	failures          failures
	engineState       string // one of the Engine constants, "" for unknown
	engineSince       time.Time
	storeChangedAt    time.Time
}

// Observe records an event. It is a [session.EventHandler].
func (r *Recorder) Observe(e session.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	isProbe := e.Traffic == session.SyntheticTraffic
	switch e.Kind {
	case session.EventEngineCall:
		r.answers.put(answerOf(e), keptAnswers)
		if up, known := e.EngineUp(); known {
			r.setEngineUp(e.At, up)
		}
	case session.EventAcquisition:
		a := Journey{
			At: e.At, Seconds: seconds(e.Duration), Outcome: e.Outcome, Code: withoutNone(e.Diagnosis),
			Origin: e.Traffic, Looks: e.Attempt, Label: labelOf(e),
		}
		if isProbe {
			r.probeAcquisitions.put(a, keptOfProbes)
		} else {
			r.acquisitions.put(a, keptAcquisitions)
		}
	case session.EventState:
		c := Change{
			At: e.At, About: "session", Origin: e.Traffic, Label: labelOf(e),
			From: string(e.From), To: string(e.To), Code: withoutNone(e.Diagnosis),
		}
		if isProbe {
			r.probeChanges.put(c, keptOfProbes)
		} else {
			r.changes.put(c, keptChanges)
		}
	case session.EventStore:
		r.storeChangedAt = e.At
		r.recordChange(e.At, "store", map[bool]string{true: "redis available", false: "redis unavailable"}[e.Available])
	case session.EventDecryptFailed:
		r.recordChange(e.At, "seal", "cannot decrypt stored value")
	}
	r.failures.observe(e)
}

// Health records the result of a health check of the engine, [diagnosis.None] or the reason why it failed.
func (r *Recorder) Health(at time.Time, cause diagnosis.Code) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if up, known := session.EngineUp(cause); known {
		r.setEngineUp(at, up)
	}
}

func (r *Recorder) setEngineUp(at time.Time, up bool) {
	state := map[bool]string{true: EngineUp, false: EngineDown}[up]
	if state == r.engineState {
		return
	}
	if r.engineState != "" || !up {
		r.recordChange(at, "engine", state)
	}
	r.engineState, r.engineSince = state, at
}

func (r *Recorder) recordChange(at time.Time, about, to string) {
	r.systemChanges.put(Change{At: at, About: about, To: to}, keptSystemChanges)
}

// Snapshot returns what is remembered: causes, acquisitions, changes, the engine's responses, and since when the store
// is in its state. The caller fills the rest.
func (r *Recorder) Snapshot(now time.Time) Snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := Snapshot{
		At: now, Causes: r.failures.causes(now),
		Journeys: slices.Concat(r.acquisitions.newest(), r.probeAcquisitions.newest()),
		Changes:  slices.Concat(r.changes.newest(), r.probeChanges.newest(), r.systemChanges.newest()),
		Store:    Store{Since: r.storeChangedAt},
		Engine:   Engine{State: EngineUnknown, Since: r.engineSince, Answers: map[string]int{}},
	}
	slices.SortStableFunc(s.Journeys, func(a, b Journey) int { return b.At.Compare(a.At) })
	slices.SortStableFunc(s.Changes, func(a, b Change) int { return b.At.Compare(a.At) })
	for i := range s.Journeys {
		s.Journeys[i].Label = redact.Name(s.Journeys[i].Label)
	}
	for i := range s.Changes {
		s.Changes[i].Label = redact.Name(s.Changes[i].Label)
	}
	if r.engineState != "" {
		s.Engine.State = r.engineState
	}
	for i, a := range r.answers.newest() {
		s.Engine.Answers[a.Class]++
		if i == 0 {
			s.Engine.Last = new(a.masked())
		}
	}
	return s
}

// answerOf converts an engine call.
func answerOf(e session.Event) Answer {
	class := "ok"
	switch {
	case slices.Contains(session.Kinds(), e.ErrorKind):
		class = string(e.ErrorKind)
	case e.ErrorKind != "":
		class = string(session.KindServerError)
	}
	return Answer{
		At: e.At, Op: e.Op, Class: class, Status: e.Status, Code: clip(e.Code), Why: e.Reason, Seconds: seconds(e.Duration),
	}
}

// masked returns the answer without what may be a phone number.
func (a Answer) masked() Answer {
	a.Code = redact.Name(a.Code)
	return a
}

// String describes the answer without its duration.
func (a Answer) String() string {
	e := session.EngineError{Op: a.Op, Kind: session.ErrorKind(a.Class), Status: a.Status, Code: a.Code, Reason: a.Why}
	return e.String()
}

// Line describes the answer with its duration.
func (a Answer) Line() string { return a.String() + ", after " + short(duration(a.Seconds)) }

// labelOf is the session's name, to be masked when it is shown; a probe's needs none.
func labelOf(e session.Event) string {
	if e.Traffic == session.SyntheticTraffic {
		return ""
	}
	return clip(e.Session)
}

// clip bounds the memory of foreign text.
func clip(text string) string { return text[:min(len(text), session.MaxIDLength)] }

func withoutNone(c diagnosis.Code) diagnosis.Code {
	if c == diagnosis.None {
		return ""
	}
	return c
}

// ring keeps the newest values.
type ring[T any] struct {
	values []T
	next   int
}

// put adds a value and removes the oldest if there are keep already.
func (r *ring[T]) put(v T, keep int) {
	if len(r.values) < keep {
		r.values = append(r.values, v)
		return
	}
	r.values[r.next] = v
	r.next = (r.next + 1) % keep
}

// newest returns all values, the newest first.
func (r *ring[T]) newest() []T {
	out := slices.Concat(r.values[r.next:], r.values[:r.next])
	slices.Reverse(out)
	return out
}
