package whatsappsim

import (
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// handle answers what a client sends. Everything but <iq> is taken without an answer.
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
	for _, out := range s.reply(c, n) {
		if out.Tag == "iq" {
			out.Attrs["id"] = id
		}
		if s.send(c, out) != nil {
			return
		}
	}
}

// deliver hands the client's answer to a pair-success to the Scan that waits for it; other answers
// acknowledge refs and are not needed.
func (s *Server) deliver(c *conn, id string, n *waBinary.Node) {
	s.mu.Lock()
	wanted := c.pairID == id
	if wanted {
		c.pairID = ""
	}
	s.mu.Unlock()
	if wanted {
		c.answer <- n // one pair-success, one id, one answer: there is room
	}
}

// reply decides what to say to a query: an empty result is enough for most.
func (s *Server) reply(c *conn, n *waBinary.Node) []waBinary.Node {
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
	case "passive/active": // what was missed while away comes next: nothing
		out = append(out, waBinary.Node{Tag: "ib", Attrs: waBinary.Attrs{"from": types.ServerJID},
			Content: child("offline", waBinary.Attrs{"count": 0})})
	case "md/remove-companion-device": // the client logs itself out
		s.logout(c)
	}
	return out
}
