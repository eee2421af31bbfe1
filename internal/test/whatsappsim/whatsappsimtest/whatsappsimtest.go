// Package whatsappsimtest connects tests to the simulated WhatsApp server: a server on loopback that ends with the
// test, and whatsmeow clients without a database that talk to it.
//
//	srv := &whatsappsim.Server{}
//	addr := whatsappsimtest.Start(t, srv)
//	cli := whatsappsimtest.Client(t, addr)   // after Start, so that it disconnects before the server closes
//	codes, err := cli.GetQRChannel(context.Background())
//	…
//	err = srv.Scan(t.Context(), code, whatsappsim.Account{User: "5550100"})
//
// whatsmeow has data races, which -race may report. To avoid them, disconnect a client before its server closes, use
// t.Context(), which ends before that, neither for the connection nor for the QR channel, and add the test's own event
// handler before the call of GetQRChannel. A frame that arrives during a disconnect leaks one goroutine of whatsmeow
// (socket/framesocket.go, frameComplete): in a bubble, call synctest.Wait before Disconnect.
//
// In a testing/synctest bubble a [whatsappsim.Pipe] replaces the loopback address:
//
//	pipe := &whatsappsim.Pipe{}
//	whatsappsimtest.StartOn(t, srv, pipe)
//	cli := whatsappsimtest.ClientOn(t, pipe.HTTPClient())
package whatsappsimtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/store"
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
// its root in a global variable without a lock: call this before any client of the process connects, and use the fixed
// root in all simulators of the process. Client and ClientOn call it.
func TrustRoot() { prepare() }

// prepare sets the globals of the libraries once, before any client reads them: whatsmeow's root, and the logger that
// libsignal sets at its first signature, without a lock.
var prepare = sync.OnceFunc(func() {
	// A test compares the constant with the key.
	_, _ = hex.Decode(whatsmeow.WACertPubKey[:], []byte(whatsappsim.RootPublicHex))
	keys.NewKeyPair().CreateSignedPreKey(1)
})

// Client returns an unpaired whatsmeow client without a database that talks to the simulator at addr and
// disconnects when the test ends.
func Client(t testing.TB, addr string) *whatsmeow.Client {
	t.Helper()
	return ClientOn(t, (&whatsappsim.Server{}).HTTPClient(addr))
}

// ClientOn is Client with an HTTP client that reaches the simulator.
func ClientOn(t testing.TB, h *http.Client) *whatsmeow.Client {
	t.Helper()
	TrustRoot()
	cli := whatsmeow.NewClient(Device(), waLog.Noop)
	cli.SetPreLoginHTTPClient(h)
	cli.SetWebsocketHTTPClient(h)
	t.Cleanup(cli.Disconnect)
	return cli
}

// Device returns an unpaired whatsmeow device without a database: it stores only its keys and prekeys. Two consecutive
// clients with the same Device are the same linked device.
func Device() *store.Device {
	prepare()
	identity := keys.NewKeyPair()
	adv := make([]byte, 32)
	_, _ = rand.Read(adv)                       // never fails
	m := &memory{NoopStore: &store.NoopStore{}} // a nil Error means that everything succeeds
	dev := &store.Device{
		Log: waLog.Noop, Initialized: true, RegistrationID: 1234,
		NoiseKey: keys.NewKeyPair(), IdentityKey: identity, SignedPreKey: identity.CreateSignedPreKey(1),
		AdvSecretKey: adv, Container: m, LIDs: m,
	}
	dev.SetAllStores(m)
	return dev
}

// memory makes prekeys, the only operation that must not be a no-op: whatsmeow takes the last of the keys without
// checking that there is one (prekeys.go, uploadPreKeys). Like a database it serializes its operations, so that
// whatsmeow's deletion of a device does not race with earlier operations.
type memory struct {
	*store.NoopStore
	mu   sync.Mutex
	last uint32
}

// GetOrGenPreKeys implements store.PreKeyStore.
func (m *memory) GetOrGenPreKeys(_ context.Context, count uint32) ([]*keys.PreKey, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]*keys.PreKey, count)
	for i := range out {
		m.last++
		out[i] = keys.NewPreKey(m.last)
	}
	return out, nil
}

// UploadedPreKeyCount implements store.PreKeyStore. It is zero until whatsmeow first asks for keys; then
// whatsmeow uploads 812 of them, or 50 if the server reports some (whatsappsim.Server.PreKeys), which is sixteen times
// cheaper.
func (m *memory) UploadedPreKeyCount(context.Context) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return int(m.last), nil
}

// MarkPreKeysAsUploaded implements store.PreKeyStore.
func (m *memory) MarkPreKeysAsUploaded(context.Context, uint32) error { return m.serialize() }

// DeleteExpiredPrivacyTokens implements store.PrivacyTokenStore.
func (m *memory) DeleteExpiredPrivacyTokens(context.Context, time.Time) (int64, error) {
	return 0, m.serialize()
}

// DeleteDevice implements store.DeviceContainer.
func (m *memory) DeleteDevice(context.Context, *store.Device) error { return m.serialize() }

// serialize waits for the operations before it.
func (m *memory) serialize() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return nil
}
