package whatsappsim

import (
	"crypto/rand"
	"strconv"
	"time"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// closeDelay is how long TCP stays open after a <failure> or <stream:error>. It keeps a client that hangs up
// at once from seeing both ends close in the same moment.
const closeDelay = 200 * time.Millisecond

// serveConn is the server's part of a connection after the handshake.
func (s *Server) serveConn(c *conn) {
	if !c.pause(s.FirstFrameDelay) {
		return
	}
	switch f := c.fault; {
	case f.Failure != 0:
		s.end(c, failure(f.Failure))
	case f.StreamError != "":
		s.end(c, streamError(f.StreamError))
	case c.payload.GetDevicePairingData() != nil:
		s.register(c)
	default:
		s.login(c)
	}
}

// register hands out refs and waits for what becomes of them. The server closes nothing when they have run
// out: the clients hang up by themselves.
func (s *Server) register(c *conn) {
	f := c.fault
	if f.NoPairDevice {
		return
	}
	if !c.pause(f.PairDelay) || s.sendRefs(c) != nil {
		return
	}
	cut, refresh := newAlarm(f.CutAfterRefs), newAlarm(f.RefreshAfterRefs)
	defer cut.stop()
	defer refresh.stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-cut.rings:
			c.cut()
		case <-refresh.rings:
			s.refresh(c)
		case code := <-c.orders:
			s.end(c, streamError(code))
			return
		}
	}
}

// login lets a paired device in and waits for what becomes of it.
func (s *Server) login(c *conn) {
	lid, older, ok := s.authenticate(c)
	if !ok {
		s.end(c, failure(401))
		return
	}
	if older != nil {
		older.requestClose(conflict)
	}
	if s.send(c, success(lid)) != nil {
		return
	}
	s.count(func(st *Stats) { st.Logins++ })
	unlink := newAlarm(c.fault.UnlinkAfter)
	defer unlink.stop()
	select {
	case <-c.ctx.Done():
	case <-unlink.rings:
		s.remove(c.device)
		s.end(c, streamError("401"))
	case code := <-c.orders:
		s.end(c, streamError(code))
	}
}

// end says the last word and drops the connection a little later.
func (s *Server) end(c *conn, last waBinary.Node) {
	if s.send(c, last) == nil {
		c.pause(closeDelay)
	}
	c.cut()
}

// alarm rings once after d, or never if d is not positive.
type alarm struct {
	rings <-chan time.Time
	stop  func() bool
}

func newAlarm(d time.Duration) alarm {
	if d <= 0 {
		return alarm{stop: func() bool { return false }}
	}
	t := time.NewTimer(d)
	return alarm{rings: t.C, stop: t.Stop}
}

// conflict is the code by which a <stream:error> is asked for that has none.
const conflict = "conflict"

func failure(reason int) waBinary.Node {
	return waBinary.Node{Tag: "failure", Attrs: waBinary.Attrs{"reason": reason, "location": "sim"}}
}

func streamError(code string) waBinary.Node {
	n := waBinary.Node{Tag: "stream:error", Attrs: waBinary.Attrs{"code": code}}
	switch code {
	case conflict:
		n.Attrs, n.Content = nil, child("conflict", waBinary.Attrs{"type": "replaced"})
	case "401":
		n.Content = child("conflict", waBinary.Attrs{"type": "device_removed"})
	}
	return n
}

func success(lid types.JID) waBinary.Node {
	return waBinary.Node{Tag: "success", Attrs: waBinary.Attrs{
		"t": time.Now().Unix(), "lid": lid, "props": 1, "companion_enc_static": "x", "location": "sim"}}
}

func child(tag string, attrs waBinary.Attrs) []waBinary.Node {
	return []waBinary.Node{{Tag: tag, Attrs: attrs}}
}

// request is an <iq> from the server that the client has to answer. Its sender is a JID token, which
// whatsmeow insists on (pair.go, handleIQ).
func request(id string, content ...waBinary.Node) waBinary.Node {
	return waBinary.Node{Tag: "iq", Content: content, Attrs: waBinary.Attrs{
		"from": types.ServerJID, "type": "set", "id": id, "xmlns": "md", "t": time.Now().Unix()}}
}

// newID makes the id of a request.
func newID() string {
	b := make([]byte, 4)
	_, _ = rand.Read(b) // never fails
	return strconv.FormatUint(uint64(b[0])<<24|uint64(b[1])<<16|uint64(b[2])<<8|uint64(b[3]), 10)
}
