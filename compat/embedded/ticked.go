package embedded

import (
	"time"

	"qrgate"
)

// ticked is what the watchdog of each phase does when it is due, and nothing before.
func (l link) ticked(now time.Time) link {
	if l.Due.IsZero() || now.Before(l.Due) {
		return l
	}
	switch l.Phase {
	case queued:
		return l.end(because(qrgate.EngineOverloaded, "Too many sessions connect at once; this one never had its turn."), now)
	case dialing:
		return l.lost(because(qrgate.WhatsAppSilent, "WhatsApp took the connection and did not finish the handshake."), now)
	case awaiting:
		return l.lost(because(qrgate.WhatsAppSilent, "WhatsApp finished the handshake and sent no codes."), now)
	case showing:
		return l.rotated(now)
	case pairing:
		return l.dial(now) // the wish for a new connection got lost; a new line is what it asks for
	case entering:
		return l.lost(because(qrgate.WhatsAppSilent, "WhatsApp did not finish the login."), now)
	case resting:
		return l.dial(now)
	}
	return l
}

// rotated shows the next code. After the last one nobody is there who would scan: the next connect begins
// anew.
func (l link) rotated(now time.Time) link {
	if len(l.Codes) <= 1 {
		return l.end(because(qrgate.QRExpired, "All codes of this connect were shown and none was scanned."), now)
	}
	l.Codes = l.Codes[1:]
	l.Sequence++
	l.Seen = now
	return l.into(showing, now, codeLife(l.Sequence))
}
