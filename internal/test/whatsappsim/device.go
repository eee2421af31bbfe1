package whatsappsim

import (
	"crypto/subtle"

	"go.mau.fi/whatsmeow/types"
)

// maxDevices bounds the devices that one server remembers.
const maxDevices = 4096

// deviceID names a paired device: the account's number and the device's.
type deviceID struct {
	user   uint64
	device uint32
}

// device is a paired device, under Server.mu.
type device struct {
	noiseKey []byte
	lid      types.JID
	preKeys  int
	conn     *conn // where it is logged in, or nil
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

// remove forgets a device and returns the connection it is logged in on, or nil.
func (s *Server) remove(id deviceID) *conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.state.devices[id]
	if d == nil {
		return nil
	}
	delete(s.state.devices, id)
	return d.conn
}

// logout forgets the device on c, at its own wish.
func (s *Server) logout(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.state.devices, c.device)
}

// Unlink plays the owner of the phone who removes linked devices: the account's a.Device, or all of them if
// that is zero. Those that are connected are told so and cut. It returns how many there were.
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
		if c := s.remove(id); c != nil {
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
