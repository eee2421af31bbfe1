package e2e_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"qrgate/internal/test/whatsappsim"
)

// engineDir is the example engine, on the real Baileys library.
const engineDir = "../../../examples/baileys-engine"

// startBaileys runs the example engine and returns where it listens; stop ends it.
func startBaileys(t *testing.T, whatsapp, data string) (base string, stop func()) {
	t.Helper()
	node, err := exec.LookPath("node")
	needs(t, "node is not installed: apt-get install nodejs", err == nil)
	_, err = os.Stat(filepath.Join(engineDir, "node_modules"))
	needs(t, "the example engine is not installed: npm ci --ignore-scripts in examples/baileys-engine", err == nil)
	cmd := exec.Command(node, "main.mjs")
	cmd.Dir = engineDir
	cmd.Env = append(os.Environ(), "PORT=0", "ENGINE_API_KEYS=tests:"+key, "ENGINE_DATA_DIR="+data,
		"WA_WEB_SOCKET_URL=ws://"+whatsapp+"/ws/chat", "WA_NOISE_ROOT="+whatsappsim.RootPublicHex)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	stop = func() {
		if !ended {
			ended = true
			_ = cmd.Process.Signal(os.Interrupt)
			_ = cmd.Wait()
		}
	}
	t.Cleanup(stop)
	var hello struct{ Listening string }
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil || json.Unmarshal(line, &hello) != nil || hello.Listening == "" {
		t.Fatalf("the engine did not start: %v %s", err, line)
	}
	return hello.Listening, stop
}

// With real Baileys, the engine returns 500 until it has a QR, and the client gets it with one request. Then: scan, 515,
// connected, restart of engine and qrgate, delete.
func TestBaileys_CreateToDelete(t *testing.T) {
	t.Parallel()
	whatsapp, addr := startWhatsApp(t)
	data := t.TempDir()
	engine, stopEngine := startBaileys(t, addr, data)
	r := start(t, whatsapp, addr, before(t, engine))
	r.want(r.call(http.MethodPost, "/api/sessions", `{"sessionId":"shop-1","sessionName":"Shop"}`), 201)
	r.want(r.call(http.MethodPost, "/api/sessions/shop-1/connect", "{}"), 200)
	qr := r.want(r.call(http.MethodGet, "/api/sessions/shop-1/qr", ""), 200)
	t.Logf("QR after %v", qr.took)
	r.scan(qr.Data.QRCode, "5550100")
	r.becomes("shop-1", "connected", 15*time.Second)

	stopEngine()
	engine, _ = startBaileys(t, addr, data)
	r.stop()
	r = start(t, whatsapp, addr, before(t, engine))
	r.becomes("shop-1", "connected", 20*time.Second)
	r.want(r.call(http.MethodDelete, "/api/sessions/shop-1", ""), 200)
	r.want(r.call(http.MethodGet, "/api/sessions/shop-1/status", ""), 404)
}
