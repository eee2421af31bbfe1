package compat

import (
	"encoding/json"
	"time"
)

// ExposedHeaders are the headers of qrgate's own that a web page may want to read.
const ExposedHeaders = "Retry-After, X-Request-Id, Server-Timing"

// Codes of the documented API (contract 5.1), then qrgate's own.
const (
	CodeQRGenerationError = "QR_GENERATION_ERROR"
	CodeConnectionError   = "CONNECTION_ERROR"
	CodeValidationError   = "VALIDATION_ERROR"
	CodeNotFound          = "NOT_FOUND"
	CodeSessionNotFound   = "SESSION_NOT_FOUND"
	CodeMissingAPIKey     = "MISSING_API_KEY"
	CodeInvalidAPIKey     = "INVALID_API_KEY"
	CodeConflict          = "CONFLICT" // of a create of a session that exists
	CodeRateLimitExceeded = "RATE_LIMIT_EXCEEDED"
	CodeInternalError     = "INTERNAL_ERROR"
	CodeMethodNotAllowed  = "METHOD_NOT_ALLOWED"
	CodePayloadTooLarge   = "PAYLOAD_TOO_LARGE"

	CodeQRNotReady              = "QR_NOT_READY"              // the wait ended before a QR arrived
	CodeSessionAlreadyConnected = "SESSION_ALREADY_CONNECTED" // a phone is paired, so there is no QR
	CodeSessionAmbiguous        = "SESSION_AMBIGUOUS"         // several engines have a session with this id
	CodeEngineUnreachable       = "ENGINE_UNREACHABLE"        // no connection to the engine
	CodeEngineTimeout           = "ENGINE_TIMEOUT"            // the engine did not respond in time
	CodeEngineIsGate            = "ENGINE_IS_GATE"            // the engine's address is qrgate's own
	CodeGateStopping            = "GATE_STOPPING"             // this replica shuts down; retry
	CodeEngineBadAnswer         = "ENGINE_BAD_ANSWER"         // the response does not follow the API
)

// Problem is the body of every error. Error and Message are the same text, because clients read either (contract C17).
type Problem struct {
	Success   bool   `json:"success"`
	Error     string `json:"error"`
	Message   string `json:"message"`
	Code      string `json:"code"`
	Timestamp string `json:"timestamp"`
}

// NewProblem builds an error body. The timestamp has whole seconds: clients search the whole body for "429", and
// milliseconds could be .429Z (contract 4.2).
func NewProblem(code, message string, now time.Time) Problem {
	return Problem{Error: message, Message: message, Code: code, Timestamp: Seconds(now)}
}

// JSON encodes the problem.
func (p Problem) JSON() []byte {
	b, _ := json.Marshal(p) // five strings and a bool cannot fail
	return b
}

// ContentType is the media type of every JSON body, spelled as the engine spells it.
const ContentType = "application/json; charset=utf-8"

// Seconds formats t in ISO 8601, in UTC with whole seconds.
func Seconds(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// Millis formats t as the engine does (contract 1): ISO 8601, in UTC with milliseconds.
func Millis(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
