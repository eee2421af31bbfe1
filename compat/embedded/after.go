package embedded

import (
	"time"

	"qrgate"
)

// after is the link that follows l when e happens at now. It is the whole behaviour of a session: pure, and
// deaf to events that make no sense in the present phase.
func after(e event, l link, now time.Time) link {
	switch e := e.(type) {
	case demand:
		return l.demanded(e, now)
	case resume:
		return l.resumed(e, now)
	case halt:
		l.Paused = l.Paused || e.stay
		return l.end(reason{}, now)
	case lost:
		return l.lost(e.why, now)
	case refused:
		return l.refused(e, now)
	case tick:
		return l.ticked(now)
	}
	if l.quiet() {
		return l
	}
	return l.reported(e, now)
}

// reported is what a line that is alive says of itself. The order of its words is not certain: codes and
// logins may come before the dial's own return is reported.
func (l link) reported(e event, now time.Time) link {
	switch e := e.(type) {
	case admitted:
		return l.into(dialing, now, dialTime)
	case opened:
		return l.opened(now)
	case offered:
		return l.offered(e.codes, now)
	case scanned:
		l.JID = e.jid
		return l.into(pairing, now, restartTime)
	case paired:
		return l.paired(now, pairedness{Stored: true})
	case restart:
		return l.restarted(now)
	case joined:
		l.Tries = 0
		return l.into(online, now, 0)
	case stalled:
		if l.Phase == showing || e.count >= patience {
			return l.lost(because(qrgate.WhatsAppSilent, "WhatsApp no longer answers on this connection."), now)
		}
	}
	return l
}

// demanded begins, or goes on. A phone that is pairing is never disturbed; an unlinked session that rests
// goes on resting, so that impatience does not become a storm of connections. What ended an earlier wish is
// forgotten with a new one: it would be taken for the present state of things.
func (l link) demanded(e demand, now time.Time) link {
	l.Wanted, l.Paused = now.Add(wantTime), false
	switch {
	case l.Phase == pairing:
		return l
	case l.Phase == idle || e.force:
		l.Tries, l.Last = 0, reason{}
		return l.dial(now)
	case l.Phase == resting && l.JID != "":
		return l.dial(now)
	}
	return l
}

// resumed rests until its turn: all sessions of a process come back at once, and WhatsApp should not see it.
func (l link) resumed(e resume, now time.Time) link {
	if l.Phase != idle || l.JID == "" || l.Paused {
		return l
	}
	return l.into(resting, now, max(e.in, time.Millisecond))
}

func (l link) opened(now time.Time) link {
	switch {
	case l.Phase != dialing:
		return l
	case l.JID != "":
		return l.into(entering, now, loginTime)
	}
	return l.into(awaiting, now, codesTime)
}

// offered shows the first code. A second set on the same line replaces the first, whose codes are dead then.
func (l link) offered(codes []qrgate.Secret, now time.Time) link {
	switch {
	case l.JID != "":
		return l
	case len(codes) == 0:
		return l.lost(because(qrgate.WhatsAppSilent, "WhatsApp sent an empty set of codes."), now)
	}
	l.Codes, l.Sequence, l.Seen = codes, 1, now
	return l.into(showing, now, codeLife(1))
}

// restarted follows a 515: expected after a pairing, and a plain loss before one.
func (l link) restarted(now time.Time) link {
	if l.Phase == pairing {
		return l.paired(now, pairedness{Restart: true})
	}
	if l.JID == "" {
		return l.lost(because(qrgate.WhatsAppUnavailable, "WhatsApp asked for a new connection before any code was scanned."), now)
	}
	return l.dial(now)
}

// paired dials anew once nothing of the pairing is left to do on this line.
func (l link) paired(now time.Time, more pairedness) link {
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

// lost ends a line and, as long as it makes sense, tries again after a rest.
func (l link) lost(why reason, now time.Time) link {
	switch {
	case l.quiet():
		return l
	case l.Phase == pairing: // WhatsApp hangs up after a pairing; the new line will tell how it went
		return l.paired(now, pairedness{Restart: true})
	case l.Phase == online, l.Phase == showing && now.Sub(l.Since) >= settledTime:
		l.Tries = 0
	}
	l.Tries++
	if l.JID == "" && (l.Tries >= maxTries || !now.Before(l.Wanted)) {
		return l.end(why, now)
	}
	l.Last = why
	l.Last.At = now
	return l.into(resting, now, pause(l.Tries))
}

// refused ends a line for good. A device may be taken away from a session that has no line, too.
func (l link) refused(e refused, now time.Time) link {
	if l.Phase == idle && (l.JID == "" || !e.unlinked) {
		return l
	}
	if e.mild && l.JID != "" {
		return l.lost(e.why, now)
	}
	if e.unlinked {
		l.JID = ""
	}
	return l.end(e.why, now)
}
