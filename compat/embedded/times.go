package embedded

import (
	"time"

	"qrgate/internal/session"
)

// The watchdogs. The library has none of them (wasim 4, "More traps for a diagnoser").
const (
	dialTime    = 15 * time.Second // from the dial to the end of the Noise handshake
	codesTime   = 20 * time.Second // from the handshake to the codes
	restartTime = 10 * time.Second // from the scan to WhatsApp's wish for a new connection (515)
	loginTime   = 40 * time.Second // from the handshake of a linked device to its login
	drainTime   = 5 * time.Second  // for all lines to hang up when the engine ends
	logoutTime  = 5 * time.Second  // for WhatsApp to take a device off the phone's list
	writeTime   = 5 * time.Second  // for one write to the database
)

// interestTTL is how long a connect keeps the wish for a code alive: one whole set of six codes.
const interestTTL = session.FirstQRTTL + 5*session.RefreshQRTTL

// settledTime is how long codes must have been shown for the line to count as one that worked.
const settledTime = 10 * time.Second

// maxTries is how many lines in a row may come to nothing before an unlinked session gives up, and before a
// linked one admits that it is offline.
const maxTries = 3

// backoff is the rest after so many failures in a row: 1 s, doubled each time, at most a minute.
func backoff(tries int) time.Duration {
	return min(time.Second<<min(max(tries-1, 0), 6), time.Minute)
}

// maxMissedPings is how many pings in a row a linked session may leave unanswered: one is lost by every network.
const maxMissedPings = 2

// codeLife is how long the n-th code of a line is shown, counted from 1: as WhatsApp's own page does it
// (whatsmeow, events.QR). How long the server honours a code is not known; it is not shorter than this.
func codeLife(n int) time.Duration {
	if n == 1 {
		return session.FirstQRTTL
	}
	return session.RefreshQRTTL
}

const (
	closeTime  = 2 * time.Second        // for the library to close a socket
	closeLook  = 5 * time.Millisecond   // between two looks whether it has
	openTime   = 30 * time.Second       // for the database to open and bring its tables up to date
	resumeTime = 100 * time.Millisecond // between two sessions that reconnect after a restart of the process
)
