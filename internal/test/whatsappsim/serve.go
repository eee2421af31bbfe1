package whatsappsim

import (
	"crypto/rand"
	"encoding/base64"
	"strconv"
	"time"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// closeDelay is how long TCP stays open after a <failure> or <stream:error>. Without it, a client that closes at once
// would see both ends close in the same moment.
const closeDelay = 200 * time.Millisecond

// serveConn is the server's side of a connection after the handshake.
func (s *Server) serveConn(c *conn) {
	if !c.wait(s.FirstFrameDelay) {
		return
	}
	switch f := c.fault; {
	case f.Failure != 0:
		s.closeWith(c, failure(f.Failure))
	case c.payload.GetUserAgent().GetAppVersion().GetTertiary() < f.MinRevision:
		s.closeWith(c, failure(405))
	case f.StreamError != "":
		s.closeWith(c, streamError(f.StreamError))
	case c.payload.GetDevicePairingData() != nil:
		s.register(c)
	default:
		s.login(c)
	}
}

// register sends refs and waits for the end of the connection. The server does not close it when the refs have expired:
// the clients do.
func (s *Server) register(c *conn) {
	f := c.fault
	if f.NoPairDevice {
		return
	}
	if !c.wait(f.PairDelay) || s.sendRefs(c) != nil {
		return
	}
	cut, refresh := newTimer(f.CutAfterRefs), newTimer(f.RefreshAfterRefs)
	defer cut.stop()
	defer refresh.stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-cut.fires:
			c.cut()
		case <-refresh.fires:
			s.retireRefs(c)
		case code := <-c.closeRequests:
			s.closeWith(c, streamError(code))
			return
		}
	}
}

// login logs a paired device in and waits for the end of the connection.
func (s *Server) login(c *conn) {
	lid, older, ok := s.authenticate(c)
	if !ok {
		s.closeWith(c, failure(401))
		return
	}
	if older != nil {
		older.requestClose(conflict)
	}
	if s.send(c, success(lid)) != nil {
		return
	}
	s.count(func(st *Stats) { st.Logins++ })
	unlink := newTimer(c.fault.UnlinkAfter)
	defer unlink.stop()
	select {
	case <-c.ctx.Done():
	case <-unlink.fires:
		s.removeDevice(c.device)
		s.closeWith(c, streamError("401"))
	case code := <-c.closeRequests:
		s.closeWith(c, streamError(code))
	}
}

// closeWith sends a last node and drops the connection after closeDelay.
func (s *Server) closeWith(c *conn, last waBinary.Node) {
	if s.send(c, last) == nil {
		c.wait(closeDelay)
	}
	c.cut()
}

// timer fires once after d, or never if d is not positive.
type timer struct {
	fires <-chan time.Time
	stop  func() bool
}

func newTimer(d time.Duration) timer {
	if d <= 0 {
		return timer{stop: func() bool { return false }}
	}
	t := time.NewTimer(d)
	return timer{fires: t.C, stop: t.Stop}
}

// conflict requests a <stream:error> without a code.
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

// newIQ returns an <iq> from the server that the client must respond to. Its sender is a JID token, because
// whatsmeow requires one (pair.go, handleIQ).
func newIQ(id string, content ...waBinary.Node) waBinary.Node {
	return waBinary.Node{Tag: "iq", Content: content, Attrs: waBinary.Attrs{
		"from": types.ServerJID, "type": "set", "id": id, "xmlns": "md", "t": time.Now().Unix()}}
}

// newID returns a random id for a request.
func newID() string {
	b := make([]byte, 4)
	_, _ = rand.Read(b) // never fails
	return strconv.FormatUint(uint64(b[0])<<24|uint64(b[1])<<16|uint64(b[2])<<8|uint64(b[3]), 10)
}

// handle responds to a node of the client. Only an <iq> gets a response.
func (s *Server) handle(c *conn, n *waBinary.Node) {
	id, _ := n.Attrs["id"].(string)
	if n.Tag != "iq" || id == "" {
		return
	}
	kind, _ := n.Attrs["type"].(string)
	if kind == "result" || kind == "error" {
		s.deliver(c, id, n)
		return
	}
	if c.fault.SilentIQ {
		return
	}
	for _, out := range s.respond(c, n) {
		if out.Tag == "iq" {
			out.Attrs["id"] = id
		}
		if s.send(c, out) != nil {
			return
		}
	}
}

