package statuspage

import (
	"slices"
	"sync"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/redact"
	"qrgate/internal/session"
)

// What a Recorder keeps.
const (
	keptJourneys = 50 // of clients
	keptChanges  = 30 // of clients' sessions
	keptProbing  = 10 // journeys and changes of probes, each; those that walk often must not push clients out
	keptHouse    = 20 // of engine and store; a busy fleet must not push them out
	keptAnswers  = 60
)

// Recorder remembers what passed by. The zero value is ready; it is safe for concurrent use, quick, and its
// memory is bounded whatever it is fed.
type Recorder struct {
	mu                sync.Mutex
	journeys          ring[Journey] // of clients
	probeAcquisitions ring[Journey] // of probes
	sessions          ring[Change]  // of clients
	probing           ring[Change]  // of probes
	systemChanges     ring[Change]
	answers           ring[Answer]
	troubles          failures
	engine            string // one of the Engine constants, "" for unknown
	since             time.Time
	storeAt           time.Time // the store's last change
}

// Observe takes one event. It is a [qrgate.Observer].
func (r *Recorder) Observe(e session.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch e.Kind {
	case session.EventEngineCall:
		r.look(e)
	case session.EventAcquisition:
		r.ended(Journey{At: e.At, Seconds: seconds(e.Duration), Outcome: e.Outcome, Code: said(e.Diagnosis), Origin: e.Traffic, Looks: e.Attempt, Label: label(e)})
	case session.EventState:
		r.recordChange(Change{At: e.At, About: "session", Origin: e.Traffic, Label: label(e), From: string(e.From), To: string(e.To), Code: said(e.Diagnosis)})
	case session.EventStore:
		r.storeAt = e.At
		r.changed(e.At, "store", map[bool]string{true: "Redis answers again", false: "Redis cannot be reached"}[e.Available])
	case session.EventDecryptFailed:
		r.changed(e.At, "seal", "a stored value did not open for its caller")
	}
	r.troubles.observe(e)
}

// Health takes what a regular look at the engine's health found at a time: [qrgate.None], or why it failed.
// Between two journeys nothing else tells whether the engine is there.
func (r *Recorder) Health(at time.Time, why diagnosis.Code) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch why {
	case diagnosis.EngineUnreachable, diagnosis.EngineTimeout:
		r.setEngineState(at, EngineDown)
	case diagnosis.None, diagnosis.Engine5xx, diagnosis.EngineBadResponse, diagnosis.KeyRefused, diagnosis.RateLimited:
		r.setEngineState(at, EngineUp)
	}
}

func (r *Recorder) ended(j Journey) {
	if j.Origin == session.SyntheticTraffic {
		r.probeAcquisitions.put(j, keptProbing)
		return
	}
	r.journeys.put(j, keptJourneys)
}

func (r *Recorder) recordChange(c Change) {
	if c.Origin == session.SyntheticTraffic {
		r.probing.put(c, keptProbing)
		return
	}
	r.sessions.put(c, keptChanges)
}

func (r *Recorder) look(e session.Event) {
	a := Answer{At: e.At, Op: e.Op, Class: class(e.ErrorKind), Status: e.Status, Code: clip(e.Code), Why: e.Reason, Seconds: seconds(e.Duration)}
	r.answers.put(a, keptAnswers)
	if state := share(e); state != "" {
		r.setEngineState(e.At, state)
	}
}

// setEngineState notes what is known of the engine, if it is news.
func (r *Recorder) setEngineState(at time.Time, state string) {
	if state == r.engine {
		return
	}
	if r.engine != "" || state == EngineDown {
		r.changed(at, "engine", map[string]string{EngineUp: "it answers", EngineDown: "it does not answer"}[state])
	}
	r.engine, r.since = state, at
}

func (r *Recorder) changed(at time.Time, about, to string) {
	r.systemChanges.put(Change{At: at, About: about, To: to}, keptHouse)
}

// Snapshot is what is remembered at now: causes, journeys, changes, what the engine answered, and since when
// the store is as it is. The rest is for the caller to fill.
func (r *Recorder) Snapshot(now time.Time) Snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := Snapshot{At: now, Journeys: append(r.journeys.newest(), r.probeAcquisitions.newest()...), Causes: r.troubles.causes(now)}
	s.Changes = slices.Concat(r.sessions.newest(), r.probing.newest(), r.systemChanges.newest())
	slices.SortStableFunc(s.Journeys, func(a, b Journey) int { return b.At.Compare(a.At) })
	slices.SortStableFunc(s.Changes, func(a, b Change) int { return b.At.Compare(a.At) })
	for i := range s.Journeys {
		s.Journeys[i].Label = redact.Name(s.Journeys[i].Label)
	}
	for i := range s.Changes {
		s.Changes[i].Label = redact.Name(s.Changes[i].Label)
	}
	s.Store.Since = r.storeAt
	s.Engine = Engine{State: EngineUnknown, Since: r.since, Answers: map[string]int{}}
	if r.engine != "" {
		s.Engine.State = r.engine
	}
	all := r.answers.newest()
	for _, a := range all {
		s.Engine.Answers[a.Class]++
	}
	if len(all) > 0 {
		all[0].Code = redact.Name(all[0].Code)
		s.Engine.Last = &all[0]
	}
	return s
}

// share is what a call says of the engine being there: nothing if the gate gave it up. A gateway before
// the engine that says 502, 503 or 504 in its own words speaks for an engine that is down.
func share(e session.Event) string {
	switch e.ErrorKind {
	case session.KindCanceled:
		return ""
	case session.KindUnreachable, session.KindTimeout:
		return EngineDown
	case session.KindBadResponse:
		if e.Status >= 502 && e.Status <= 504 {
			return EngineDown
		}
	}
	return EngineUp
}

// class is how an answer is counted.
func class(k session.ErrorKind) string {
	switch {
	case k == "":
		return "ok"
	case slices.Contains(session.Kinds(), k):
		return string(k)
	}
	return string(session.KindServerError)
}

// label is what is kept of a session's name, to be masked when somebody asks; a probe's needs none.
func label(e session.Event) string {
	if e.Traffic == session.SyntheticTraffic {
		return ""
	}
	return clip(e.Session)
}

// clip bounds what is kept of a text of others.
func clip(text string) string { return text[:min(len(text), session.MaxIDLength)] }

// said is a diagnosis, "" when there is nothing to say.
func said(c diagnosis.Code) diagnosis.Code {
	if c == diagnosis.None {
		return ""
	}
	return c
}

func seconds(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }
