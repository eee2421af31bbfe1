package qrgate

import (
	"errors"
	"fmt"
	"time"
)

// Kind says what went wrong with one call to an engine, in the gate's words.
type Kind string

// The kinds of faults.
const (
	NotReady       Kind = "not_ready"       // the engine has no QR for this session in memory
	AlreadyLinked  Kind = "already_linked"  // a phone is linked, there is nothing to scan
	UnknownSession Kind = "unknown_session" // the engine does not know this session
	KeyRefused     Kind = "key_refused"     // the engine refuses the credential
	RateLimited    Kind = "rate_limited"    // the engine's budget is spent
	Unreachable    Kind = "unreachable"     // no connection to the engine
	TimedOut       Kind = "timed_out"       // a connection, and no answer in time
	EngineError    Kind = "engine_error"    // the engine answers with an error of its own
	BadAnswer      Kind = "bad_answer"      // what answered does not speak the documented API
	Abandoned      Kind = "abandoned"       // the gate itself gave the call up
)

// Kinds lists every kind.
func Kinds() []Kind {
	return []Kind{NotReady, AlreadyLinked, UnknownSession, KeyRefused, RateLimited, Unreachable, TimedOut,
		EngineError, BadAnswer, Abandoned}
}

// The operations of an engine, as Fault.Op, metrics and spans name them.
const (
	OpConnect = "connect"
	OpQR      = "qr"
	OpStatus  = "status"
	OpList    = "list"
)

// Fault is the one error type that engines return.
type Fault struct {
	Op         string        // one of the Op constants
	Kind       Kind          //
	Status     int           // HTTP status, 0 if there was none
	Code       string        // the engine's own code, at most 64 bytes of [A-Z0-9_]; "" if none
	Text       string        // the engine's own words, at most 200 bytes, already scrubbed of secrets
	Why        string        // why no answer came, in a few words of a closed list; "" where one came, or nobody knows
	RetryAfter time.Duration // the engine's wish; 0 if none, at most an hour
	Err        error         // what lies beneath; may be nil
}

// Error says operation, kind and what is known, never a body or a credential.
func (f *Fault) Error() string {
	s := fmt.Sprintf("engine %s: %s", f.Op, f.Kind)
	if f.Status != 0 {
		s += fmt.Sprintf(" (HTTP %d)", f.Status)
	}
	if f.Code != "" {
		s += " " + f.Code
	}
	if f.Why != "" {
		s += ": " + f.Why
	}
	return s
}

// Unwrap returns what lies beneath.
func (f *Fault) Unwrap() error { return f.Err }

// KindOf returns the kind of err: "" for nil, and EngineError for an error that is no Fault.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	if f, ok := errors.AsType[*Fault](err); ok {
		return f.Kind
	}
	return EngineError
}

// Accepted reports whether an answer of this kind proves that the engine took the credential for the
// session: it got past authentication and found the session.
func (k Kind) Accepted() bool {
	switch k {
	case "", NotReady, AlreadyLinked:
		return true
	}
	return false
}
