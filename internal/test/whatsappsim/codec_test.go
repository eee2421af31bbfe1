package whatsappsim

import (
	"bytes"
	"compress/zlib"
	"errors"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/binary/token"
	"go.mau.fi/whatsmeow/types"
)

func deflate(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	out.WriteByte(2)
	z := zlib.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// honest is a node with every kind of value the codec knows to write.
var honest = waBinary.Node{Tag: "iq",
	Attrs: waBinary.Attrs{"id": "12.34-5", "to": types.ServerJID, "hex": "AB12", "word": "a text that is no token",
		"jid": types.JID{User: "5550100", Device: 3, Server: types.DefaultUserServer},
		"fb":  types.JID{User: "1", Device: 300, Server: types.MessengerServer}},
	Content: []waBinary.Node{{Tag: "list", Content: []waBinary.Node{{Tag: "key"}, {Tag: "key", Content: []byte("bytes")}}},
		{Tag: "large", Content: bytes.Repeat([]byte("x"), 300)}},
}

func TestDecode_ValidNodes(t *testing.T) {
	t.Parallel()
	plain, err := waBinary.Marshal(honest)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"as it is": plain, "deflated": deflate(t, plain[1:])} {
		got, err := decode(b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := honest
		if diff := cmp.Diff(want.Content, got.Content); diff != "" || len(got.Attrs) != len(want.Attrs) {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
}

func TestDecode_InvalidNodes(t *testing.T) {
	t.Parallel()
	node := []byte{0, token.List8, 2, 3} // one value, its content to follow
	deep := append(bytes.Clone(node[:1]), bytes.Repeat([]byte{token.List8, 2, 3, token.List8, 1}, 1000)...)
	wide := []byte{0}
	for range 10 { // each level asks for 65535 more nodes in five bytes
		wide = append(wide, token.List8, 2, 3, token.List16, 0xff, 0xff)
	}
	for name, tt := range map[string]struct {
		in   []byte
		want error
	}{
		"nothing":           {nil, errNode},
		"a flag alone":      {[]byte{0}, errNode},
		"no list":           {[]byte{0, 3}, errNode},
		"an empty list":     {[]byte{0, token.List8, 0}, errNode},
		"cut":               {node, errNode},
		"blob too long":     {append(bytes.Clone(node), token.Binary32, 0x7f, 0xff, 0xff, 0xff), errNode},
		"digits, none":      {append(bytes.Clone(node), token.Nibble8, 0x80), errNode}, // the codec would panic
		"digits, cut":       {append(bytes.Clone(node), token.Hex8, 0x7f), errNode},
		"a list as a name":  {[]byte{0, token.List8, 1, token.List8, 0}, errNode}, // and here
		"pairs of pairs":    {append(bytes.Clone(node), bytes.Repeat([]byte{token.JIDPair}, 1000)...), errNodeSize},
		"devices, cut":      {append(bytes.Clone(node), token.ADJID, 1), errNode},
		"too deep":          {deep, errNodeSize},
		"too wide":          {wide, errNodeSize},
		"not deflated":      {[]byte{2, 1, 2, 3}, errNode},
		"deflated and cut":  {deflate(t, node)[:8], errNode},
		"inflates too much": {deflate(t, make([]byte, 2*maxFrame)), errNodeSize},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if n, err := decode(tt.in); !errors.Is(err, tt.want) || n != nil {
				t.Errorf("%v, %v, want %v", n, err, tt.want)
			}
		})
	}
}

// The meter and the codec agree on where an honest node ends.
func TestValidator_VisitsWholeNode(t *testing.T) {
	t.Parallel()
	plain, err := waBinary.Marshal(honest)
	if err != nil {
		t.Fatal(err)
	}
	m := validator{rest: plain[1:]}
	if err := m.node(0); err != nil || len(m.rest) != 0 || m.nodes != 4 {
		t.Errorf("%v, %d bytes left, %d nodes", err, len(m.rest), m.nodes)
	}
}

// Nothing that a client sends is more than an error.
func FuzzDecode(f *testing.F) {
	plain, err := waBinary.Marshal(honest)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(plain)
	f.Add(deflate(f, plain[1:200]))
	for tag := range 256 {
		f.Add([]byte{0, token.List8, 4, 3, byte(tag), 1, 2, byte(tag), 3, 4, 5, 6})
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := decode(b)
		if (n == nil) == (err == nil) {
			t.Fatalf("%v, %v", n, err)
		}
	})
}

// A small message cannot make the server allocate much. Not parallel, because it counts all allocations.
func TestDecode_InflatedSizeBounded(t *testing.T) {
	bomb := deflate(t, make([]byte, 32<<20))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := decode(bomb); !errors.Is(err, errNodeSize) {
		t.Error(err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 4<<20 {
		t.Errorf("%d bytes allocated for %d", got, len(bomb))
	}
}
