package embedded

import (
	"time"

	"qrgate/internal/diagnosis"
)

// onDeadline is what the watchdog of each phase does when it is due, and nothing before.
func (l linkState) onDeadline(now time.Time) linkState {
	if l.Deadline.IsZero() || now.Before(l.Deadline) {
		return l
	}
	switch l.Phase {
	case queued:
		return l.end(newReason(diagnosis.EngineOverloaded, "Too many sessions connect at once; this one never had its turn."), now)
	case dialing:
		return l.onLost(newReason(diagnosis.WhatsAppSilent, "WhatsApp took the connection and did not finish the handshake."), now)
	case awaiting:
		return l.onLost(newReason(diagnosis.WhatsAppSilent, "WhatsApp finished the handshake and sent no codes."), now)
	case showing:
		return l.nextCode(now)
	case pairing:
		return l.dial(now) // the wish for a new connection got lost; a new line is what it asks for
	case loggingIn:
		return l.onLost(newReason(diagnosis.WhatsAppSilent, "WhatsApp did not finish the login."), now)
	case backingOff:
		return l.dial(now)
	}
	return l
}

// nextCode shows the next code. After the last one nobody is there who would scan: the next connect begins
// anew.
func (l linkState) nextCode(now time.Time) linkState {
	if len(l.Codes) <= 1 {
		return l.end(newReason(diagnosis.QRExpired, "All codes of this connect were shown and none was scanned."), now)
	}
	l.Codes = l.Codes[1:]
	l.Sequence++
	l.Seen = now
	return l.enter(showing, now, codeLife(l.Sequence))
}
