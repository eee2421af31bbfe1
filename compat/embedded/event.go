package embedded

import (
	"time"

	"qrgate/internal/secret"
)

// event is something that happened to a session: somebody's wish, a step of its line, or time.
type event interface{ isEvent() }

// What people and processes wish.
type (
	// connectRequested is a connect. With force a line that works is replaced too.
	connectRequested struct{ force bool }
	// resume brings a linked session back after a restart of the process, when its turn comes.
	resume struct{ in time.Duration }
	// stopRequested ends the line. With stay the session also stays away after a restart of the process.
	stopRequested struct{ stay bool }
)

// What a line reports, in the order in which it usually does.
type (
	dialStarted   struct{} // its turn to dial has come
	handshakeDone struct{} // the Noise handshake is done
	// codesReceived brings the codes of an unlinked device.
	codesReceived struct{ codes []secret.Secret }
	// scanned comes before anything of the pairing is stored; jid names the device to be.
	scanned  struct{ jid string }
	paired   struct{} // the pairing is stored and signed
	restart  struct{} // WhatsApp wants a new connection (515), usually after a pairing
	loggedIn struct{} // a linked device is logged in
	// keepAliveMissed says how many pings in a row were not answered.
	keepAliveMissed struct{ count int }
)

// How a line ends, and time.
type (
	// lost is an end after which trying again makes sense.
	lost struct{ why reason }
	// rejected is an end after which it does not. With unlinked the device is gone as well; with mild a
	// device that is linked tries again nevertheless.
	rejected struct {
		why       reason
		unlinked  bool
		retryable bool
	}
	// tick comes when a watchdog is due.
	tick struct{}
)

func (connectRequested) isEvent() {}
func (resume) isEvent()           {}
func (stopRequested) isEvent()    {}
func (dialStarted) isEvent()      {}
func (handshakeDone) isEvent()    {}
func (codesReceived) isEvent()    {}
func (scanned) isEvent()          {}
func (paired) isEvent()           {}
func (restart) isEvent()          {}
func (loggedIn) isEvent()         {}
func (keepAliveMissed) isEvent()  {}
func (lost) isEvent()             {}
func (rejected) isEvent()         {}
func (tick) isEvent()             {}
