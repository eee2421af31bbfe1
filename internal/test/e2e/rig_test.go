package e2e_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"qrgate/compat"
	"qrgate/compat/embedded"
	"qrgate/internal/app"
	"qrgate/internal/secret"
	"qrgate/internal/test/waiting"
	"qrgate/internal/test/whatsappsim"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
)

func TestMain(m *testing.M) {
	whatsappsimtest.TrustRoot()
	waiting.Main(m,
		// whatsmeow: a frame that arrives while a client disconnects leaks its reader (see whatsappsimtest).
		goleak.IgnoreAnyFunction("go.mau.fi/whatsmeow/socket.(*FrameSocket).frameComplete"))
}

const key = "key-of-the-tests-0001"

// rig is qrgate on loopback, and the simulated WhatsApp of its engine.
type rig struct {
	*testing.T
	whatsapp *whatsappsim.Server
	addr     string // of the simulated WhatsApp
	base     string // of qrgate
	admin    string // of its operators
	stop     func()
}

// start runs qrgate until the test ends or calls stop.
func start(t *testing.T, whatsapp *whatsappsim.Server, addr string, cfg app.Config) *rig {
	t.Helper()
	cfg.Listen, cfg.Logger, cfg.Out, cfg.Version = "127.0.0.1:0", slog.New(slog.DiscardHandler), io.Discard, "test"
	g, err := app.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	r := &rig{T: t, whatsapp: whatsapp, addr: addr, base: g.URL(), admin: g.AdminURL()}
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		http.DefaultClient.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("qrgate ended with %v", err)
		}
	}
	t.Cleanup(r.stop)
	return r
}

// startWhatsApp runs the simulated server.
func startWhatsApp(t *testing.T) (*whatsappsim.Server, string) {
	t.Helper()
	whatsappsimtest.TrustRoot()
	s := &whatsappsim.Server{}
	return s, whatsappsimtest.Start(t, s)
}

// own returns the configuration of qrgate with the embedded engine.
func own(s *whatsappsim.Server, addr, dir string) app.Config {
	return app.Config{DataDir: dir, APIKeys: []embedded.Key{{Name: "tests", Key: secret.NewSecret(key)}}, WhatsApp: s.HTTPClient(addr)}
}

// before returns the configuration of qrgate in front of an engine.
func before(t *testing.T, engine string) app.Config {
	t.Helper()
	base, err := url.Parse(engine)
	if err != nil {
		t.Fatal(err)
	}
	return app.Config{EngineURL: base}
}

// response has the members of a response that the tests read.
type response struct {
	status int
	took   time.Duration
	Code   string
	Data   struct {
		ID          int64
		SessionID   string
		Status      string
		QRCode      string
		IsConnected bool
		ExpiresIn   int
		Sequence    int
		State       string
		PairingCode string
		URL         string
		EventsURL   string
		ExpiresAt   string
		Session     struct{ ID int64 }
		Queue       *struct{ Place int }
		Diagnosis   *struct{ Code string }
	}
}

// call sends one request with a timeout of ten seconds, as the clients do.
func (r *rig) call(method, path, body string) response {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, r.base+path, strings.NewReader(body))
	if err != nil {
		r.Fatal(err)
	}
	req.Header.Set("X-API-Key", key)
	req.Header.Set("Content-Type", "application/json")
	startedAt := time.Now()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	decoded := response{status: res.StatusCode, took: time.Since(startedAt)}
	if err := json.NewDecoder(res.Body).Decode(&decoded); err != nil {
		r.Fatalf("%s %s: %d, no JSON: %v", method, path, res.StatusCode, err)
	}
	return decoded
}

// want fails the test unless the response has the status.
func (r *rig) want(res response, status int) response {
	r.Helper()
	if res.status != status {
		r.Fatalf("got %d %s, want %d", res.status, res.Code, status)
	}
	return res
}

// scan scans the QR as a phone does.
func (r *rig) scan(dataURL, phone string) {
	r.Helper()
	if err := r.tryScan(dataURL, phone); err != nil {
		r.Fatal(err)
	}
}

// tryScan returns the simulator's error.
func (r *rig) tryScan(dataURL, phone string) error {
	r.Helper()
	code, err := compat.ReadQR(secret.NewSecret(dataURL))
	if err != nil {
		r.Fatal(err)
	}
	return r.whatsapp.Scan(r.Context(), code.Reveal(), whatsappsim.Account{User: phone})
}

// becomes polls the state until it has a value.
func (r *rig) becomes(id, status string, timeout time.Duration) {
	r.Helper()
	last := ""
	for end := time.Now().Add(timeout); time.Now().Before(end); <-time.After(100 * time.Millisecond) {
		a := r.call(http.MethodGet, "/api/sessions/"+id+"/status", "")
		if last = a.Data.Status; last == status && a.Data.IsConnected == (status == "connected") {
			return
		}
	}
	r.Fatalf("%s is %q, want %q", id, last, status)
}

// needs skips a test without its requirement, or fails it with QRGATE_REQUIRE_ALL=1.
func needs(t *testing.T, what string, ok bool) {
	t.Helper()
	if ok {
		return
	}
	if os.Getenv("QRGATE_REQUIRE_ALL") == "1" {
		t.Fatal(what)
	}
	t.Skip(what)
}