// deliver passes the client's response to a pair-success to the waiting Scan; other responses acknowledge refs and are
// ignored.
func (s *Server) deliver(c *conn, id string, n *waBinary.Node) {
	s.mu.Lock()
	wanted := c.pairID == id
	if wanted {
		c.pairID = ""
	}
	s.mu.Unlock()
	if wanted {
		c.response <- n // never blocks: one pair-success has one id and one response
	}
}

// respond returns the nodes that respond to a query; most get an empty result.
func (s *Server) respond(c *conn, n *waBinary.Node) []waBinary.Node {
	res := waBinary.Node{Tag: "iq", Attrs: waBinary.Attrs{"from": types.ServerJID, "type": "result"}}
	out := []waBinary.Node{res}
	var first waBinary.Node
	if children := n.GetChildren(); len(children) > 0 {
		first = children[0]
	}
	xmlns, _ := n.Attrs["xmlns"].(string)
	switch xmlns + "/" + first.Tag {
	case "encrypt/count":
		out[0].Content = child("count", waBinary.Attrs{"value": s.addPreKeys(c, 0)})
	case "encrypt/registration":
		list := n.GetChildByTag("list")
		s.addPreKeys(c, len(list.GetChildren()))
	case "encrypt/digest":
		out[0].Content = child("digest", nil)
	case "passive/active": // no message was missed while offline
		out = append(out, waBinary.Node{Tag: "ib", Attrs: waBinary.Attrs{"from": types.ServerJID},
			Content: child("offline", waBinary.Attrs{"count": 0})})
	case "md/remove-companion-device": // the client logs itself out
		s.logout(c)
	case "md/ref":
		out[0].Content = []waBinary.Node{{Tag: "ref", Content: []byte(companionRef)}}
	case "md/passkey_prologue":
		out = append(out, s.passkeyContinuation(c, first)...)
	case "md/companion_nonce":
		s.checkCommitment(c, first)
	case "md/encrypted_pairing_request":
		s.finishPasskey(c, first)
	case "md/link_code_companion_reg":
		out[0].Content = s.linkCodeStage(c, first)
	}
	return out
}

// ref is the server's part of a QR code: it identifies the connection that shows the code.
type ref struct {
	conn      *conn
	expiresAt time.Time
	retired   bool // by a companion_reg_refresh
}

// refTTLs returns for each of count refs how long after the sending it can be scanned.
func refTTLs(life []time.Duration, count int) []time.Duration {
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
	for i, life := range refTTLs(s.RefTTL, count) {
		text := newRef(i)
		nodes[i] = waBinary.Node{Tag: "ref", Content: []byte(text)}
		s.state.refs[text] = &ref{conn: c, expiresAt: now.Add(life)}
	}
	s.state.stats.PairDevices++
	s.mu.Unlock()
	return s.send(c, newIQ(newID(), waBinary.Node{Tag: "pair-device", Content: nodes}))
}

// newRef returns a random ref in the format of the real ones.
func newRef(i int) string {
	b := make([]byte, 60)
	_, _ = rand.Read(b) // never fails
	return "2@" + base64.StdEncoding.EncodeToString(b) + strconv.Itoa(i)
}

// retireRefs retires the refs of a connection and notifies the client, as the real server does since July 2026.
func (s *Server) retireRefs(c *conn) {
	s.mu.Lock()
	for _, r := range s.state.refs {
		if r.conn == c {
			r.retired = true
		}
	}
	s.mu.Unlock()
	_ = s.send(c, notification("companion_reg_refresh")) // the reader notices a lost connection
}

func notification(kind string, content ...waBinary.Node) waBinary.Node {
	return waBinary.Node{Tag: "notification", Content: content, Attrs: waBinary.Attrs{
		"from": types.ServerJID, "id": newID(), "t": time.Now().Unix(), "type": kind}}
}

// forgetRefs drops the refs of a connection. The caller holds s.mu.
func (s *Server) forgetRefs(c *conn) {
	for text, r := range s.state.refs {
		if r.conn == c {
			delete(s.state.refs, text)
		}
	}
}
