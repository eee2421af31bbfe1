package confusion_test

import (
	"bufio"
	"encoding/json"
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

// baileysDuration is how long the test watches a fault on Baileys, from the connect, in real time: until qrgate has read
// the cause, and before it connects again after twelve seconds. That connect would dial the shared simulator and could
// use up the fault of another session.
const baileysDuration = 10500 * time.Millisecond

// checkDuration is how long the test watches a fault that only qrgate's connectivity check detects: a wait of 9 s
// triggers the check, and the check waits for codes that do not come.
const checkDuration = 45 * time.Second

// documentedLimit is the documented number of session calls per key and minute.
const documentedLimit = "30"

// noBaileys returns why the engine cannot run here, or "".
func noBaileys() string {
	if _, err := exec.LookPath("node"); err != nil {
		return "node is not installed: apt-get install nodejs"
	}
	if _, err := os.Stat(filepath.Join(engineDir, "node_modules")); err != nil {
		return "the example engine is not installed: npm ci --ignore-scripts in examples/baileys-engine"
	}
	return ""
}

// baileys is a set of engines on Baileys, one for each network, all with one simulator.
type baileys struct {
	srv  *whatsappsim.Server
	addr string
	mu   sync.Mutex            // one dial at a time, so that each gets its own fault
	base map[*network]*url.URL // nil: the free network
}

// alone starts an engine with its own simulator, for a fault of several dials.
func alone(t *testing.T) *baileys {
	t.Helper()
	return limited(t, "1000000")
}

// limited is alone with a limit of calls per minute.
func limited(t *testing.T, calls string) *baileys {
	t.Helper()
	b := &baileys{srv: &whatsappsim.Server{PreKeys: fewKeys}, base: map[*network]*url.URL{}}
	b.addr = whatsappsimtest.Start(t, b.srv)
	b.base[nil] = runEngine(t, "ws://"+b.addr+"/ws/chat", "ENGINE_SESSION_LIMIT="+calls)
	return b
}

// startBaileys runs the engines that the faults need until the test ends.
func startBaileys(t *testing.T) *baileys {
	t.Helper()
	b := alone(t)
	for _, f := range whatsappFaults() {
		if n := f.whatsapp.network; n != nil && f.whatsapp.baileys == "" {
			address, env := n.target(t)
			b.base[n] = runEngine(t, address+"/ws/chat", append(env, "ENGINE_SESSION_LIMIT=1000000")...)
		}
	}
	return b
}

func runEngine(t *testing.T, whatsapp string, env ...string) *url.URL {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(node, "main.mjs")
	cmd.Dir = engineDir
	cmd.Env = append(append(os.Environ(), "PORT=0", "ENGINE_API_KEYS=tests:"+key, "ENGINE_DATA_DIR="+t.TempDir(),
		"WA_WEB_SOCKET_URL="+whatsapp, "WA_NOISE_ROOT="+whatsappsim.RootPublicHex, "WA_CONNECT_TIMEOUT_MS=3000"), env...)
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

// run injects a fault into an engine on Baileys, in real time, and returns the diagnoses of a gateway.
func (b *baileys) run(t *testing.T, f fault, name string) []reading {
	t.Helper()
	g, horizon, leave := b.before(t, f)
	defer leave()
	id := g.create(name)
	connected := b.dial(t, g, f, id)
	if f.whatsapp.scan {
		g.scan(b.srv, id)
	}
	return g.watch(id, 300*time.Millisecond, horizon-time.Since(connected))
}

// before starts qrgate in front of the engine that the fault needs, and returns how long to watch it.
func (b *baileys) before(t *testing.T, f fault) (g *gateway, horizon time.Duration, leave func()) {
	t.Helper()
	if f.whatsapp.needsCheck {
		client := b.srv.HTTPClient(b.addr)
		if f.whatsapp.network != nil {
			client = f.whatsapp.network.client(t)
		}
		g = newApp(t, b.base[f.whatsapp.network], client)
		return g, checkDuration, g.stop
	}
	transport := &http.Transport{DisableCompression: true}
	g = newGateway(t, b.base[f.whatsapp.network], transport, nil)
	horizon = baileysDuration
	if f.whatsapp.network != nil {
		horizon += 8 * time.Second // its dials meet no other session's fault
	}
	return g, horizon, func() { g.stop(); transport.CloseIdleConnections() }
}

// dial connects a session and waits for the engine's dial. It returns the time of the connect.
func (b *baileys) dial(t *testing.T, g *gateway, f fault, id string) (connected time.Time) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.srv.SetFault(f.whatsapp.Fault)
	before := b.srv.Stats().Dials
	g.connect(id)
	connected = time.Now()
	if f.whatsapp.network != nil {
		return connected // the dial does not reach the simulator
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
