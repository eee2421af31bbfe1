// Package dialect puts the documented API in front of an engine that speaks another one. A [Dialect] is the other API
// as data: which request does what, which states it has, what its errors mean. A [Transport] is a small server of the
// documented session routes in this process, made from a Dialect; the rest of qrgate calls it as it calls any engine.
//
// One package below compat holds each dialect. docs/DIALECTS.md describes how to add one.
package dialect

import (
	"net/http"
	"strings"
	"time"

	"qrgate/compat"
	"qrgate/internal/session"
)

// Verb is the purpose of a call to an engine.
type Verb string

// The verbs. An engine that lacks one has no call for it.
const (
	Create  Verb = "create"
	Connect Verb = "connect" // begins a pairing
	Restart Verb = "restart" // ends the present pairing, if any, and begins another
	QR      Verb = "qr"      // reads the present code
	Status  Verb = "status"  // reads the state; the cheapest read that proves the credential
	List    Verb = "list"
	Logout  Verb = "logout"
	Delete  Verb = "delete"
	Health  Verb = "health"
	// PairingCode requests a code that the phone of a number accepts.
	PairingCode Verb = "pairing_code"
)

// Dialect is another engine's API. Its functions are pure.
type Dialect struct {
	Kind   string // of QRGATE_ENGINE_KIND
	Sign   Sign   // of this API
	Traits Traits

	// Authorize puts the caller's credential where the engine reads it.
	Authorize func(r *http.Request, c Credential, verb Verb)
	// SessionToken is the token of a session that qrgate creates, at an engine where each session has its own. Tokens of
	// other sessions are read from the list. nil: sessions have no token.
	SessionToken func(c Credential, name string) string
	// Calls are the engine's requests. A verb without a call answers 501.
	Calls map[Verb]Call
	// Connects is what POST …/connect means in a state. In a state without a verb there is nothing to do.
	Connects map[session.State]Verb
	// Read returns the sessions that a successful response describes; only List has more than one.
	Read func(verb Verb, body any) []Session
	// Errors say what the engine's errors mean. The first rule that matches decides; without one the status does.
	Errors []ErrorRule
	// Push is how the engine reports changes by itself; nil if it does not.
	Push *Push
	// Native is the engine's own API as its clients use it; nil if qrgate serves only the documented one.
	Native *Native
}

// Has reports whether the engine has a call for a verb.
func (d *Dialect) Has(verb Verb) bool {
	_, ok := d.Calls[verb]
	return ok
}

// States are an engine's words for the states, in lower case.
type States map[string]session.State

// Parse reads a state in any case; session.Unknown for a word that is missing.
func (s States) Parse(word string) session.State {
	if state, ok := s[strings.ToLower(word)]; ok {
		return state
	}
	return session.Unknown
}

// Traits are what must be known of an engine before a call.
type Traits struct {
	FirstTTL, LaterTTL time.Duration // life of the first and of each later code of a pairing
	// ReadsQRIn are the states in which the QR call changes nothing. In any other state there is no code.
	ReadsQRIn []session.State
	// ReasonInList: only the list tells why a session is disconnected.
	ReasonInList bool
	// QRBegins reports that each call for a code begins a pairing and ends the one before: qrgate keeps the code.
	QRBegins bool
	// PairingCodeTTL is how long after the begin of a pairing its code for a phone number is good.
	PairingCodeTTL time.Duration
	// PairingCodeBegins: the call for such a code begins a pairing, and does nothing while another one is under way.
	PairingCodeBegins bool
	// Settle is how long after a begin its outcome is awaited before another one may be sent.
	Settle time.Duration
}

// CodeTTL is the life of every code, where it is another than WhatsApp's own; 0 otherwise.
func (t Traits) CodeTTL() time.Duration {
	if t.FirstTTL == t.LaterTTL {
		return t.FirstTTL
	}
	return 0
}

// Call is one request. {name}, {id}, {token} and {phone} in Path, Query and Body stand for the session's name, its id
// at the engine, its token, and the number of a request for a pairing code; they are escaped for the place.
type Call struct {
	Method, Path, Query, Body string
	Accept                    string        // default: application/json
	Timeout                   time.Duration // of the slowest honest response; 0: that of the caller
	OldPath                   string        // of versions that have no route at Path; empty: there are none
}

// Session is what an engine reports of one session.
type Session struct {
	Name     string
	ID       int64  // the engine's own integer; 0 if it has none
	EngineID string // for {id} in calls
	Token    string // for {token}, where the list tells it
	State    session.State
	Code     string // the QR: the code's text, a data URL, or base64
	CodeURL  string // where the engine serves the QR's picture
	Phone    string
	// PairingCode is what a phone accepts in place of a scan.
	PairingCode string
	Reason      string // of the last disconnect
	ReasonAt    time.Time
	CreatedAt   string
}

// ErrorRule is what an error means. A zero field matches anything.
type ErrorRule struct {
	Verb     Verb
	Status   int    // a success is an error only if a rule names its status
	Contains string // in the error's words, in lower case
	Kind     session.ErrorKind
	Code     string // of the documented API, or of qrgate's diagnosis
}

// failure is a call that the engine refused, in the documented API's terms.
type failure struct {
	status int
	code   string
	text   string

	engineStatus int // that the engine responded with; 0 if the failure is qrgate's own
}

// KindSessionExists is the kind of a rule about a create of a session that exists.
const KindSessionExists session.ErrorKind = "session_exists"

// KindInvalid is the kind of a request that the engine does not accept as it is: the client gets the engine's status.
const KindInvalid session.ErrorKind = "invalid"

// Documented status and code of each kind of error.
var failures = map[session.ErrorKind]failure{
	KindSessionExists:           {status: http.StatusConflict, code: compat.CodeConflict},
	session.KindKeyRefused:      {status: http.StatusUnauthorized, code: compat.CodeInvalidAPIKey},
	session.KindSessionNotFound: {status: http.StatusNotFound, code: compat.CodeSessionNotFound},
	session.KindAlreadyPaired:   {status: http.StatusConflict, code: compat.CodeSessionAlreadyConnected},
	session.KindNotReady:        {status: http.StatusNotFound, code: compat.CodeQRNotReady},
	session.KindRateLimited:     {status: http.StatusTooManyRequests, code: compat.CodeRateLimitExceeded},
	session.KindServerError:     {status: http.StatusInternalServerError, code: compat.CodeConnectionError},
	session.KindBadResponse:     {status: http.StatusBadGateway, code: compat.CodeEngineBadAnswer},
	KindInvalid:                 {status: http.StatusBadRequest, code: compat.CodeValidationError},
	session.KindUnreachable:     {status: http.StatusServiceUnavailable, code: compat.CodeEngineUnreachable},
}
