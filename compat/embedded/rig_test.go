package embedded_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image/png"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
	"go.uber.org/goleak"

	"qrgate/compat/embedded"
	"qrgate/internal/test/whatsappsim"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
)

const (
	keyA = "key-a-000000000000"
	keyB = "key-b-000000000000"
)

// waitTimeout is generous: most waits end at once, but the machine may be busy.
const waitTimeout = 30 * time.Second

// preKeyCount makes the simulator report that it has prekeys: the library then generates 50 instead of 812.
const preKeyCount = 100

// rig is an engine connected to a simulated WhatsApp, and a client of its API.
type rig struct {
	t      testing.TB
	http   *http.Client
	config embedded.Config
	stop   func() // ends Run and waits for it
}

// start runs an engine until stop or the end of the test.
func start(t testing.TB, c embedded.Config) *rig {
	t.Helper()
	if c.DataDir == "" {
		c.DataDir = t.TempDir()
	}
	if c.Keys == nil {
		c.Keys = keys(t, "a:"+keyA+",b:"+keyB)
	}
	e, err := embedded.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	r := &rig{t: t, http: &http.Client{Transport: embedded.Transport(e)}, config: c}
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

func keys(t testing.TB, text string) []embedded.Key {
	t.Helper()
	k, err := embedded.ParseKeys(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// response is a response of the API.
type response struct {
	status int
	body   map[string]any
	raw    string
}

func (a response) data() map[string]any { m, _ := a.body["data"].(map[string]any); return m }

func (a response) code() string { s, _ := a.body["code"].(string); return s }

// call makes a request with key A.
func (r *rig) call(method, path string, body ...string) response {
	r.t.Helper()
	return r.callAs(keyA, method, path, body...)
}

func (r *rig) callAs(key, method, path string, body ...string) response {
	r.t.Helper()
	req, err := http.NewRequest(method, "http://engine"+path, strings.NewReader(strings.Join(body, "")))
	if err != nil {
		r.t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("X-API-Key", key)
	}
	res, err := r.http.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	a := response{status: res.StatusCode, raw: string(b)}
	if err := json.Unmarshal(b, &a.body); err != nil {
		r.t.Fatalf("%s %s: %d, not JSON: %s", method, path, res.StatusCode, b)
	}
	return a
}

// make creates a session of key A.
func (r *rig) make(id string) {
	r.t.Helper()
	if a := r.call("POST", "/api/sessions", `{"sessionId":"`+id+`","sessionName":"A name"}`); a.status != 201 {
		r.t.Fatalf("create: %d %s", a.status, a.raw)
	}
}

// connect creates a session of key A and connects it.
func (r *rig) connect(id string) {
	r.t.Helper()
	r.make(id)
	if a := r.call("POST", "/api/sessions/"+id+"/connect", "{}"); a.status != 200 {
		r.t.Fatalf("connect: %d %s", a.status, a.raw)
	}
}

// until polls the status until want returns true; inside a synctest bubble on its clock.
func (r *rig) until(id string, within time.Duration, want func(status map[string]any) bool) map[string]any {
	r.t.Helper()
	deadline := time.Now().Add(within)
	for {
		d := r.call("GET", "/api/sessions/"+id+"/status").data()
		if want(d) {
			return d
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("after %v the status is still %v", within, d)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (r *rig) untilStatus(id, status string, within time.Duration) map[string]any {
	r.t.Helper()
	return r.until(id, within, func(d map[string]any) bool { return d["status"] == status })
}

// code waits for a QR and returns the text in it.
func (r *rig) code(id string) string {
	r.t.Helper()
	r.untilStatus(id, "qr_code", waitTimeout)
	a := r.call("GET", "/api/sessions/"+id+"/qr")
	if a.status != 200 {
		r.t.Fatalf("qr: %d %s", a.status, a.raw)
	}
	return decode(r.t, a.data()["qrCode"].(string))
}

// decode reads the QR in a data URL.
func decode(t testing.TB, dataURL string) string {
	t.Helper()
	text, ok := strings.CutPrefix(dataURL, "data:image/png;base64,")
	raw, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil {
		t.Fatalf("not a data URL of a PNG: %.40s", dataURL)
	}
	img, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	bitmap, err := gozxing.NewBinaryBitmapFromImage(img)
	if err != nil {
		t.Fatal(err)
	}
	result, err := qrcode.NewQRCodeReader().Decode(bitmap, map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_PURE_BARCODE: true})
	if err != nil {
		t.Fatal(err)
	}
	return result.GetText()
}

// scan simulates a phone and waits until the session is connected.
func (r *rig) scan(srv *whatsappsim.Server, id, user string) {
	r.t.Helper()
	if err := srv.Scan(context.Background(), r.code(id), whatsappsim.Account{User: user}); err != nil {
		r.t.Fatal(err)
	}
	r.untilStatus(id, "connected", waitTimeout)
}

// logTo returns a logger without redaction.
func logTo(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// handshakeTimeout is longer than a handshake without a response, which ends 20 s after its engine, a constant of the
// library. On a busy machine a test may end during one.
const handshakeTimeout = 25 * time.Second

// TestMain trusts the simulator before any client connects: the root is global.
func TestMain(m *testing.M) {
	whatsappsimtest.TrustRoot()
	code := m.Run()
	if code == 0 {
		code = leaks()
	}
	os.Exit(code)
}

// leaks waits until every goroutine has ended, and prints the others.
func leaks() int {
	began := time.Now()
	for {
		err := goleak.Find() // it retries for a while itself
		if err == nil {
			return 0
		}
		if time.Since(began) > handshakeTimeout {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
}

// runInBubble runs a test on simulated time, with a simulator on in-memory pipes.
func runInBubble(t *testing.T, f whatsappsim.Fault, test func(*testing.T, *rig, *whatsappsim.Server), limits ...embedded.Limits) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		srv, pipe := &whatsappsim.Server{Fault: f, PreKeys: preKeyCount}, &whatsappsim.Pipe{}
		whatsappsimtest.StartOn(t, srv, pipe)
		c := embedded.Config{HTTPClient: pipe.HTTPClient(), DataDir: dir}
		if len(limits) > 0 {
			c.Limits = limits[0]
		}
		r := start(t, c)
		test(t, r, srv)
		r.stop()
		time.Sleep(20 * time.Second) // a handshake without a response outlives Run, see there
	})
}

// onLoopback runs an engine on a simulator that listens on 127.0.0.1.
func onLoopback(t *testing.T, c embedded.Config) (*rig, *whatsappsim.Server) {
	t.Helper()
	srv := &whatsappsim.Server{PreKeys: preKeyCount}
	c.HTTPClient = srv.HTTPClient(whatsappsimtest.Start(t, srv))
	return start(t, c), srv
}

// startIdle runs an engine for tests that do not use the simulator.
func startIdle(t *testing.T, c embedded.Config) *rig {
	t.Helper()
	r, _ := onLoopback(t, c)
	return r
}

// reasonOf is the code of lastDisconnect in a status, empty without one.
func reasonOf(status map[string]any) string {
	last, _ := status["lastDisconnect"].(map[string]any)
	code, _ := last["code"].(string)
	return code
}

// waitFor polls until done returns true.
func waitFor(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long for %s", what)
		}
	}
}

// execute runs a statement on the database of a stopped engine.
func execute(t testing.TB, dir, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "qrgate.db")+"?_pragma=foreign_keys(1)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		t.Fatal(err)
	}
}
