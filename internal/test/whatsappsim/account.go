package whatsappsim

import (
	"errors"
	"fmt"
	"strconv"

	"go.mau.fi/whatsmeow/types"
)

// ErrAccount is what Scan returns for an account that cannot exist.
var ErrAccount = errors.New("wasim: not an account")

// maxDevice is the largest number a linked device can have here; one byte carries it on the wire.
const maxDevice = 99

// Account is a made-up phone account. User alone is enough. Every account has an identity key of its own,
// the same in every process.
type Account struct {
	User   string `json:"user"`   // the phone number: 4 to 18 digits, not starting with 0
	LID    string `json:"lid"`    // its hidden identity, digits; empty means "9" and the number
	Device uint16 `json:"device"` // the number of the device to link, at most 99; zero means the next free one
	Name   string `json:"name"`   // the phone's platform; empty means "android"
}

// number returns the phone number as the wire carries it.
func (a Account) number() (uint64, error) {
	if len(a.User) < 4 || len(a.User) > 18 || a.Device > maxDevice {
		return 0, fmt.Errorf("%w: it takes 4 to 18 digits and a device up to %d", ErrAccount, maxDevice)
	}
	for _, text := range []string{a.User, a.LID} {
		for _, r := range text {
			if r < '0' || r > '9' {
				return 0, fmt.Errorf("%w: digits only", ErrAccount)
			}
		}
	}
	if a.User[0] == '0' {
		return 0, fmt.Errorf("%w: it starts with 0", ErrAccount)
	}
	return strconv.ParseUint(a.User, 10, 64)
}

func (a Account) jid() types.JID {
	return types.JID{User: a.User, Device: a.Device, Server: types.DefaultUserServer}
}

func (a Account) lid() types.JID {
	return types.JID{User: a.LID, Device: a.Device, Server: types.HiddenUserServer}
}
