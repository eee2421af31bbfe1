// Package wasimtest connects tests to the simulated WhatsApp server: a server on loopback that ends with the
// test, and whatsmeow clients without a database that talk to it.
//
//	srv := &wasim.Server{}
//	addr := wasimtest.Start(t, srv)
//	cli := wasimtest.Client(t, addr)   // after Start, so that it disconnects before the server closes
//	codes, err := cli.GetQRChannel(context.Background())
//	…
//	err = srv.Scan(t.Context(), code, wasim.Account{User: "5550100"})
//
// whatsmeow has races of its own, which -race may report. They stay away if a client disconnects before its
// server closes, if t.Context(), which ends before that, is neither the context of the connection nor that of
// the QR channel, and if the test's own event handler is added before GetQRChannel is called. A frame that
// arrives while a client disconnects leaves one of its goroutines behind for ever (socket/framesocket.go,
// frameComplete): in a bubble, synctest.Wait before Disconnect.
//
// In a testing/synctest bubble a [wasim.Pipe] takes the place of the loopback address:
//
//	pipe := &wasim.Pipe{}
//	wasimtest.StartOn(t, srv, pipe)
//	cli := wasimtest.ClientOn(t, pipe.HTTPClient())
package whatsappsimtest

import (
	"encoding/hex"
	"net"
	"net/http"
	"sync"
	"testing"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/util/keys"
	waLog "go.mau.fi/whatsmeow/util/log"

	"qrgate/internal/test/whatsappsim"
)

// Start serves s on a free port of 127.0.0.1 until the test ends and returns host:port.
func Start(t testing.TB, s *whatsappsim.Server) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	StartOn(t, s, ln)
	return ln.Addr().String()
}

// StartOn serves s on ln until the test ends.
func StartOn(t testing.TB, s *whatsappsim.Server, ln net.Listener) {
	t.Helper()
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the simulator: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve the simulator: %v", err)
		}
	})
}

// TrustRoot makes the whatsmeow of this process trust the fixed root of the simulator, once. whatsmeow keeps
// its root in an exported variable that is global and unsynchronised: call this before any client of the
// process connects, and let all simulators of the process use the fixed root. Client and ClientOn call it.
func TrustRoot() { prepare() }

// prepare writes the globals of the libraries once, before anybody reads them: whatsmeow's root, and the
// logger that libsignal would set at its first signature, without a lock.
var prepare = sync.OnceFunc(func() {
	_, _ = hex.Decode(whatsmeow.WACertPubKey[:], []byte(whatsappsim.RootPublicHex)) // a test holds the constant to the key
	keys.NewKeyPair().CreateSignedPreKey(1)
})

// Client returns an unpaired whatsmeow client without a database that talks to the simulator at addr and
// disconnects when the test ends.
func Client(t testing.TB, addr string) *whatsmeow.Client {
	t.Helper()
	return ClientOn(t, (&whatsappsim.Server{}).HTTPClient(addr))
}

// ClientOn is Client for any way of reaching the simulator.
func ClientOn(t testing.TB, h *http.Client) *whatsmeow.Client {
	t.Helper()
	TrustRoot()
	cli := whatsmeow.NewClient(Device(), waLog.Noop)
	cli.SetPreLoginHTTPClient(h)
	cli.SetWebsocketHTTPClient(h)
	t.Cleanup(cli.Disconnect)
	return cli
}
