package whatsappsim

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/coder/websocket"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/binary/token"
	"go.mau.fi/whatsmeow/types"
)

// The codec of whatsmeow trusts its server: it panics on malformed input, and a small message can cause a large
// allocation. The simulator therefore validates the nodes of its clients first.
const (
	maxNodes = 16 << 10 // nodes of one message; 812 prekeys are about 2500
	maxDepth = 32       // values inside values
)

var (
	errNode     = errors.New("whatsappsim: not a node")
	errNodeSize = errors.New("whatsappsim: node too large")
)

// decode reads the node in a decrypted frame of an untrusted client.
func decode(plain []byte) (n *waBinary.Node, err error) {
	body, err := unpack(plain)
	if err != nil {
		return nil, err
	}
	m := validator{rest: body}
	if err := m.node(0); err != nil {
		return nil, err
	}
	defer func() {
		if recover() != nil { // a type assertion of the codec failed, for example on a list in place of a name
			n, err = nil, errNode
		}
	}()
	if n, err = waBinary.Unmarshal(body); err != nil {
		return nil, fmt.Errorf("%w: %w", errNode, err)
	}
	return n, nil
}

// unpack removes the flag byte and inflates a deflated body, up to maxFrame.
func unpack(plain []byte) ([]byte, error) {
	if len(plain) < 2 {
		return nil, errNode
	}
	if plain[0]&2 == 0 {
		return plain[1:], nil
	}
	z, err := zlib.NewReader(bytes.NewReader(plain[1:]))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNode, err)
	}
	body, err := io.ReadAll(io.LimitReader(z, maxFrame+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNode, err)
	}
	if len(body) > maxFrame {
		return nil, errNodeSize
	}
	return body, nil
}

// validator walks an encoded node without building it.
type validator struct {
	rest  []byte
	nodes int
}

func (m *validator) node(depth int) error {
	tag, err := m.number(1)
	if err != nil {
		return err
	}
	size, err := m.listSize(tag)
	if err != nil || size == 0 {
		return errors.Join(errNode, err)
	}
	for range size { // the name, then names and values, then the content if any: size values in total
		if err := m.value(depth + 1); err != nil {
			return err
		}
	}
	return nil
}

func (m *validator) listSize(tag int) (int, error) {
	switch tag {
	case token.List8:
		return m.number(1)
	case token.List16:
		return m.number(2)
	case token.ListEmpty:
		return 0, nil
	}
	return 0, errNode
}

func (m *validator) value(depth int) error {
	if depth > maxDepth {
		return errNodeSize
	}
	tag, err := m.number(1)
	if err != nil {
		return err
	}
	switch tag {
	case token.List8, token.List16:
		return m.list(tag, depth)
	case token.Binary8:
		return m.blob(1)
	case token.Binary20:
		return m.blob(3)
	case token.Binary32:
		return m.blob(4)
	case token.Dictionary0, token.Dictionary1, token.Dictionary2, token.Dictionary3:
		return m.skip(1)
	case token.Nibble8, token.Hex8:
		return m.packed()
	case token.JIDPair:
		return m.pair(0, depth+1)
	case token.FBJID:
		return m.pair(2, depth+1)
	case token.InteropJID:
		return m.pair(4, depth+1)
	case token.ADJID:
		if err := m.skip(2); err != nil {
			return err
		}
		return m.value(depth + 1)
	}
	return nil // a word of the dictionary
}

// pair walks two values with gap bytes between them.
func (m *validator) pair(gap, depth int) error {
	if err := m.value(depth); err != nil {
		return err
	}
	if err := m.skip(gap); err != nil {
		return err
	}
	return m.value(depth)
}

func (m *validator) list(tag, depth int) error {
	size, err := m.listSize(tag)
	if err != nil {
		return err
	}
	if m.nodes += size; m.nodes > maxNodes {
		return errNodeSize
	}
	for range size {
		if err := m.node(depth + 1); err != nil {
			return err
		}
	}
	return nil
}

func (m *validator) blob(width int) error {
	n, err := m.number(width)
	if err != nil {
		return err
	}
	if width == 3 {
		n &= 0xfffff // twenty bits
	}
	return m.skip(n)
}

// packed walks digits, two per byte; the top bit of the length marks an empty last half.
func (m *validator) packed() error {
	n, err := m.number(1)
	if err != nil {
		return err
	}
	return m.skip(n & 0x7f)
}

func (m *validator) number(width int) (int, error) {
	if len(m.rest) < width {
		return 0, errNode
	}
	n := 0
	for _, b := range m.rest[:width] {
		n = n<<8 | int(b)
	}
	m.rest = m.rest[width:]
	return n, nil
}

func (m *validator) skip(n int) error {
	if n > len(m.rest) {
		return errNode
	}
	m.rest = m.rest[n:]
	return nil
}

// maxFrame bounds what a client may send in one frame, in bytes. The largest honest one, 812 prekeys, has
// about 45 kB.
const maxFrame = 256 << 10

var (
	errFrameSize = errors.New("whatsappsim: frame too large")
	errIntro     = errors.New("whatsappsim: the connection does not begin with WA")
)

// stream reads the client's websocket messages as one stream of bytes: frames may be cut anywhere.
type stream struct {
	ctx context.Context
	ws  *websocket.Conn
	msg io.Reader
}

// Read implements io.Reader.
func (s *stream) Read(p []byte) (int, error) {
	for {
		if s.msg == nil {
			_, msg, err := s.ws.Reader(s.ctx)
			if err != nil {
				return 0, err
			}
			s.msg = msg
		}
		n, err := s.msg.Read(p)
		if errors.Is(err, io.EOF) {
			s.msg, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// readFrame reads one frame: three bytes of length, big endian, and that many bytes.
func readFrame(r io.Reader) ([]byte, error) {
	size, err := readLength(r)
	if err != nil {
		return nil, err
	}
	if size > maxFrame {
		return nil, fmt.Errorf("%w: %d bytes", errFrameSize, size)
	}
	b := make([]byte, size)
	_, err = io.ReadFull(r, b)
	return b, err
}

func readLength(r io.Reader) (int, error) {
	var l [4]byte
	if _, err := io.ReadFull(r, l[1:]); err != nil {
		return 0, err
	}
	return int(binary.BigEndian.Uint32(l[:])), nil
}

// frame puts the length before body. The caller sends the result in one websocket message, because
// whatsmeow corrupts a frame that is split over two (socket/framesocket.go, processData).
func frame(body []byte) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(body)), uint32(len(body)))
	return append(b[1:], body...)
}

// readIntro reads "WA" and two version bytes, before which a client with edge routing information sends
// "ED", two bytes and that information as a frame. Only the former is part of the handshake hash.
func readIntro(r io.Reader) ([]byte, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	if string(head[:2]) == "ED" {
		if _, err := readFrame(r); err != nil {
			return nil, err
		}
		if _, err := io.ReadFull(r, head); err != nil {
			return nil, err
		}
	}
	if string(head[:2]) != "WA" {
		return nil, errIntro
	}
	return head, nil
}

func (s *Server) trace(dir string, n *waBinary.Node) {
	if s.Trace != nil {
		clean := redact(*n)
		s.Trace(dir, &clean)
	}
}

// redact copies a node without secrets: of bytes it keeps only the number, of a person nothing, and of the attributes
// those whose values are words of the protocol.
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
