package confusion_test

import (
	"bufio"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"qrgate/internal/test/whatsappsim"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
)

// engineDir is the example engine, on the real Baileys library.
const engineDir = "../../../examples/baileys-engine"

// baileysTime is how long a fault on Baileys is watched from the connect on, in real time: until the gate has read why,
// and before it connects again by itself after twelve seconds. That would be a dial at the shared simulator, and on a
// busy machine it would take the fault that is laid out for another.
const baileysTime = 11800 * time.Millisecond

// lookTime is how long one is watched of which only the gate's own look can tell: a hold of 9 s ends in suspicion, and
// the look waits for codes that do not come.
const lookTime = 45 * time.Second

// documentedLimit is what the engine of the documented API allows a key on session routes, per minute.
const documentedLimit = "30"

// noBaileys says why the engine cannot run here; "" when it can.
func noBaileys() string {
	if _, err := exec.LookPath("node"); err != nil {
		return "node is not installed: apt-get install nodejs"
	}
	if _, err := os.Stat(filepath.Join(engineDir, "node_modules")); err != nil {
		return "the example engine is not installed: npm ci --ignore-scripts in examples/baileys-engine"
	}
	return ""
}

// baileys are engines on Baileys, one for each way to WhatsApp, all with one simulator behind them.
type baileys struct {
	srv  *whatsappsim.Server
	addr string
	mu   sync.Mutex // one dial at a time, so that each meets its own fault
	base map[way]*url.URL
}

// alone is an engine with a simulator of its own, for a fault that outlives its first dial.
func alone(t *testing.T) *baileys {
	t.Helper()
	return limited(t, "1000000")
}

// limited is one whose engine allows so many calls a minute.
func limited(t *testing.T, calls string) *baileys {
	t.Helper()
	b := &baileys{srv: &whatsappsim.Server{PreKeys: fewKeys}, base: map[way]*url.URL{}}
	b.addr = whatsappsimtest.Start(t, b.srv)
	b.base[free] = runEngine(t, "ws://"+b.addr+"/ws/chat", "ENGINE_SESSION_LIMIT="+calls)
	return b
}

// startBaileys runs the engines that the faults need, until the test ends.
func startBaileys(t *testing.T) *baileys {
	t.Helper()
	b := alone(t)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	for w, target := range map[way]string{refused: "ws://" + closed.Addr().String(),
		unnamed: "ws://web.whatsapp.invalid", foreign: "wss://" + b.addr} {
		b.base[w] = runEngine(t, target+"/ws/chat", "ENGINE_SESSION_LIMIT=1000000")
	}
	return b
}

func runEngine(t *testing.T, whatsapp, limit string) *url.URL {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(node, "main.mjs")
	cmd.Dir = engineDir
	cmd.Env = append(os.Environ(), "PORT=0", "ENGINE_API_KEYS=tests:"+key, "ENGINE_DATA_DIR="+t.TempDir(), limit,
		"WA_WEB_SOCKET_URL="+whatsapp, "WA_NOISE_ROOT="+whatsappsim.RootPublicHex, "WA_CONNECT_TIMEOUT_MS=3000")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	var hello struct{ Listening string }
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil || json.Unmarshal(line, &hello) != nil {
		t.Fatalf("the engine did not start: %v %s", err, line)
	}
	base, err := url.Parse(hello.Listening)
	if err != nil {
		t.Fatal(err)
	}
	return base
}

// bear lets the engine on Baileys meet the fault, in real time, and returns what a gate of its own says.
func (b *baileys) bear(t *testing.T, f fault, name string) []reading {
	t.Helper()
	g, horizon, leave := b.before(t, f)
	defer leave()
	id := g.create(name)
	connected := b.dial(t, g, f, id)
	if f.whatsapp.scan {
		g.scan(b.srv, id)
	}
	return g.watch(id, 200*time.Millisecond, horizon-time.Since(connected), nil)
}

// before puts the gate before the engine that the fault needs, and says how long to watch what it says.
func (b *baileys) before(t *testing.T, f fault) (g *gate, horizon time.Duration, leave func()) {
	t.Helper()
	if f.whatsapp.looks {
		g = wholeGate(t, b.base[free], b.srv.HTTPClient(b.addr))
		return g, lookTime, g.stop
	}
	transport := &http.Transport{DisableCompression: true}
	g = newGate(t, b.base[f.whatsapp.way], transport)
	return g, baileysTime, func() { g.stop(); transport.CloseIdleConnections() }
}

// dial connects a session and waits until its dial has met the fault. It returns when it was connected.
func (b *baileys) dial(t *testing.T, g *gate, f fault, id string) (connected time.Time) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.srv.SetFault(f.whatsapp.Fault)
	before := b.srv.Stats().Dials
	g.connect(id)
	connected = time.Now()
	if f.whatsapp.way != free {
		return connected // it never comes as far as the simulator
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); b.srv.Stats().Dials == before; <-tick.C {
		if time.Now().After(end) {
			t.Fatal("the engine did not dial")
		}
	}
	return connected
}
