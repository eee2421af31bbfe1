package whatsappsim

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"strconv"

	"go.mau.fi/whatsmeow/types"
)

// maxDevices is the maximum number of devices of one server.
const maxDevices = 4096

// deviceID identifies a paired device: the numbers of the account and of the device.
type deviceID struct {
	user   uint64
	device uint32
}

// device is a paired device, under Server.mu.
type device struct {
	noiseKey []byte
	lid      types.JID
	preKeys  int
	conn     *conn // the connection of its login, or nil
}

// authenticate checks the login on c. It returns the device's other identity and the connection that the device was
// logged in on before, if that is still open.
func (s *Server) authenticate(c *conn) (lid types.JID, older *conn, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := deviceID{c.payload.GetUsername(), c.payload.GetDevice()}
	d := s.state.devices[id]
	if d == nil || subtle.ConstantTimeCompare(d.noiseKey, c.noiseKey) == 0 {
		return types.JID{}, nil, false
	}
	older, d.conn, c.device = d.conn, c, id
	return d.lid, older, true
}

// removeDevice removes a device and returns the connection it is logged in on, or nil.
func (s *Server) removeDevice(id deviceID) *conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.state.devices[id]
	if d == nil {
		return nil
	}
	delete(s.state.devices, id)
	return d.conn
}

// logout removes the device of c, which the client requested.
func (s *Server) logout(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.state.devices, c.device)
}

// Unlink plays the owner of the phone who removes linked devices: the account's a.Device, or all of them if
// that is zero. It notifies those that are connected and closes their connections. It returns how many there were.
func (s *Server) Unlink(a Account) int {
	user, err := a.number()
	if err != nil {
		return 0
	}
	var ids []deviceID
	s.mu.Lock()
	for id := range s.state.devices {
		if id.user == user && (a.Device == 0 || id.device == uint32(a.Device)) {
			ids = append(ids, id)
		}
	}
	s.mu.Unlock()
	for _, id := range ids {
		if c := s.removeDevice(id); c != nil {
			c.requestClose("401")
		}
	}
	return len(ids)
}

// addPreKeys adds n to the prekeys the server holds for the device on c, and returns their number.
func (s *Server) addPreKeys(c *conn, n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.state.devices[c.device]
	if d == nil {
		return 0
	}
	d.preKeys = min(d.preKeys+n, maxPreKeys)
	return d.preKeys
}

// maxPreKeys is where the count of a device's prekeys stops.
const maxPreKeys = 100_000

// ErrAccount is the error of Scan for an account that cannot exist.
var ErrAccount = errors.New("whatsappsim: not an account")

// maxDevice is the largest device number; the wire format has one byte for it.
const maxDevice = 99

// Account is a simulated phone account. User alone is enough. Each account has its own identity key, the same in every
// process.
type Account struct {
	User   string `json:"user"`   // the phone number: 4 to 18 digits, not starting with 0
	LID    string `json:"lid"`    // its hidden identity, digits; empty means "9" and the number
	Device uint16 `json:"device"` // the number of the device to link, at most 99; zero means the next free one
	Name   string `json:"name"`   // the phone's platform; empty means "android"
}

// number returns the phone number in its wire form.
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
