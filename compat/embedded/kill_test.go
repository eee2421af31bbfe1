package embedded_test

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/compat/embedded"
	"qrgate/internal/secret"
	"qrgate/internal/test/whatsappsim"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
)

// Variables of a process that runs an engine until it is killed.
const (
	envEngineDir  = "QRGATE_TEST_ENGINE_DIR"
	envEngineAddr = "QRGATE_TEST_ENGINE_WHATSAPP"
	envEngineURL  = "QRGATE_TEST_ENGINE_DATABASE"
)

// TestKill_EngineProcess is no test: it is the process that the next test kills.
func TestKill_EngineProcess(t *testing.T) {
	dir, addr := os.Getenv(envEngineDir), os.Getenv(envEngineAddr)
	if dir == "" {
		t.Skip("run by the other tests")
	}
	e, err := embedded.New(embedded.Config{DataDir: dir, DatabaseURL: secret.NewSecret(os.Getenv(envEngineURL)),
		Keys: keys(t, "a:"+keyA), AllowPrivateWebhooks: true, HTTPClient: (&whatsappsim.Server{}).HTTPClient(addr)})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("listens on", ln.Addr())
	go func() { _ = e.Run(context.Background()) }()
	_ = http.Serve(ln, e)
}

// A process that is killed during pairings loses none that a phone has confirmed.
func TestKill_LosesNoPairing(t *testing.T) {
	t.Parallel()
	kills := 3
	if os.Getenv("QRGATE_REQUIRE_ALL") == "1" && !testing.Short() {
		kills = 20
	}
	for n := range kills {
		srv := &whatsappsim.Server{}
		dir, addr := t.TempDir(), whatsappsimtest.Start(t, srv)
		engine, kill := startProcess(t, dir, addr, "")
		r := &rig{t: t, http: &http.Client{Transport: engine}}
		var codes []string
		for i := range 3 {
			r.connect(fmt.Sprintf("session-%d", i))
			codes = append(codes, r.code(fmt.Sprintf("session-%d", i)))
		}
		accepted := make([]bool, len(codes))
		var phones sync.WaitGroup
		for i, code := range codes {
			phones.Go(func() {
				accepted[i] = srv.Scan(context.Background(), code, whatsappsim.Account{User: fmt.Sprintf("555010%d", i)}) == nil
			})
		}
		time.Sleep(time.Duration(n*n)*5*time.Millisecond + rand.N(20*time.Millisecond))
		kill()
		phones.Wait()
		again, kill := startProcess(t, dir, addr, "")
		r.http = &http.Client{Transport: again}
		for i, ok := range accepted {
			if ok {
				r.untilStatus(fmt.Sprintf("session-%d", i), "connected", waitTimeout)
			}
		}
		kill()
		checkIntegrity(t, dir)
	}
}

// A process that is killed at any moment between a scan and the delivery of its events loses none: those of each session
// arrive in order, some twice. The receiver responds 500 until the process is killed.
func TestKill_LosesNoEvent(t *testing.T) {
	t.Parallel()
	for name, database := range map[string]func(*testing.T) string{
		"SQLite": func(*testing.T) string { return "" }, "Postgres": newPostgres,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, hook := &whatsappsim.Server{PreKeys: preKeyCount}, &hookReceiver{}
			receiver := httptest.NewServer(hook)
			t.Cleanup(receiver.Close)
			dir, addr, at := t.TempDir(), whatsappsimtest.Start(t, srv), database(t)
			for n := range 6 {
				hook.reset(true)
				engine, kill := startProcess(t, dir, addr, at)
				r := &rig{t: t, http: &http.Client{Transport: engine}}
				id := fmt.Sprintf("session-%d", n)
				body := `{"sessionId":"` + id + `","sessionName":"x","webhookUrl":"` + receiver.URL + `"}`
				if a := r.call("POST", "/api/sessions", body); a.status != 201 {
					t.Fatalf("create: %d %s", a.status, a.raw)
				}
				r.call("POST", "/api/sessions/"+id+"/connect")
				err := srv.Scan(context.Background(), r.code(id), whatsappsim.Account{User: fmt.Sprintf("555010%d", n)})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Duration(n*n) * 10 * time.Millisecond)
				kill()
				hook.reset(false)
				again, kill := startProcess(t, dir, addr, at)
				r.http = &http.Client{Transport: again}
				waitFor(t, "the events", func() bool { return slices.Contains(hook.events(id), "session.connected") })
				if diff := cmp.Diff([]string{"session.qr", "session.connected"}, slices.Compact(hook.events(id))); diff != "" {
					t.Errorf("%s (-want +got)\n%s", id, diff)
				}
				kill()
			}
		})
	}
}

// hookReceiver accepts events, or responds 500.
type hookReceiver struct {
	mu       sync.Mutex
	isDown   bool
	accepted map[string][]string // by session
}

// ServeHTTP implements http.Handler.
func (h *hookReceiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.isDown {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	id := r.Header.Get("X-Webhook-Session")
	h.accepted[id] = append(h.accepted[id], r.Header.Get("X-Webhook-Event"))
}

func (h *hookReceiver) reset(isDown bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.isDown, h.accepted = isDown, map[string][]string{}
}

func (h *hookReceiver) events(id string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.accepted[id])
}

// startProcess runs an engine in a process of its own; database is the URL of Postgres, "" for SQLite.
func startProcess(t *testing.T, dir, whatsapp, database string) (transport http.RoundTripper, kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKill_EngineProcess$")
	cmd.Env = append(os.Environ(), envEngineDir+"="+dir, envEngineAddr+"="+whatsapp, envEngineURL+"="+database)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	t.Cleanup(kill)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if addr, ok := strings.CutPrefix(lines.Text(), "listens on "); ok {
			dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
			}
			return &http.Transport{DialContext: dial, DisableKeepAlives: true}, kill
		}
	}
	t.Fatal("the process ended without an address")
	return nil, nil
}

func checkIntegrity(t *testing.T, dir string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "qrgate.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var result string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&result); err != nil || result != "ok" {
		t.Errorf("integrity: %q, %v", result, err)
	}
}
