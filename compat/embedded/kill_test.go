package embedded_test

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"qrgate/compat/embedded"
	"qrgate/internal/test/whatsappsim"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
)

// Variables of a process that runs an engine until it is killed.
const (
	envEngineDir  = "QRGATE_TEST_ENGINE_DIR"
	envEngineAddr = "QRGATE_TEST_ENGINE_WHATSAPP"
)

// TestKill_EngineProcess is no test: it is the process that the next test kills.
func TestKill_EngineProcess(t *testing.T) {
	dir, addr := os.Getenv(envEngineDir), os.Getenv(envEngineAddr)
	if dir == "" {
		t.Skip("run by TestKill_LosesNoPairing")
	}
	e, err := embedded.New(embedded.Config{DataDir: dir, Keys: keys(t, "a:"+keyA),
		HTTPClient: (&whatsappsim.Server{}).HTTPClient(addr)})
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
	if os.Getenv("QRGATE_REQUIRE_ALL") == "1" {
		kills = 20
	}
	for n := range kills {
		srv := &whatsappsim.Server{}
		dir, addr := t.TempDir(), whatsappsimtest.Start(t, srv)
		engine, kill := startProcess(t, dir, addr)
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
		again, kill := startProcess(t, dir, addr)
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

// startProcess runs an engine in a process of its own.
func startProcess(t *testing.T, dir, whatsapp string) (transport http.RoundTripper, kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKill_EngineProcess$")
	cmd.Env = append(os.Environ(), envEngineDir+"="+dir, envEngineAddr+"="+whatsapp)
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
