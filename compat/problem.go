package compat

import (
	"encoding/json"
	"time"
)

// Codes of the documented API (contract 5.1) and the few that the gate adds.
const (
	CodeQRGenerationError = "QR_GENERATION_ERROR"
	CodeConnectionError   = "CONNECTION_ERROR"
	CodeValidationError   = "VALIDATION_ERROR"
	CodeNotFound          = "NOT_FOUND"
	CodeSessionNotFound   = "SESSION_NOT_FOUND"
	CodeMissingAPIKey     = "MISSING_API_KEY"
	CodeInvalidAPIKey     = "INVALID_API_KEY"
	CodeRateLimitExceeded = "RATE_LIMIT_EXCEEDED"
	CodeInternalError     = "INTERNAL_ERROR"
	CodeMethodNotAllowed  = "METHOD_NOT_ALLOWED"
	CodePayloadTooLarge   = "PAYLOAD_TOO_LARGE"

	CodeQRNotReady              = "QR_NOT_READY"              // the hold ended before a QR came
	CodeSessionAlreadyConnected = "SESSION_ALREADY_CONNECTED" // there is no QR, because a phone is linked
	CodeEngineUnreachable       = "ENGINE_UNREACHABLE"        // no answer from the engine at all
	CodeEngineTimeout           = "ENGINE_TIMEOUT"            // the engine took the request and did not answer in time
	CodeEngineIsGate            = "ENGINE_IS_GATE"            // the engine's address leads back to the gate
	CodeGateStopping            = "GATE_STOPPING"             // this replica ends; another one, or the next, has the answer
	CodeEngineBadAnswer         = "ENGINE_BAD_ANSWER"         // the engine, or a proxy before it, answered something else than the API
)

// Problem is the body of every error: error and message carry the same text, because some clients
// read the one and some the other (contract C17).
type Problem struct {
	Success   bool   `json:"success"`
	Error     string `json:"error"`
	Message   string `json:"message"`
	Code      string `json:"code"`
	Timestamp string `json:"timestamp"`
}

// NewProblem builds an error body. The timestamp has whole seconds only: clients search the whole body
// for "429", and a millisecond .429Z would make them give up (contract 4.2).
func NewProblem(code, message string, now time.Time) Problem {
	return Problem{Error: message, Message: message, Code: code, Timestamp: Seconds(now)}
}

// JSON is the problem as bytes, with Content-Type "application/json; charset=utf-8".
func (p Problem) JSON() []byte {
	b, _ := json.Marshal(p) // five strings and a bool cannot fail
	return b
}

// ContentType is the media type of every JSON body, spelled as the engine spells it.
const ContentType = "application/json; charset=utf-8"

// Seconds writes t as the gate's own errors do: ISO 8601 in UTC with whole seconds.
func Seconds(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// Millis writes t as the engine does (contract 1): ISO 8601 in UTC with three decimals.
func Millis(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
