package embedded

import (
	"time"

	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// phase is where a session's line stands.
type phase string

const (
	idle       phase = ""         // no line, and nobody wants one
	queued     phase = "queued"   // waits for its turn to dial
	dialing    phase = "dialing"  // TCP, TLS, upgrade, Noise
	awaiting   phase = "awaiting" // unlinked: waits for the codes
	showing    phase = "showing"  // a code can be scanned
	pairing    phase = "pairing"  // a phone has scanned one
	loggingIn  phase = "entering" // linked: waits for the login
	online     phase = "online"   // linked and logged in
	backingOff phase = "resting"  // will try again when due
)

// linkState is what the engine believes of a session's way to a phone.
type linkState struct {
	Phase    phase
	Since    time.Time // when the phase began
	Deadline time.Time // when its watchdog barks; zero: never

	JID    string    // the linked device; empty while there is none
	Paused bool      // somebody disconnected it: it stays away until the next connect
	Wanted time.Time // until when somebody waits for a code

	Generation int // lines begun so far; another number asks for a fresh one
	Attempts   int // lines in a row that came to nothing

	Pairing pairingProgress // how far a pairing has come

	Codes    []secret.Secret // the code that is shown, then those to come
	Sequence int             // its number on this line, from 1
	Seen     time.Time       // since when it is shown

	Last reason // why the last line ended
}

// pairingProgress is what must both have happened before a line on which a phone scanned a code may be given up. The
// library deletes the new device if its line ends while it still signs, and WhatsApp's wish for a new
// connection may overtake it.
type pairingProgress struct {
	Stored  bool // the library has stored and signed everything
	Restart bool // WhatsApp wants the new connection, or has hung up
}

// state is the link in the gate's words.
func (l linkState) state() session.State {
	switch l.Phase {
	case showing:
		return session.AwaitingScan
	case online:
		return session.Connected
	case idle:
		return l.idleState()
	}
	if l.JID != "" && l.Attempts >= maxTries {
		return session.Disconnected // it goes on trying, and says so no longer
	}
	return session.Connecting
}

func (l linkState) idleState() session.State {
	switch {
	case l.Last.fatal():
		return session.Failed
	case l.Last.known() || l.Paused || l.JID != "":
		return session.Disconnected
	}
	return session.Created
}

// inactive reports whether the link needs no line at present.
func (l linkState) inactive() bool { return l.Phase == idle || l.Phase == backingOff }

// code is the code that is shown, and whether there is one.
func (l linkState) code() (secret.Secret, bool) {
	if l.Phase != showing || len(l.Codes) == 0 {
		return secret.Secret{}, false
	}
	return l.Codes[0], true
}

// enter enters a phase that may last for limit; zero is without limit. Codes do not outlive showing.
func (l linkState) enter(p phase, now time.Time, limit time.Duration) linkState {
	if p != l.Phase {
		l.Since = now
	}
	l.Phase, l.Deadline = p, time.Time{}
	if limit > 0 {
		l.Deadline = now.Add(limit)
	}
	if p != pairing {
		l.Pairing = pairingProgress{}
	}
	if p != showing {
		l.Codes, l.Sequence, l.Seen = nil, 0, time.Time{}
	}
	return l
}

// dial asks for a fresh line.
func (l linkState) dial(now time.Time) linkState {
	l.Generation++
	if l.JID != "" {
		return l.enter(queued, now, 0)
	}
	return l.enter(queued, now, max(l.Wanted.Sub(now), time.Second))
}

// end is idle for a reason.
func (l linkState) end(why reason, now time.Time) linkState {
	l.Last = why
	l.Last.At = now
	l.Attempts = 0
	return l.enter(idle, now, 0)
}
