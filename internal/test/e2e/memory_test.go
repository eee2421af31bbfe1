package e2e_test

import (
	"bufio"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"qrgate/internal/test/whatsappsim"
)

var (
	pairedSessions = flag.Int("paired", 0, "measure the memory of so many paired, idle sessions")
	idleFor        = flag.Duration("idle", 6*time.Minute, "how long they are idle before each measurement")
)

// maxPairedKiB is the target for the resident memory of a paired, idle session.
const maxPairedKiB = 150

// The real binary with paired sessions on the simulated WhatsApp, after pairing and after a restart. It writes a heap
// profile into the directory of the test.
func TestMemory_OfPairedSessions(t *testing.T) {
	if *pairedSessions == 0 {
		t.Skip("it takes a quarter of an hour: go test ./internal/test/e2e -run TestMemory -v -args -paired 500")
	}
	whatsapp, addr := startWhatsApp(t)
	m := &measured{rig: &rig{T: t, whatsapp: whatsapp, addr: addr}, dir: t.TempDir(), count: *pairedSessions}
	m.binary = filepath.Join(m.dir, "qrgate")
	build := exec.Command("go", "build", "-trimpath", "-tags", "nomsgpack,whatsappsim", "-o", m.binary, "../../../cmd/qrgate")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	stop := m.run()
	empty := m.sample("empty", 0)
	m.pair()
	m.sample("directly after pairing", empty)
	time.Sleep(*idleFor)
	afterPairing := m.sample("idle after pairing", empty)
	stop()
	stop = m.run()
	defer stop()
	m.awaitConnected()
	m.sample("directly after a restart", empty)
	time.Sleep(*idleFor)
	afterRestart := m.sample("idle after a restart", empty)
	profile := m.profile()
	if kib := max(afterPairing, afterRestart) - empty; kib/float64(m.count) > maxPairedKiB {
		t.Errorf("more than %d KiB per session; see %s", maxPairedKiB, profile)
	}
}

// measured is qrgate in a process of its own.
type measured struct {
	*rig
	dir, binary, admin string
	count              int
	process            *os.Process
}

func (m *measured) run() (stop func()) {
	m.Helper()
	var listen [2]string
	for i := range listen {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			m.Fatal(err)
		}
		listen[i] = l.Addr().String()
		_ = l.Close()
	}
	cmd := exec.Command(m.binary)
	cmd.Env = append(os.Environ(), "QRGATE_WHATSAPPSIM_ADDR="+m.addr, "QRGATE_WHATSAPPSIM_ROOT="+whatsappsim.RootPublicHex,
		"QRGATE_LISTEN="+listen[0], "QRGATE_ADMIN_LISTEN="+listen[1], "QRGATE_DATA_DIR="+filepath.Join(m.dir, "data"),
		"QRGATE_API_KEYS=tests:"+key, "QRGATE_MAX_SESSIONS="+strconv.Itoa(m.count), "QRGATE_PPROF=true", "QRGATE_LOG_LEVEL=error")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		m.Fatal(err)
	}
	m.base, m.admin, m.process = "http://"+listen[0], "http://"+listen[1], cmd.Process
	stop = sync.OnceFunc(func() { _ = cmd.Process.Signal(os.Interrupt); _ = cmd.Wait() })
	m.Cleanup(stop)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		res, err := http.Get(m.base + "/health")
		if err == nil {
			_ = res.Body.Close()
			return stop
		}
		if time.Now().After(deadline) {
			m.Fatal(err)
		}
	}
}

// pair creates, connects and scans all sessions, a few at the same time.
func (m *measured) pair() {
	m.Helper()
	numbers := make(chan int)
	var phones sync.WaitGroup
	for range 4 {
		phones.Go(func() {
			defer func() { // after a failure
				for range numbers {
				}
			}()
			for n := range numbers {
				id := fmt.Sprintf("shop-%d", n)
				m.want(m.call(http.MethodPost, "/api/sessions", `{"sessionId":"`+id+`","sessionName":"x"}`), 201)
				m.want(m.call(http.MethodPost, "/api/sessions/"+id+"/connect", "{}"), 200)
				m.scan(m.want(m.call(http.MethodGet, "/api/sessions/"+id+"/qr", ""), 200).Data.QRCode, fmt.Sprintf("55501%05d", n))
				m.becomes(id, "connected", time.Minute)
			}
		})
	}
	for n := range m.count {
		numbers <- n
	}
	close(numbers)
	phones.Wait()
	if m.Failed() {
		m.FailNow()
	}
}

func (m *measured) awaitConnected() {
	m.Helper()
	for n := range m.count {
		m.becomes(fmt.Sprintf("shop-%d", n), "connected", 2*time.Minute)
	}
}

// sample prints the memory per session beyond that of an empty process, in KiB, and returns the resident memory.
func (m *measured) sample(when string, empty float64) (resident float64) {
	m.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.process.Pid))
	if err != nil {
		m.Skipf("this test needs Linux, not %s", runtime.GOOS)
	}
	for line := range strings.Lines(string(status)) {
		if text, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			resident, _ = strconv.ParseFloat(strings.Fields(text)[0], 64)
		}
	}
	res, err := http.Get(m.admin + "/metrics")
	if err != nil {
		m.Fatal(err)
	}
	defer res.Body.Close()
	of := map[string]float64{}
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		of[name], _ = strconv.ParseFloat(value, 64)
	}
	per := func(kib float64) float64 { return kib / float64(m.count) }
	m.Logf("%-26s resident %6.0f KiB, %5.1f per session; heap in use %5.1f, stacks %4.1f, goroutines %.1f", when, resident,
		per(resident-empty), per(of["go_memstats_heap_inuse_bytes"]/1024), per(of["go_memstats_stack_inuse_bytes"]/1024),
		per(of["go_goroutines"]))
	return resident
}

// profile writes the live heap into a file.
func (m *measured) profile() (path string) {
	m.Helper()
	path = filepath.Join(os.TempDir(), "qrgate-paired.heap")
	res, err := http.Get(m.admin + "/debug/pprof/heap?gc=1")
	if err != nil {
		m.Fatal(err)
	}
	defer res.Body.Close()
	f, err := os.Create(path)
	if err == nil {
		_, err = f.ReadFrom(res.Body)
	}
	if err != nil {
		m.Fatal(err)
	}
	_ = f.Close()
	m.Logf("the heap's profile is in %s", path)
	return path
}
