package session

import (
	"context"
	"time"

	"qrgate/internal/secret"
)

// Engine makes QRs. Every method returns an *EngineError as its error, and a report with what could be read even then,
// such as the rate limits.
type Engine interface {
	// Connect asks the engine to start, or restart, a session.
	Connect(ctx context.Context, c Caller, r Ref, mode ConnectMode) (SessionReport, error)
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

// SessionReport is the engine's response about one session.
type SessionReport struct {
	Ref           Ref
	State         State         // Unknown if the response has none
	IsUnpaired    bool          // the response states that no phone is paired, whatever its state is
	Image         secret.Secret // the QR as a data URL; empty if the response has none
	Expiry        Expiry
	Phone         secret.Secret // the number of the paired account; empty if the response has none
	Reason        string        // the reason of the session's last disconnect; redacted, at most 200 bytes
	At            time.Time
	Limits        []RateLimit
	QueuePosition int // in the engine's own queue, 1 is next; 0 if it does not wait there
}

// SessionList is the engine's list of sessions.
type SessionList struct {
	Sessions []SessionReport
	At       time.Time
	Limits   []RateLimit
}

// Expiry is the remaining lifetime of a QR that the engine stated: its expiresAt less its own Date, so that the clocks
// of two machines are never compared.
type Expiry struct {
	Known bool
	In    time.Duration
	Limit time.Duration // the lifetime of codes in the engine's dialect; 0 means WhatsApp's own
}

// RateLimit is one rate limit that an engine reports.
type RateLimit struct {
	Max       int           // calls per window
	Remaining int           // calls left in this window
	Reset     time.Duration // until the next window begins, at most an hour
}
