package embedded

import (
	"time"

	"qrgate"
)

// event is something that happened to a session: somebody's wish, a step of its line, or time.
type event interface{ isEvent() }

// What people and processes wish.
type (
	// demand is a connect. With force a line that works is replaced too.
	demand struct{ force bool }
	// resume brings a linked session back after a restart of the process, when its turn comes.
	resume struct{ in time.Duration }
	// halt ends the line. With stay the session also stays away after a restart of the process.
	halt struct{ stay bool }
)

// What a line reports, in the order in which it usually does.
type (
	admitted struct{} // its turn to dial has come
	opened   struct{} // the Noise handshake is done
	// offered brings the codes of an unlinked device.
	offered struct{ codes []qrgate.Secret }
	// scanned comes before anything of the pairing is stored; jid names the device to be.
	scanned struct{ jid string }
	paired  struct{} // the pairing is stored and signed
	restart struct{} // WhatsApp wants a new connection (515), usually after a pairing
	joined  struct{} // a linked device is logged in
	// stalled says how many pings in a row were not answered.
	stalled struct{ count int }
)

// How a line ends, and time.
type (
	// lost is an end after which trying again makes sense.
	lost struct{ why reason }
	// refused is an end after which it does not. With unlinked the device is gone as well; with mild a
	// device that is linked tries again nevertheless.
	refused struct {
		why      reason
		unlinked bool
		mild     bool
	}
	// tick comes when a watchdog is due.
	tick struct{}
)

func (demand) isEvent()   {}
func (resume) isEvent()   {}
func (halt) isEvent()     {}
func (admitted) isEvent() {}
func (opened) isEvent()   {}
func (offered) isEvent()  {}
func (scanned) isEvent()  {}
func (paired) isEvent()   {}
func (restart) isEvent()  {}
func (joined) isEvent()   {}
func (stalled) isEvent()  {}
func (lost) isEvent()     {}
func (refused) isEvent()  {}
func (tick) isEvent()     {}
