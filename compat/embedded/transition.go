package embedded

import (
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// Timeouts of the phases; whatsmeow has none of them.
const (
	dialTimeout    = 15 * time.Second // from the dial to the end of the Noise handshake
	codesTimeout   = 20 * time.Second // from the handshake to the codes
	storeTimeout   = time.Minute      // from the scan until the library has stored the pairing
	restartTimeout = 10 * time.Second // from then to WhatsApp's request for a new connection (515)
	passkeyTimeout = 5 * time.Minute  // from WhatsApp's request for a passkey; its proof of the scan ends then
	loginTimeout   = 40 * time.Second // from the handshake of a paired device to its login
)

// interestTTL is how long a client is assumed to wait after a connect: one whole set of six codes.
const interestTTL = session.FirstQRTTL + 5*session.RefreshQRTTL

var reasonPasskey = newReason(diagnosis.PasskeyRequired, "WhatsApp requires a passkey to link this account.")

// stableDelay is how long codes must be shown before the failure count restarts at zero.
const stableDelay = 10 * time.Second

// maxAttempts is the number of failed connections in a row after which an unpaired session stops, and a paired one
// reports that it is disconnected.
const maxAttempts = 3

// lateTimer is how late a deadline is noticed where the process does not get enough processor time: then the silence
// is not WhatsApp's.
const lateTimer = 2 * time.Second

// maxMissedPings is how many pings in a row a paired session may miss: every network loses one now and then.
const maxMissedPings = 2

// backoff is 1 s after the first failure, doubled after each further one, up to half longer by the session's jitter,
// and at most a minute.
func (l linkState) backoff() time.Duration {
	base := time.Second << min(max(l.Attempts-1, 0), 6)
	return min(base+time.Duration(l.Jitter*float64(base)/2), time.Minute)
}

// codeTTL is how long the n-th code of a connection is shown, counted from 1, as on WhatsApp's own page. How long
// the server accepts a code is not documented; it is not shorter than this.
func codeTTL(n int) time.Duration {
	if n == 1 {
		return session.FirstQRTTL
	}
	return session.RefreshQRTTL
}

// transition returns the state after event e at now. It is pure. It ignores events that do not apply to the current
// phase.
func transition(e event, l linkState, now time.Time) linkState {
	switch e := e.(type) {
	case connectRequested:
		return l.onConnectRequest(e, now)
	case resume:
		return l.onResume(now)
	case stopRequested:
		l.Paused = l.Paused || e.pause
		return l.stop(reason{}, now)
	case lost:
		return l.onLost(e.why, now)
	case rejected:
		return l.onRejected(e, now)
	case tick:
		return l.onDeadline(now)
	}
	if l.isInactive() {
		return l
	}
	return l.onConnectionEvent(e, now)
}

// onConnectionEvent handles events of an open connection. Their order is not certain: codes and logins may arrive
// before the dial's return is reported.
func (l linkState) onConnectionEvent(e event, now time.Time) linkState {
	switch e := e.(type) {
	case dialStarted:
		return l.enter(dialing, now, dialTimeout)
	case handshakeDone:
		return l.onHandshake(now)
	case codesReceived:
		return l.onCodes(e.codes, now)
	case secretRenewed:
		return l.onSecretRenewed(e.secret, now)
	case passkeyRequested:
		return l.onPasskey(e, now)
	case passkeyAccepted:
		if l.Passkey != nil {
			l.Passkey = &passkeyState{Code: e.code}
		}
	case scanned:
		if l.Phase == passkeyPending {
			l.LastDisconnect = reason{}
		}
		l.JID = e.jid
		return l.enter(pairing, now, storeTimeout)
	case paired:
		return l.onPaired(now)
	case restart:
		return l.onRestart(now)
	case loggedIn:
		l.Attempts = 0
		return l.enter(online, now, 0)
	case keepAliveMissed:
		if l.Phase == showing || e.count >= maxMissedPings {
			return l.onLost(newReason(diagnosis.WhatsAppSilent, "WhatsApp no longer answers on this connection."), now)
		}
	}
	return l
}

// onConnectRequest starts or continues a connection. It never interrupts a pairing, and an unpaired session that
// backs off keeps its backoff, so that impatient clients cause no storm of connections. A new connection clears the
// last disconnect reason: clients would take it for the present state.
func (l linkState) onConnectRequest(e connectRequested, now time.Time) linkState {
	l.WantedUntil, l.Paused = now.Add(interestTTL), false
	switch {
	case l.Phase == pairing, l.Phase == passkeyPending && !e.force:
		return l
	case l.Phase == idle || e.force:
		l.Attempts, l.LastDisconnect = 0, reason{}
		return l.dial(now)
	case l.Phase == backingOff && l.JID != "":
		return l.dial(now)
	}
	return l
}

func (l linkState) onResume(now time.Time) linkState {
	if l.Phase != idle || l.JID == "" || l.Paused {
		return l
	}
	return l.dial(now)
}

func (l linkState) onHandshake(now time.Time) linkState {
	switch {
	case l.Phase != dialing:
		return l
	case l.JID != "":
		return l.enter(loggingIn, now, loginTimeout)
	}
	return l.enter(awaiting, now, codesTimeout)
}

// onCodes shows the first code. A second set on the same connection invalidates the first.
func (l linkState) onCodes(codes []secret.Secret, now time.Time) linkState {
	switch {
	case l.JID != "":
		return l
	case len(codes) == 0:
		return l.onLost(newReason(diagnosis.WhatsAppSilent, textNoCodes), now)
	}
	l.Codes, l.Sequence, l.ShownAt = codes, 1, now
	return l.enter(showing, now, codeTTL(1))
}

// onSecretRenewed replaces the displayed code at once: WhatsApp refuses the old one.
func (l linkState) onSecretRenewed(fresh secret.Secret, now time.Time) linkState {
	if l.Phase != showing {
		return l
	}
	codes := make([]secret.Secret, len(l.Codes))
	for i, c := range l.Codes {
		codes[i] = withSecret(c, fresh)
	}
	l.Codes, l.ShownAt = codes, now
	l.Sequence++
	return l
}

// onPasskey keeps the connection: the pairing continues on it when a client sends the passkey.
func (l linkState) onPasskey(e passkeyRequested, now time.Time) linkState {
	if l.JID != "" {
		return l
	}
	l = l.enter(passkeyPending, now, passkeyTimeout)
	l.Passkey, l.LastDisconnect = &passkeyState{Options: e.options}, reasonPasskey
	l.LastDisconnect.At = now
	return l
}

// onRestart handles a 515: expected after a pairing, a lost connection before one.
func (l linkState) onRestart(now time.Time) linkState {
	if l.Phase == pairing {
		l.HasRestart = true
		return l.continuePairing(now)
	}
	if l.JID == "" {
		return l.onLost(newReason(diagnosis.WhatsAppUnavailable, textEarlyRestart), now)
	}
	return l.dial(now)
}

// onPaired waits for WhatsApp's request for a new connection, unless it has arrived.
func (l linkState) onPaired(now time.Time) linkState {
	if l.Phase != pairing {
		return l
	}
	l.IsStored = true
	return l.enter(pairing, now, restartTimeout).continuePairing(now)
}

// continuePairing dials again when the pairing needs the present connection no longer.
func (l linkState) continuePairing(now time.Time) linkState {
	if l.Phase == pairing && l.IsStored && l.HasRestart {
		return l.dial(now)
	}
	return l
}

// onLost closes the connection and retries after a backoff, unless an unpaired session has failed too often or no
// client waits for a code.
func (l linkState) onLost(why reason, now time.Time) linkState {
	switch {
	case l.isInactive():
		return l
	case l.Phase == pairing: // WhatsApp closes the connection after a pairing; the next one shows the result
		l.HasRestart = true
		return l.continuePairing(now)
	case l.Phase == passkeyPending:
		return l.stop(reasonPasskey, now)
	case l.Phase == online, l.Phase == showing && now.Sub(l.Since) >= stableDelay:
		l.Attempts = 0
	}
	l.Attempts++
	if l.JID == "" && (l.Attempts >= maxAttempts || !now.Before(l.WantedUntil)) {
		return l.stop(why, now)
	}
	l.LastDisconnect = why
	l.LastDisconnect.At = now
	return l.enter(backingOff, now, l.backoff())
}

// onRejected stops the session. A device may be removed from a session without a connection, too.
func (l linkState) onRejected(e rejected, now time.Time) linkState {
	if l.Phase == idle && (l.JID == "" || !e.unlinked) {
		return l
	}
	if e.retryable && l.JID != "" {
		return l.onLost(e.why, now)
	}
	if e.unlinked {
		l.JID = ""
	}
	return l.stop(e.why, now)
}

// onDeadline handles the end of a phase's timeout, backoff or code.
func (l linkState) onDeadline(now time.Time) linkState {
	if l.Deadline.IsZero() || now.Before(l.Deadline) {
		return l
	}
	awaitsWhatsApp := l.Phase == dialing || l.Phase == awaiting || l.Phase == loggingIn
	if awaitsWhatsApp && now.Sub(l.Deadline) >= lateTimer {
		return l.onLost(newReason(diagnosis.EngineOverloaded, "This process got no processor time for a while."), now)
	}
	switch l.Phase {
	case queued:
		return l.stop(newReason(diagnosis.EngineOverloaded,
			"Too many sessions connect at the same time; this one had to wait too long."), now)
	case dialing:
		return l.onLost(newReason(diagnosis.WhatsAppSilent, textNoHandshake), now)
	case awaiting:
		return l.onLost(newReason(diagnosis.WhatsAppSilent, "WhatsApp finished the handshake and sent no codes."), now)
	case showing:
		return l.showNextCode(now)
	case pairing:
		return l.onPairingTimeout(now)
	case passkeyPending:
		return l.stop(reasonPasskey, now)
	case loggingIn:
		return l.onLost(newReason(diagnosis.WhatsAppSilent, "WhatsApp did not finish the login."), now)
	case backingOff:
		return l.dial(now)
	}
	return l
}

// onPairingTimeout dials if WhatsApp's request for a new connection got lost. Before the device is stored, a new
// connection would find no keys and take the phone's device for unlinked.
func (l linkState) onPairingTimeout(now time.Time) linkState {
	if l.IsStored {
		return l.dial(now)
	}
	return l.onRejected(rejected{unlinked: true,
		why: newReason(diagnosis.PairingFailed, "A phone scanned the code, but the pairing was not stored in time.")}, now)
}

// showNextCode stops the session after the last code; the next connect starts again.
func (l linkState) showNextCode(now time.Time) linkState {
	if len(l.Codes) <= 1 {
		return l.stop(newReason(diagnosis.QRExpired, "All codes of this connect were shown and none was scanned."), now)
	}
	l.Codes = l.Codes[1:]
	l.Sequence++
	l.ShownAt = now
	return l.enter(showing, now, codeTTL(l.Sequence))
}
