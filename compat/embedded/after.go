package embedded

import (
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/secret"
)

// transition is the link that follows l when e happens at now. It is the whole behaviour of a session: pure, and
// deaf to events that make no sense in the present phase.
func transition(e event, l linkState, now time.Time) linkState {
	switch e := e.(type) {
	case connectRequested:
		return l.onConnectRequest(e, now)
	case resume:
		return l.onResume(e, now)
	case stopRequested:
		l.Paused = l.Paused || e.stay
		return l.end(reason{}, now)
	case lost:
		return l.onLost(e.why, now)
	case rejected:
		return l.refused(e, now)
	case tick:
		return l.onDeadline(now)
	}
	if l.inactive() {
		return l
	}
	return l.onConnectionEvent(e, now)
}

// onConnectionEvent is what a line that is alive says of itself. The order of its words is not certain: codes and
// logins may come before the dial's own return is reported.
func (l linkState) onConnectionEvent(e event, now time.Time) linkState {
	switch e := e.(type) {
	case dialStarted:
		return l.enter(dialing, now, dialTime)
	case handshakeDone:
		return l.opened(now)
	case codesReceived:
		return l.offered(e.codes, now)
	case scanned:
		l.JID = e.jid
		return l.enter(pairing, now, restartTime)
	case paired:
		return l.paired(now, pairingProgress{Stored: true})
	case restart:
		return l.restarted(now)
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

// onConnectRequest begins, or goes on. A phone that is pairing is never disturbed; an unlinked session that rests
// goes on resting, so that impatience does not become a storm of connections. What ended an earlier wish is
// forgotten with a new one: it would be taken for the present state of things.
func (l linkState) onConnectRequest(e connectRequested, now time.Time) linkState {
	l.Wanted, l.Paused = now.Add(interestTTL), false
	switch {
	case l.Phase == pairing:
		return l
	case l.Phase == idle || e.force:
		l.Attempts, l.Last = 0, reason{}
		return l.dial(now)
	case l.Phase == backingOff && l.JID != "":
		return l.dial(now)
	}
	return l
}

// onResume rests until its turn: all sessions of a process come back at once, and WhatsApp should not see it.
func (l linkState) onResume(e resume, now time.Time) linkState {
	if l.Phase != idle || l.JID == "" || l.Paused {
		return l
	}
	return l.enter(backingOff, now, max(e.in, time.Millisecond))
}

func (l linkState) opened(now time.Time) linkState {
	switch {
	case l.Phase != dialing:
		return l
	case l.JID != "":
		return l.enter(loggingIn, now, loginTime)
	}
	return l.enter(awaiting, now, codesTime)
}

// offered shows the first code. A second set on the same line replaces the first, whose codes are dead then.
func (l linkState) offered(codes []secret.Secret, now time.Time) linkState {
	switch {
	case l.JID != "":
		return l
	case len(codes) == 0:
		return l.onLost(newReason(diagnosis.WhatsAppSilent, "WhatsApp sent an empty set of codes."), now)
	}
	l.Codes, l.Sequence, l.Seen = codes, 1, now
	return l.enter(showing, now, codeLife(1))
}

// restarted follows a 515: expected after a pairing, and a plain loss before one.
func (l linkState) restarted(now time.Time) linkState {
	if l.Phase == pairing {
		return l.paired(now, pairingProgress{Restart: true})
	}
	if l.JID == "" {
		return l.onLost(newReason(diagnosis.WhatsAppUnavailable, "WhatsApp asked for a new connection before any code was scanned."), now)
	}
	return l.dial(now)
}

// paired dials anew once nothing of the pairing is left to do on this line.
func (l linkState) paired(now time.Time, more pairingProgress) linkState {
	if l.Phase != pairing {
		return l
	}
	l.Pairing.Stored = l.Pairing.Stored || more.Stored
	l.Pairing.Restart = l.Pairing.Restart || more.Restart
	if l.Pairing.Stored && l.Pairing.Restart {
		return l.dial(now)
	}
	return l
}

// onLost ends a line and, as long as it makes sense, tries again after a rest.
func (l linkState) onLost(why reason, now time.Time) linkState {
	switch {
	case l.inactive():
		return l
	case l.Phase == pairing: // WhatsApp hangs up after a pairing; the new line will tell how it went
		return l.paired(now, pairingProgress{Restart: true})
	case l.Phase == online, l.Phase == showing && now.Sub(l.Since) >= settledTime:
		l.Attempts = 0
	}
	l.Attempts++
	if l.JID == "" && (l.Attempts >= maxTries || !now.Before(l.Wanted)) {
		return l.end(why, now)
	}
	l.Last = why
	l.Last.At = now
	return l.enter(backingOff, now, backoff(l.Attempts))
}

// refused ends a line for good. A device may be taken away from a session that has no line, too.
func (l linkState) refused(e rejected, now time.Time) linkState {
	if l.Phase == idle && (l.JID == "" || !e.unlinked) {
		return l
	}
	if e.retryable && l.JID != "" {
		return l.onLost(e.why, now)
	}
	if e.unlinked {
		l.JID = ""
	}
	return l.end(e.why, now)
}
