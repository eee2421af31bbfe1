package session

import (
	"errors"
	"fmt"
	"time"
)

// ErrorKind says what went wrong with one call to an engine, in the gate's words.
type ErrorKind string

// The kinds of faults.
const (
	KindNotReady        ErrorKind = "not_ready"       // the engine has no QR for this session in memory
	KindAlreadyPaired   ErrorKind = "already_linked"  // a phone is linked, there is nothing to scan
	KindSessionNotFound ErrorKind = "unknown_session" // the engine does not know this session
	KindKeyRefused      ErrorKind = "key_refused"     // the engine refuses the credential
	KindRateLimited     ErrorKind = "rate_limited"    // the engine's budget is spent
	KindUnreachable     ErrorKind = "unreachable"     // no connection to the engine
	KindTimeout         ErrorKind = "timed_out"       // a connection, and no answer in time
	KindServerError     ErrorKind = "engine_error"    // the engine answers with an error of its own
	KindBadResponse     ErrorKind = "bad_answer"      // what answered does not speak the documented API
	KindCanceled        ErrorKind = "abandoned"       // the gate itself gave the call up
)

// Kinds lists every kind.
func Kinds() []ErrorKind {
	return []ErrorKind{KindNotReady, KindAlreadyPaired, KindSessionNotFound, KindKeyRefused, KindRateLimited, KindUnreachable, KindTimeout,
		KindServerError, KindBadResponse, KindCanceled}
}

// The operations of an engine, as Fault.Op, metrics and spans name them.
const (
	OpConnect = "connect"
	OpQR      = "qr"
	OpStatus  = "status"
	OpList    = "list"
)

// EngineError is the one error type that engines return.
type EngineError struct {
	Op         string        // one of the Op constants
	Kind       ErrorKind     //
	Status     int           // HTTP status, 0 if there was none
	Code       string        // the engine's own code, at most 64 bytes of [A-Z0-9_]; "" if none
	Text       string        // the engine's own words, at most 200 bytes, already scrubbed of secrets
	Reason     string        // why no answer came, in a few words of a closed list; "" where one came, or nobody knows
	RetryAfter time.Duration // the engine's wish; 0 if none, at most an hour
	Err        error         // what lies beneath; may be nil
}

// Error says operation, kind and what is known, never a body or a credential.
func (f *EngineError) Error() string {
	s := fmt.Sprintf("engine %s: %s", f.Op, f.Kind)
	if f.Status != 0 {
		s += fmt.Sprintf(" (HTTP %d)", f.Status)
	}
	if f.Code != "" {
		s += " " + f.Code
	}
	if f.Reason != "" {
		s += ": " + f.Reason
	}
	return s
}

// Unwrap returns what lies beneath.
func (f *EngineError) Unwrap() error { return f.Err }

// KindOf returns the kind of err: "" for nil, and KindServerError for an error that is no Fault.
func KindOf(err error) ErrorKind {
	if err == nil {
		return ""
	}
	if f, ok := errors.AsType[*EngineError](err); ok {
		return f.Kind
	}
	return KindServerError
}

// Authorized reports whether an answer of this kind proves that the engine took the credential for the
// session: it got past authentication and found the session.
func (k ErrorKind) Authorized() bool {
	switch k {
	case "", KindNotReady, KindAlreadyPaired:
		return true
	}
	return false
}
