// Package statuspage serves the operators' status page: whether QRs are delivered, to whom not, since when, why and what
// to do, as HTML and as JSON. It needs no Prometheus.
//
// [Handler] renders a [Snapshot], a plain value. A [Recorder] remembers recent events within bounded memory. Neither ever
// holds a code, a key or a phone number: sessions appear by masked labels, at most [MaxLabels] of them.
//
// The page has no third party and no inline script or style, so that it works under default-src 'self'. It works without
// JavaScript; with it, it reloads itself every ten seconds.
//
// The JSON's names are stable. Times are RFC 3339 in UTC and absent while there is none; durations are in seconds; lists
// are never null.
package statuspage

import (
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// Snapshot is what the page shows. [Handler] fills Verdict.
type Snapshot struct {
	At       time.Time             `json:"at"`
	Verdict  Verdict               `json:"verdict"`
	Causes   []Cause               `json:"causes"` // of missing QRs, the most sessions first
	Probes   Probes                `json:"probes"`
	Journeys []Journey             `json:"journeys"` // acquisitions, newest first
	Engine   Engine                `json:"engine"`
	WhatsApp *WhatsApp             `json:"whatsapp,omitempty"` // nil before the first check
	Store    Store                 `json:"store"`
	Sessions map[session.State]int `json:"sessions"`       // active ones of clients, by state; every state is there
	Probing  int                   `json:"probe_sessions"` // active sessions of probes
	Waiters  Waiters               `json:"waiters"`
	Changes  []Change              `json:"changes"` // newest first
	Build    Build                 `json:"build"`
	Links    []Link                `json:"links"`
}

// Cause is a diagnosis with the sessions that it affected in the last 15 minutes and that got no QR since.
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

// Probes are the results of the synthetic probes.
type Probes struct {
	Configured bool    `json:"configured"`
	Note       string  `json:"note,omitempty"` // why there are no results
	Probes     []Probe `json:"probes"`
}

// Probe is one probe with its history.
type Probe struct {
	Name    string  `json:"name"`
	Every   float64 `json:"every_seconds"`     // 0 when it is not known
	Runs    []Run   `json:"runs"`              // newest first; beyond the newest 30, failures only
	Healthy *bool   `json:"healthy,omitempty"` // the newest result; nil without one
	// Elsewhere means that another replica runs it now: the runs here are old.
	Elsewhere bool `json:"elsewhere,omitempty"`
}

// Run is one run of a probe.
type Run struct {
	ID       string          `json:"id"` // as in logs and spans
	Began    time.Time       `json:"began"`
	Seconds  float64         `json:"seconds"`
	Outcome  session.Outcome `json:"outcome"`          // abandoned if the prober could not complete it
	Missed   string          `json:"missed,omitempty"` // then why
	Step     string          `json:"step,omitempty"`   // where it failed
	Code     diagnosis.Code  `json:"diagnosis,omitempty"`
	Evidence string          `json:"evidence,omitempty"`
}

// Journey is the end of an acquisition.
type Journey struct {
	At      time.Time            `json:"at"`
	Seconds float64              `json:"seconds"`
	Outcome session.Outcome      `json:"outcome"`
	Code    diagnosis.Code       `json:"diagnosis,omitempty"`
	Origin  session.TrafficClass `json:"origin"`
	Looks   int                  `json:"looks"`
	Label   string               `json:"label,omitempty"`
}

// Engine is the state of the session engine.
type Engine struct {
	Kind    string         `json:"kind"` // one of the Engine kinds
	Address string         `json:"address,omitempty"`
	State   string         `json:"state"` // one of the Engine constants
	Since   time.Time      `json:"since,omitzero"`
	Last    *Answer        `json:"last,omitempty"`
	Answers map[string]int `json:"answers"` // the last 60, by class: ok, or an error kind
	Budget  Budget         `json:"budget"`
}

// The kinds of engines.
const (
	EngineEmbedded = "embedded"
	EngineHTTP     = "http"
)

// The states of an engine.
const (
	EngineUnknown = "unknown" // no call yet
	EngineUp      = "up"
	EngineDown    = "down" // unreachable or too slow
)

// Answer is a response of the engine, or the lack of one.
type Answer struct {
	At      time.Time `json:"at"`
	Op      string    `json:"op"`
	Class   string    `json:"class"` // ok, or an error kind
	Status  int       `json:"status,omitempty"`
	Code    string    `json:"code,omitempty"` // the engine's own
	Why     string    `json:"why,omitempty"`  // there was no response
	Seconds float64   `json:"seconds"`
}

// Budget is what remains of the engine's rate limit for the key with the fewest calls. It is unknown while no window of the
// engine is open.
type Budget struct {
	Known bool      `json:"known"`
	Left  int       `json:"left"`
	Told  time.Time `json:"told,omitzero"` // when the engine last reported its limits; zero if never
}

// WhatsApp is the last result of qrgate's own connectivity check. An embedded engine uses the same connection.
type WhatsApp struct {
	At       time.Time                `json:"at"`
	Since    time.Time                `json:"since,omitzero"` // when it began to fail
	Code     diagnosis.Code           `json:"diagnosis"`      // none on success
	Step     session.ConnectivityStep `json:"step,omitempty"` // the last one, if known
	Evidence []string                 `json:"evidence"`
}

// Reached reports whether the check succeeded.
func (w WhatsApp) Reached() bool { return w.Code == diagnosis.None }

// Answers reports whether the check reached WhatsApp itself.
func (w WhatsApp) Answers() bool { return w.Step == session.StepHandshake }

// Said is the last line of the evidence.
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

// StoreDegraded is the state of a store without its Redis.
const StoreDegraded = "degraded"

// Waiters are requests that wait for a QR.
type Waiters struct {
	Held  int `json:"held"`
	Limit int `json:"limit"`
}

// Change is a change of a state.
type Change struct {
	At     time.Time            `json:"at"`
	About  string               `json:"about"`            // session, engine, store or seal
	Origin session.TrafficClass `json:"origin,omitempty"` // of a session
	Label  string               `json:"label,omitempty"`  // of a session
	From   string               `json:"from,omitempty"`
	To     string               `json:"to"`
	Code   diagnosis.Code       `json:"diagnosis,omitempty"`
}

// Build identifies the binary and the process.
type Build struct {
	Version string    `json:"version"`
	Go      string    `json:"go"`
	Started time.Time `json:"started"`
	Uptime  float64   `json:"uptime_seconds"`
}

// Link leads to another page of the operators' port. Href is relative to its root.
type Link struct {
	Name string `json:"name"`
	Href string `json:"href"`
}
