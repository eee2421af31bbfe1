package e2e_test

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"qrgate/internal/app"
	"qrgate/internal/test/enginesim"
	"qrgate/internal/test/program"
)

const clientsDir = "../../../examples/clients/"

// clientPrograms returns the commands of the example clients by their file.
func clientPrograms(t *testing.T) map[string][]string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "pair")
	if out, err := exec.Command("go", "build", "-o", binary, clientsDir+"pair.go").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return map[string][]string{
		"pair.go":  {binary},
		"pair.mjs": {program.Find(t, "nodejs", "node"), clientsDir + "pair.mjs"},
		"pair.php": {program.Find(t, "php-cli", "php"), clientsDir + "pair.php"},
		"pair.py":  {program.Find(t, "python3", "python3"), clientsDir + "pair.py"},
	}
}

// clientRun is a client that runs.
type clientRun struct {
	codes <-chan string // its QRs; closed at its end
	errs  bytes.Buffer  // to be read after the end
	last  string        // line of its output; as errs
	wait  func() error
}

func startClient(t *testing.T, command []string, args ...string) *clientRun {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], append(command[1:], args...)...)
	codes := make(chan string, 100)
	r := &clientRun{codes: codes, wait: cmd.Wait}
	cmd.Stderr = &r.errs
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(codes)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			r.last = lines.Text()
			if code, isCode := strings.CutPrefix(r.last, "qr "); isCode {
				codes <- code
			}
		}
	}()
	return r
}

// connected requires that the client ends because a phone was linked.
func (r *clientRun) connected(t *testing.T) {
	t.Helper()
	for range r.codes {
	}
	if err := r.wait(); err != nil || r.last != "connected" {
		t.Errorf("the client ended with %v, its last line is %.40q: %s", err, r.last, r.errs.String())
	}
}

// unreliable forwards to a gateway. The response to the first create gets lost, and the first request for the QR gets
// a 503 with a cause.
func unreliable(t *testing.T, gateway string) string {
	t.Helper()
	base, err := url.Parse(gateway)
	if err != nil {
		t.Fatal(err)
	}
	var creates, requests atomic.Int64
	forward := httputil.NewSingleHostReverseProxy(base)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/api/sessions" && creates.Add(1) == 1:
			forward.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		case strings.HasSuffix(r.URL.Path, "/qr") && requests.Add(1) == 1:
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `{"success":false,"error":"Wait.","message":"Wait.","code":"whatsapp_unreachable"}`)
		default:
			forward.ServeHTTP(w, r)
		}
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(server.Close)
	return server.URL
}

// The clients of docs/INTEGRATE.md pair a session with a phone. Before that a response got lost, and they report a cause.
func TestClients_PairAfterLostResponse(t *testing.T) {
	t.Parallel()
	clients := clientPrograms(t)
	whatsapp, addr := startWhatsApp(t)
	r := start(t, whatsapp, addr, own(whatsapp, addr, t.TempDir()))
	runs := map[string]*clientRun{}
	for file, command := range clients {
		runs[file] = startClient(t, command, unreliable(t, r.base), key, strings.ReplaceAll(file, ".", "-"))
	}
	for file, run := range runs {
		if code, ok := <-run.codes; ok {
			r.scan(code, "5550100")
		}
		run.connected(t)
		if !strings.Contains(run.errs.String(), "whatsapp_unreachable: Wait.") {
			t.Errorf("%s does not print the cause: %s", file, run.errs.String())
		}
	}
}

var long = flag.Bool("long", false, "run tests that wait for codes to expire")

// A session that was paired once is connected again by clients only: they do so when all codes ran out, show the next
// code, and end when a phone is linked.
func TestClients_ConnectAgainAfterLastCode(t *testing.T) {
	t.Parallel()
	if !*long && os.Getenv("QRGATE_REQUIRE_ALL") != "1" { // CI sets it
		t.Skip("takes 20 s: go test ./internal/test/e2e -run Clients -long")
	}
	engine := &enginesim.Engine{QRTTL: 3 * time.Second, Rotation: []time.Duration{3 * time.Second}}
	server := httptest.NewServer(engine)
	t.Cleanup(func() { server.CloseClientConnections(); engine.Close(); server.Close() })
	cfg := before(t, server.URL)
	cfg.QRWaitInitial, cfg.QRWait = time.Second, time.Second
	r := start(t, nil, "", cfg)
	var pairing sync.WaitGroup
	for file, command := range clientPrograms(t) {
		session := strings.ReplaceAll(file, ".", "-")
		r.want(r.call(http.MethodPost, "/api/sessions", `{"sessionId":"`+session+`","sessionName":"x"}`), 201)
		r.want(r.call(http.MethodPost, "/api/sessions/"+session+"/connect", ""), 200)
		r.want(r.call(http.MethodGet, "/api/sessions/"+session+"/qr", ""), 200)
		if err := engine.Link(session); err != nil {
			t.Fatal(err)
		}
		r.becomes(session, "connected", 5*time.Second)
		r.want(r.call(http.MethodPost, "/api/sessions/"+session+"/disconnect", ""), 200)
		run := startClient(t, command, r.base, key, session)
		pairing.Go(func() {
			if first, second := <-run.codes, <-run.codes; first == second || second == "" {
				t.Errorf("%s shows no second code", file)
			}
			if err := engine.Link(session); err != nil {
				t.Error(err)
			}
			run.connected(t)
		})
	}
	pairing.Wait()
}

// The clients end at once with the code of an error that repetition does not remove.
func TestClients_EndAtWrongKey(t *testing.T) {
	t.Parallel()
	whatsapp, addr := startWhatsApp(t)
	r := start(t, whatsapp, addr, app.Config{DataDir: t.TempDir(), WhatsApp: whatsapp.HTTPClient(addr)})
	for file, command := range clientPrograms(t) {
		run := startClient(t, command, r.base, "a-wrong-key-of-the-tests", "shop-1")
		for range run.codes {
		}
		if err := run.wait(); err == nil || !strings.Contains(run.errs.String()+run.last, "401 INVALID_API_KEY") {
			t.Errorf("%s: %v %s", file, err, run.errs.String())
		}
	}
}
