package embedded

import (
	"time"

	"qrgate/internal/diagnosis"
)

// reason is why a session lost its line: a cause from the gate's closed list, and one sentence without any
// secret, error text or the digits that clients take for a rate limit (contract 4.4).
type reason struct {
	Code diagnosis.Code
	Text string
	At   time.Time // when it was noticed
}

// newReason makes a reason; at is filled in when it is applied.
func newReason(code diagnosis.Code, text string) reason { return reason{Code: code, Text: text} }

// known reports whether there is a reason at all.
func (r reason) known() bool { return r.Code != "" }

// fatal reports whether a session that ended for this reason shows an error rather than "disconnected": it
// was not ended by the phone's owner or by nobody's interest.
func (r reason) fatal() bool {
	switch r.Code {
	case "", diagnosis.QRExpired, diagnosis.LoggedOut, diagnosis.SessionConflict:
		return false
	}
	return true
}
