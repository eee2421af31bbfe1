package embedded

import (
	"encoding/json"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// phase is a step in the life of a session's connection.
type phase string

const (
	idle       phase = ""            // no connection, and none requested
	queued     phase = "queued"      // waits for its turn to dial
	dialing    phase = "dialing"     // TCP, TLS, websocket upgrade, Noise handshake
	awaiting   phase = "awaiting"    // unpaired: waits for the codes
	showing    phase = "showing"     // a code can be scanned
	pairing    phase = "pairing"     // a phone has scanned a code
	loggingIn  phase = "logging_in"  // paired: waits for the login
	online     phase = "online"      // paired and logged in
	backingOff phase = "backing_off" // waits until Deadline, then dials again

	passkeyPending phase = "passkey" // a phone has scanned a code, and WhatsApp requires the account's passkey
)

// linkState is the state of a session's link to WhatsApp.
type linkState struct {
	Phase    phase
	Since    time.Time // start of the phase
	Deadline time.Time // end of the phase; zero means none

	JID         string    // the paired device; "" without one
	Paused      bool      // a client disconnected it: it stays disconnected until the next connect
	WantedUntil time.Time // until when a client waits for a code

	Generation   int     // number of connections so far; a change requires a new connection
	Attempts     int     // failed connections in a row
	IsBackground bool    // no client waits for this connection
	Jitter       float64 // in [0,1), constant: sessions that lose their connections at once return one by one

	// What must happen before the connection on which a phone scanned a code may be closed. The library deletes the
	// new device if its connection ends while it still signs, and WhatsApp's request may arrive earlier.
	IsStored   bool // the library has stored and signed the pairing
	HasRestart bool // WhatsApp requests a new connection, or has closed this one

	Codes    []secret.Secret // the current code, then the later ones
	Sequence int             // number of the current code on this connection, from 1
	ShownAt  time.Time       // since when the current code is shown

	Passkey *passkeyState // in phase passkeyPending

	LastDisconnect reason
}

// state is the documented state of the session.
func (l linkState) state() session.State {
	switch l.Phase {
	case showing:
		return session.AwaitingScan
	case online:
		return session.Connected
	case idle:
		return l.idleState()
	}
	if l.JID != "" && l.Attempts >= maxAttempts {
		return session.Disconnected // it still retries
	}
	return session.Connecting
}

func (l linkState) idleState() session.State {
	switch {
	case l.LastDisconnect.isFatal():
		return session.Failed
	case l.LastDisconnect.isKnown() || l.Paused || l.JID != "":
		return session.Disconnected
	}
	return session.Created
}

// isInactive reports whether the phase needs no connection.
func (l linkState) isInactive() bool { return l.Phase == idle || l.Phase == backingOff }

// code returns the current code.
func (l linkState) code() (secret.Secret, bool) {
	if l.Phase != showing || len(l.Codes) == 0 {
		return secret.Secret{}, false
	}
	return l.Codes[0], true
}

// enter starts a phase with a timeout; zero means none. Codes are dropped outside the phase showing.
func (l linkState) enter(p phase, now time.Time, timeout time.Duration) linkState {
	if p != l.Phase {
		l.Since = now
	}
	l.Phase, l.Deadline = p, time.Time{}
	if timeout > 0 {
		l.Deadline = now.Add(timeout)
	}
	if p != pairing {
		l.IsStored, l.HasRestart = false, false
	}
	if p != passkeyPending {
		l.Passkey = nil
	}
	if p != showing {
		l.Codes, l.Sequence, l.ShownAt = nil, 0, time.Time{}
	}
	return l
}

// dial requests a new connection.
func (l linkState) dial(now time.Time) linkState {
	l.Generation++
	l.IsBackground = !now.Before(l.WantedUntil)
	if l.JID != "" {
		return l.enter(queued, now, 0)
	}
	return l.enter(queued, now, max(l.WantedUntil.Sub(now), time.Second))
}

// stop enters idle for a reason.
func (l linkState) stop(why reason, now time.Time) linkState {
	l.LastDisconnect = why
	l.LastDisconnect.At = now
	l.Attempts = 0
	return l.enter(idle, now, 0)
}

// reason is why a session lost its connection: a diagnosis code and one sentence without secrets, error texts or the
// digits that clients read as a rate limit (contract 4.4).
type reason struct {
	Code diagnosis.Code
	Text string
	At   time.Time
}

// newReason leaves At zero; transition sets it.
func newReason(code diagnosis.Code, text string) reason { return reason{Code: code, Text: text} }

func (r reason) isKnown() bool { return r.Code != "" }

// isFatal reports whether a session that ended for this reason has the state "error" instead of "disconnected". A
// phone's owner who unlinks the device, and codes that no phone scanned, are no errors.
func (r reason) isFatal() bool {
	switch r.Code {
	case "", diagnosis.QRExpired, diagnosis.LoggedOut, diagnosis.SessionConflict:
		return false
	}
	return true
}

// event is an input of transition: a request, a step of the connection, or time. It is one of the types below.
type event any

// Events of requests and of the process.
type (
	// connectRequested is a connect. With force it replaces a working connection, too.
	connectRequested struct{ force bool }
	resume           struct{} // reconnects a paired session after a restart of the process
	// stopRequested closes the connection. With pause the session stays disconnected after a restart of the process.
	stopRequested struct{ pause bool }
)

// Events of a connection, in their usual order.
type (
	dialStarted   struct{} // it is the connection's turn to dial
	handshakeDone struct{} // the Noise handshake is done
	// codesReceived has the codes of an unpaired device.
	codesReceived struct{ codes []secret.Secret }
	// secretRenewed has the new secret of all codes.
	secretRenewed struct{ secret secret.Secret }
	// passkeyRequested means that the account needs a passkey; passkeyAccepted, that WhatsApp has accepted it and the
	// phone's owner compares a code.
	passkeyRequested struct{ options json.RawMessage }
	passkeyAccepted  struct{ code string }
	// scanned precedes the storing of a pairing; jid is the new device.
	scanned  struct{ jid string }
	paired   struct{} // the pairing is stored and signed
	restart  struct{} // WhatsApp requests a new connection (515), usually after a pairing
	loggedIn struct{} // a paired device is logged in
	// keepAliveMissed counts the pings in a row without a response.
	keepAliveMissed struct{ count int }
)

// Events that end a connection, and time.
type (
	// lost is an end after which a retry may help.
	lost struct{ why reason }
	// rejected is an end after which a retry does not help. unlinked: the device is removed, too. retryable: a paired
	// device retries nevertheless.
	rejected struct {
		why       reason
		unlinked  bool
		retryable bool
	}
	// tick means that the deadline may have passed.
	tick struct{}
)
