package whatsappsim

import (
	"crypto/rand"
	"encoding/base64"
	"strconv"
	"time"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// ref is the server's half of a QR code: a ticket that leads a phone to the connection that shows it.
type ref struct {
	conn *conn
	dies time.Time
	dead bool // retired by a companion_reg_refresh
}

// lives says for each of count refs how long after they were sent it can still be scanned.
func lives(life []time.Duration, count int) []time.Duration {
	if len(life) == 0 {
		life = []time.Duration{60 * time.Second, 20 * time.Second}
	}
	out := make([]time.Duration, count)
	var end time.Duration
	for i := range out {
		end += life[min(i, len(life)-1)]
		out[i] = end
	}
	return out
}

// sendRefs sends <pair-device>.
func (s *Server) sendRefs(c *conn) error {
	count := c.fault.refs()
	nodes := make([]waBinary.Node, count)
	now := time.Now()
	s.mu.Lock()
	if s.state.refs == nil {
		s.state.refs = map[string]*ref{}
	}
	for i, life := range lives(s.RefLife, count) {
		text := newRef(i)
		nodes[i] = waBinary.Node{Tag: "ref", Content: []byte(text)}
		s.state.refs[text] = &ref{conn: c, dies: now.Add(life)}
	}
	s.state.stats.PairDevices++
	s.mu.Unlock()
	return s.send(c, request(newID(), waBinary.Node{Tag: "pair-device", Content: nodes}))
}

// newRef makes a ref in the shape of the real ones.
func newRef(i int) string {
	b := make([]byte, 60)
	_, _ = rand.Read(b) // never fails
	return "2@" + base64.StdEncoding.EncodeToString(b) + strconv.Itoa(i)
}

// refresh retires the refs of a connection and tells the client, as the real server does since July 2026.
func (s *Server) refresh(c *conn) {
	s.mu.Lock()
	for _, r := range s.state.refs {
		if r.conn == c {
			r.dead = true
		}
	}
	s.mu.Unlock()
	_ = s.send(c, waBinary.Node{Tag: "notification", Attrs: waBinary.Attrs{ // a lost connection is seen by the reader
		"from": types.ServerJID, "id": newID(), "t": time.Now().Unix(), "type": "companion_reg_refresh"}})
}

// forgetRefs drops the refs of a connection. The caller holds s.mu.
func (s *Server) forgetRefs(c *conn) {
	for text, r := range s.state.refs {
		if r.conn == c {
			delete(s.state.refs, text)
		}
	}
}
