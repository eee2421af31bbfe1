package whatsappsim

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/binary/token"
)

// The codec of whatsmeow is made for answers of a server it trusts: it panics on odd input and lets a small
// message ask for a large allocation. What a client of the simulator sends is therefore measured first.
const (
	maxNodes = 16 << 10 // nodes of one message; 812 prekeys are about 2500
	maxDepth = 32       // values inside values
)

var (
	errNode     = errors.New("wasim: not a node")
	errNodeSize = errors.New("wasim: node too large")
)

// decode reads the node in a decrypted frame, whoever wrote it.
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
		if recover() != nil { // type assertions of the codec, for example a list where a name belongs
			n, err = nil, errNode
		}
	}()
	if n, err = waBinary.Unmarshal(body); err != nil {
		return nil, fmt.Errorf("%w: %w", errNode, err)
	}
	return n, nil
}

// unpack removes the flag byte and inflates what it says is deflated, up to maxFrame.
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
	for range size { // the name, then names and values, then perhaps the content: size values in any case
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

// packed walks digits, two to a byte; the top bit of the length says that the last half is empty.
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
