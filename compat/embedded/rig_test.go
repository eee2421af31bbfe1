package embedded_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"image/png"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"qrgate/compat/embedded"
	"qrgate/internal/test/whatsappsim"
)

const (
	keyA = "key-a-000000000000"
	keyB = "key-b-000000000000"
)

// patience is for what takes no time on a healthy machine and some on one that is busy.
const patience = 30 * time.Second

// fewKeys makes a simulator say that it has prekeys already: the library makes 50 then instead of 812.
const fewKeys = 100

// rig is an engine that runs on a simulated WhatsApp, and a client of its API.
type rig struct {
	t      testing.TB
	http   *http.Client
	config embedded.Config
	stop   func() // ends Run and waits for it
}

// start runs an engine until the test ends, or until stop.
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

// answer is what the API said.
type answer struct {
	status int
	body   map[string]any
	raw    string
}

func (a answer) data() map[string]any { m, _ := a.body["data"].(map[string]any); return m }

func (a answer) code() string { s, _ := a.body["code"].(string); return s }

// call makes a request with key A.
func (r *rig) call(method, path string, body ...string) answer {
	r.t.Helper()
	return r.callAs(keyA, method, path, body...)
}

func (r *rig) callAs(key, method, path string, body ...string) answer {
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
	a := answer{status: res.StatusCode, raw: string(b)}
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

// until asks for the status until want holds, on the clock of the bubble if it runs in one.
func (r *rig) until(id string, within time.Duration, want func(status map[string]any) bool) map[string]any {
	r.t.Helper()
	limit := time.Now().Add(within)
	for {
		d := r.call("GET", "/api/sessions/"+id+"/status").data()
		if want(d) {
			return d
		}
		if time.Now().After(limit) {
			r.t.Fatalf("after %v the status is still %v", within, d)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (r *rig) untilStatus(id, status string, within time.Duration) map[string]any {
	r.t.Helper()
	return r.until(id, within, func(d map[string]any) bool { return d["status"] == status })
}

// code waits for a QR and reads what is in it.
func (r *rig) code(id string) string {
	r.t.Helper()
	r.untilStatus(id, "qr_code", patience)
	a := r.call("GET", "/api/sessions/"+id+"/qr")
	if a.status != 200 {
		r.t.Fatalf("qr: %d %s", a.status, a.raw)
	}
	return decode(r.t, a.data()["qrCode"].(string))
}

// decode reads a data URL as a phone would.
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

// scan plays a phone and waits until the session is connected.
func (r *rig) scan(srv *whatsappsim.Server, id, user string) {
	r.t.Helper()
	if err := srv.Scan(context.Background(), r.code(id), whatsappsim.Account{User: user}); err != nil {
		r.t.Fatal(err)
	}
	r.untilStatus(id, "connected", patience)
}

// logTo is a logger that hides nothing.
func logTo(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
