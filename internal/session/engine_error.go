package session

import (
	"errors"
	"fmt"
	"time"
)

// ErrorKind classifies a failed call to an engine.
type ErrorKind string

// The error kinds.
const (
	KindNotReady        ErrorKind = "not_ready"         // the engine has no QR for this session yet
	KindAlreadyPaired   ErrorKind = "already_paired"    // a phone is paired, so there is no QR
	KindSessionNotFound ErrorKind = "session_not_found" // the engine does not know this session
	KindKeyRefused      ErrorKind = "key_refused"       // the engine rejects the credential
	KindRateLimited     ErrorKind = "rate_limited"      // the engine's rate limit is exhausted
	KindUnreachable     ErrorKind = "unreachable"       // no connection to the engine
	KindTimeout         ErrorKind = "timeout"           // a connection, and no response in time
	KindServerError     ErrorKind = "server_error"      // the engine responded with an error of its own
	KindBadResponse     ErrorKind = "bad_response"      // the response does not follow the documented API
	KindCanceled        ErrorKind = "canceled"          // the gateway canceled the call
)

// Kinds returns every error kind.
func Kinds() []ErrorKind {
	return []ErrorKind{
		KindNotReady, KindAlreadyPaired, KindSessionNotFound, KindKeyRefused, KindRateLimited,
		KindUnreachable, KindTimeout, KindServerError, KindBadResponse, KindCanceled,
	}
}

// The operations of an engine, as EngineError.Op, metrics and spans name them. Only probes use the last three.
const (
	OpConnect = "connect"
	OpQR      = "qr"
	OpStatus  = "status"
	OpList    = "list"
	OpCreate  = "create"
	OpDelete  = "delete"
	OpHealth  = "health"
)

// EngineError is the error type that engines return.
type EngineError struct {
	Op         string // one of the Op constants
	Kind       ErrorKind
	Status     int           // HTTP status, 0 if there was none
	Code       string        // the engine's own code, at most 64 bytes of [A-Z0-9_]; "" if none
	Text       string        // the engine's own message, at most 200 bytes, redacted
	Reason     string        // why there was no response of the engine, or what came instead; redacted, "" if unknown
	RetryAfter time.Duration // from the response; 0 if none, at most an hour
	Err        error         // the cause; may be nil

	// IsAmbiguous reports that the response has another meaning, too: another call shows which of them is true.
	IsAmbiguous bool

	// HasNoEffect reports that the engine certainly did nothing: the request was not sent, or a 4xx refused it.
	HasNoEffect bool
}

// IsNotReceived reports that the call did not reach the engine, whose rate limit does not count it: no connection could
// be opened, or a proxy in front of the engine responds. A connection that broke later proves nothing.
func (e *EngineError) IsNotReceived() bool {
	return e.Kind == KindUnreachable && (e.HasNoEffect || e.Status >= 500)
}

// Error returns operation, kind and what is known, never a body or a credential.
func (e *EngineError) Error() string { return "engine " + e.String() }

// String describes the failure in one line for logs, evidence and reports, without the engine's own message:
// "qr: server_error, HTTP 500 CODE (connection reset)". Op may be empty.
func (e *EngineError) String() string {
	s := string(e.Kind)
	if e.Op != "" {
		s = e.Op + ": " + s
	}
	if e.Status != 0 {
		s += fmt.Sprintf(", HTTP %d", e.Status)
	}
	if e.Code != "" {
		s += " " + e.Code
	}
	if e.Reason != "" {
		s += " (" + e.Reason + ")"
	}
	return s
}

// Unwrap returns the cause.
func (e *EngineError) Unwrap() error { return e.Err }

// AsEngineError returns the EngineError in err, nil for a nil error, and a KindServerError for an error of another
// type.
func AsEngineError(err error) *EngineError {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*EngineError](err); ok {
		return e
	}
	return &EngineError{Kind: KindServerError, Err: err}
}

// KindOf returns the kind of err: "" for nil, and KindServerError for an error that is no EngineError.
func KindOf(err error) ErrorKind {
	if e := AsEngineError(err); e != nil {
		return e.Kind
	}
	return ""
}

// Authorized reports whether a result of this kind proves that the engine accepted the credential for the session:
// it passed authentication and found the session.
func (k ErrorKind) Authorized() bool {
	return k == "" || k == KindNotReady || k == KindAlreadyPaired
}

// hasResponse reports whether the engine, or another server in its place, received the poll and returned no code. One
// that does not respond in time has received it, too.
func (k ErrorKind) hasResponse() bool {
	return k == KindServerError || k == KindBadResponse || k == KindTimeout
}
