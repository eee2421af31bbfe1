// Package statuspage serves the operators' status page, as HTML and as JSON: whether QRs are delivered, to whom not,
// since when, why and what to do. It needs no Prometheus.
//
// [Handler] renders a [Snapshot], a plain value. A [Recorder] remembers recent events of clients' sessions within
// bounded memory; probes report by their results. Neither ever holds a code, a key or a phone number: sessions appear
// by masked labels.
//
// The page has no third party and no inline script or style, so that it works under default-src 'self'. It works
// without JavaScript; with it, it reloads itself every ten seconds.
//
// In the JSON, times are RFC 3339 in UTC, durations are in seconds, and lists are never null.
package statuspage

import (
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/probes"
)

// Snapshot is what the page shows. Lists begin with the newest. [Handler] fills Verdict.
type Snapshot struct {
	At           time.Time                   `json:"at"`
	Verdict      Verdict                     `json:"verdict"`
	Causes       []Cause                     `json:"causes"` // of missing QRs, the most sessions first
	Probes       []Probe                     `json:"probes"`
	ProbesNote   string                      `json:"probes_note,omitempty"` // what the probes cannot show
	Acquisitions []Acquisition               `json:"acquisitions"`
	Engine       Engine                      `json:"engine"`
	Engines      []Member                    `json:"engines,omitempty"`  // several; the rest is about Engine
	WhatsApp     *session.ConnectivityResult `json:"whatsapp,omitempty"` // nil before the first check
	Store        Store                       `json:"store"`
	Sessions     map[session.State]int       `json:"sessions"`       // active ones of clients
	Probing      int                         `json:"probe_sessions"` // active sessions of probes
	Waiters      int                         `json:"waiters"`        // requests that wait for a QR
	WaiterLimit  int                         `json:"waiter_limit"`
	Changes      []Change                    `json:"changes"`
	Build        Build                       `json:"build"`
	Links        []Link                      `json:"links"`
	CanNotify    bool                        `json:"-"` // POST notify/test sends a test message

	lang pageLanguage // of the texts; empty: English
}

// Cause is a diagnosis with the sessions that it affected in the last 15 minutes and that got no QR since.
type Cause struct {
	diagnosis.Diagnosis
	Sessions int       `json:"sessions"`
	Since    time.Time `json:"since"`  // when the first of them began to fail
	Last     time.Time `json:"last"`   // when one of them failed last
	Labels   []string  `json:"labels"` // some of the sessions, masked
}

// Probe is one synthetic probe with its history.
type Probe struct {
	Name  string          `json:"name"`
	Every float64         `json:"every_seconds"` // 0 when it is not known
	Runs  []probes.Result `json:"runs"`          // beyond the newest 30, failures only
	// Elsewhere means that another replica runs it now: the runs here are old.
	Elsewhere bool `json:"elsewhere,omitempty"`
}

// Acquisition is one that ended.
type Acquisition struct {
	At      time.Time       `json:"at"`
	Seconds float64         `json:"seconds"`
	Outcome session.Outcome `json:"outcome"`
	Code    diagnosis.Code  `json:"diagnosis,omitempty"`
	Polls   int             `json:"polls"`
	Label   string          `json:"label,omitempty"`
}

// Member is one of several engines.
type Member struct {
	Name     string `json:"name"`
	Address  string `json:"address"`
	Level    string `json:"level"` // of its verdict
	Title    string `json:"title"`
	State    string `json:"state"`    // one of the Engine states
	Weight   int    `json:"weight"`   // its share of new sessions; 0: it is being drained
	Sessions int    `json:"sessions"` // active ones of clients
	Waiters  int    `json:"waiters"`
}

// Engine is the state of the session engine.
type Engine struct {
	Name      string         `json:"name,omitempty"` // of one among several
	Kind      string         `json:"kind"`           // one of the Engine kinds
	Address   string         `json:"address,omitempty"`
	State     string         `json:"state"`           // one of the Engine states
	Cause     diagnosis.Code `json:"cause,omitempty"` // why it is down
	Since     time.Time      `json:"since,omitzero"`
	Last      *Response      `json:"last,omitempty"`
	Responses map[string]int `json:"responses"` // the last 60, by class
	RateLimit RateLimit      `json:"rate_limit"`
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

// Response is a response of the engine, or the lack of one.
type Response struct {
	At      time.Time `json:"at"`
	Class   string    `json:"class"` // ok, or an error kind
	Text    string    `json:"text"`
	Seconds float64   `json:"seconds"`
}

// RateLimit is what remains of the engine's rate limit for the key with the fewest calls. It is unknown while no window
// of the engine is open.
type RateLimit struct {
	Known      bool      `json:"known"`
	Remaining  int       `json:"remaining"`
	ReportedAt time.Time `json:"reported_at,omitzero"` // when the engine last reported its limits; zero if never
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

// Change is a change of a state.
type Change struct {
	At    time.Time      `json:"at"`
	About string         `json:"about"`           // session, engine, store or seal
	Label string         `json:"label,omitempty"` // of a session
	From  string         `json:"from,omitempty"`
	To    string         `json:"to"`
	Code  diagnosis.Code `json:"diagnosis,omitempty"`
}

// Build identifies the binary and the process.
type Build struct {
	Version string `json:"version"`
	Go      string `json:"go"`
	// WhatsApp is the version of WhatsApp's web client that the embedded engine presents, and its age; "" without it.
	WhatsApp      string    `json:"whatsapp,omitempty"`
	IsWhatsAppOld bool      `json:"whatsapp_old,omitempty"` // WhatsApp may refuse it soon
	Started       time.Time `json:"started"`
}

// Link leads to another page of the operators' port. Href is relative to its root.
type Link struct {
	Name string `json:"name"`
	Href string `json:"href"`
}
