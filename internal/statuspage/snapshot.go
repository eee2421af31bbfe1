package statuspage

import (
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// Snapshot is everything the page shows, at one moment. Whoever fills it leaves Verdict empty: [Handler]
// judges.
type Snapshot struct {
	At       time.Time             `json:"at"`
	Verdict  Verdict               `json:"verdict"`
	Causes   []Cause               `json:"causes"` // why sessions got no QR, the most sessions first
	Probes   Probes                `json:"probes"`
	Journeys []Journey             `json:"journeys"` // the last from connect to QR, newest first
	Engine   Engine                `json:"engine"`
	WhatsApp *WhatsApp             `json:"whatsapp,omitempty"` // nil while the gate has not looked
	Store    Store                 `json:"store"`
	Sessions map[session.State]int `json:"sessions"`       // of clients, at work in this gate, by state; every state is there
	Probing  int                   `json:"probe_sessions"` // sessions of probes at work
	Waiters  Waiters               `json:"waiters"`
	Changes  []Change              `json:"changes"` // newest first
	Build    Build                 `json:"build"`
	Links    []Link                `json:"links"`
}

// Cause is one diagnosis with all sessions that it held back in the last 15 minutes and that got no QR since.
type Cause struct {
	Code     diagnosis.Code  `json:"code"`
	Title    string          `json:"title"`
	Help     string          `json:"help"`
	Who      diagnosis.Actor `json:"who"`
	Sessions int             `json:"sessions"`
	Probes   int             `json:"probes"` // how many of Sessions belong to probes
	Since    time.Time       `json:"since"`  // when the first of them began to fail
	Last     time.Time       `json:"last"`   // when one of them failed last
	Evidence string          `json:"evidence"`
	Labels   []string        `json:"labels"`  // some of the sessions, masked
	Runbook  string          `json:"runbook"` // relative to the operators' port
}

// Probes is what the synthetic journeys found.
type Probes struct {
	Configured bool    `json:"configured"`
	Note       string  `json:"note,omitempty"` // why there is nothing to see
	Probes     []Probe `json:"probes"`
}

// Probe is one probe with its history.
type Probe struct {
	Name    string  `json:"name"`
	Every   float64 `json:"every_seconds"`     // 0 when it is not known
	Runs    []Run   `json:"runs"`              // newest first; beyond the newest 30, failures only
	Healthy *bool   `json:"healthy,omitempty"` // of the newest run that said anything; nil without one
	// Elsewhere says that another replica runs it now: what this one saw last says nothing of today.
	Elsewhere bool `json:"elsewhere,omitempty"`
}

// Run is one run of a probe.
type Run struct {
	ID       string          `json:"id"` // joins it with logs and spans
	Began    time.Time       `json:"began"`
	Seconds  float64         `json:"seconds"`
	Outcome  session.Outcome `json:"outcome"`          // abandoned when the prober itself could not do it
	Missed   string          `json:"missed,omitempty"` // then why
	Step     string          `json:"step,omitempty"`   // where it failed
	Code     diagnosis.Code  `json:"diagnosis,omitempty"`
	Evidence string          `json:"evidence,omitempty"`
}

// Journey is how one wish for a QR ended.
type Journey struct {
	At      time.Time            `json:"at"`
	Seconds float64              `json:"seconds"`
	Outcome session.Outcome      `json:"outcome"`
	Code    diagnosis.Code       `json:"diagnosis,omitempty"`
	Origin  session.TrafficClass `json:"origin"`
	Looks   int                  `json:"looks"`
	Label   string               `json:"label,omitempty"`
}

// Engine is the session engine as the gate sees it.
type Engine struct {
	Kind    string         `json:"kind"` // one of the Engine kinds
	Address string         `json:"address,omitempty"`
	State   string         `json:"state"` // one of the Engine constants
	Since   time.Time      `json:"since,omitzero"`
	Last    *Answer        `json:"last,omitempty"`
	Answers map[string]int `json:"answers"` // the last 60, by class: ok, or a kind of fault
	Budget  Budget         `json:"budget"`
}

// The kinds of engines.
const (
	EngineEmbedded = "embedded"
	EngineHTTP     = "http"
)

// What is known of an engine.
const (
	EngineUnknown = "unknown" // nobody has asked it yet
	EngineUp      = "up"
	EngineDown    = "down" // it cannot be reached or does not answer in time
)

// Answer is one answer of the engine, or the lack of one.
type Answer struct {
	At      time.Time `json:"at"`
	Op      string    `json:"op"`
	Class   string    `json:"class"` // ok, or a kind of fault
	Status  int       `json:"status,omitempty"`
	Code    string    `json:"code,omitempty"` // the engine's own
	Why     string    `json:"why,omitempty"`  // no answer came, in a few words
	Seconds float64   `json:"seconds"`
}

// Budget is what the engine allows the key that has the fewest calls left. It is not known while no window of
// the engine's is open.
type Budget struct {
	Known bool      `json:"known"`
	Left  int       `json:"left"`
	Told  time.Time `json:"told,omitzero"` // when the engine spoke of its limits last; zero if it never did
}

// WhatsApp is what the gate itself saw last of the way to WhatsApp. An embedded engine has no other way.
type WhatsApp struct {
	At       time.Time                `json:"at"`
	Since    time.Time                `json:"since,omitzero"` // when it began to fail
	Code     diagnosis.Code           `json:"diagnosis"`      // none when nothing was in the way
	Step     session.ConnectivityStep `json:"step,omitempty"` // where the look ended, if that is known
	Evidence []string                 `json:"evidence"`
}

// Reached reports whether nothing was in the way.
func (w WhatsApp) Reached() bool { return w.Code == diagnosis.None }

// Answers reports whether the look came as far as WhatsApp itself.
func (w WhatsApp) Answers() bool { return w.Step == session.StepHandshake }

// Said is what the look ended with, in one line.
func (w WhatsApp) Said() string {
	if len(w.Evidence) == 0 {
		return ""
	}
	return w.Evidence[len(w.Evidence)-1]
}

// Store is where sessions are kept.
type Store struct {
	Kind  string    `json:"kind"`  // memory or redis
	State string    `json:"state"` // ok or degraded
	Since time.Time `json:"since,omitzero"`
	Note  string    `json:"note,omitempty"`
}

// StoreDegraded is the state of a store that lost its Redis; the gate goes on from memory.
const StoreDegraded = "degraded"

// Waiters are requests that are held until there is a QR.
type Waiters struct {
	Held  int `json:"held"`
	Limit int `json:"limit"`
}

// Change is something that is other than before.
type Change struct {
	At     time.Time            `json:"at"`
	About  string               `json:"about"`            // session, engine, store or seal
	Origin session.TrafficClass `json:"origin,omitempty"` // whose session
	Label  string               `json:"label,omitempty"`  // of a session
	From   string               `json:"from,omitempty"`
	To     string               `json:"to"`
	Code   diagnosis.Code       `json:"diagnosis,omitempty"`
}

// Build is the program that runs.
type Build struct {
	Version string    `json:"version"`
	Go      string    `json:"go"`
	Started time.Time `json:"started"`
	Uptime  float64   `json:"uptime_seconds"`
}

// Link leads to another page of the operators' port; Href is relative to its root.
type Link struct {
	Name string `json:"name"`
	Href string `json:"href"`
}
