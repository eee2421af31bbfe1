package session

import (
	"context"
	"time"

	"qrgate/internal/secret"
)

// Engine makes QRs. Every method returns an *EngineError as its error, and fills the report with what could be read even
// then, above all the rate limits.
type Engine interface {
	// Connect asks the engine to start, or restart, a session.
	Connect(ctx context.Context, c Caller, r Ref, how ConnectMode) (SessionReport, error)
	// QR asks for the current code. KindNotReady is its usual error.
	QR(ctx context.Context, c Caller, r Ref) (SessionReport, error)
	// Status asks for the state. An engine may deny a session here that it serves elsewhere.
	Status(ctx context.Context, c Caller, r Ref) (SessionReport, error)
	// List asks for all sessions of the caller in one call; entries may lack their code.
	List(ctx context.Context, c Caller) (SessionList, error)
}

// ConnectMode selects the request that starts a session.
type ConnectMode string

// The connect modes, in the order in which recovery uses them.
const (
	Connect ConnectMode = "connect"       // POST connect
	Force   ConnectMode = "connect_force" // POST connect with {"force":true}
	Restart ConnectMode = "restart"       // POST restart
)

// SessionReport is what an engine answered about one session, in qrgate's words.
type SessionReport struct {
	Ref    Ref
	State  State         // Unknown when the answer does not say
	Image  secret.Secret // the QR as a data URL; empty if the answer carries none
	Expiry Expiry        // what the answer says about the QR's end
	Reason string        // what the engine says of the session's last disconnect; scrubbed, at most 200 bytes
	At     time.Time     // when the answer came
	Limits []RateLimit   // what the engine says about its budget
}

// SessionList is the engine's list of sessions.
type SessionList struct {
	Sessions []SessionReport
	At       time.Time
	Limits   []RateLimit
}

// Expiry is a remaining life that the engine stated: its expiresAt less its own Date, so that the clocks
// of two machines never meet. Known is false when it said nothing usable.
type Expiry struct {
	Known bool
	In    time.Duration
}

// RateLimit is one rate limit that an engine reports of itself.
type RateLimit struct {
	Max       int           // calls per window
	Remaining int           // calls left in this window
	Reset     time.Duration // until the window begins anew, at most an hour
}
