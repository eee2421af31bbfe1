package whatsappsim

import (
	"fmt"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

func (s *Server) trace(dir string, n *waBinary.Node) {
	if s.Trace != nil {
		clean := redact(*n)
		s.Trace(dir, &clean)
	}
}

// redact copies a node without what nobody may see: of bytes only their number is left, of a person nothing,
// and attributes are kept if their values are words of the protocol.
func redact(n waBinary.Node) waBinary.Node {
	out := waBinary.Node{Tag: n.Tag}
	if n.Attrs != nil {
		out.Attrs = make(waBinary.Attrs, len(n.Attrs))
	}
	for name, value := range n.Attrs {
		out.Attrs[name] = redactAttr(name, value)
	}
	switch content := n.Content.(type) {
	case []waBinary.Node:
		nodes := make([]waBinary.Node, len(content))
		for i, c := range content {
			nodes[i] = redact(c)
		}
		out.Content = nodes
	case []byte:
		out.Content = fmt.Appendf(nil, "%d bytes", len(content))
	}
	return out
}

func redactAttr(name string, value any) any {
	switch name {
	case "id", "type", "xmlns", "code", "reason", "text", "count", "value", "t", "class", "key-index", "location":
		return value
	}
	if jid, ok := value.(types.JID); ok && jid.User == "" {
		return jid
	}
	return "…"
}
