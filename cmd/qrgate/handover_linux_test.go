package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"qrgate/internal/test/enginesim"
)

var long = flag.Bool("long", false, "hand over 200 waiting requests and 50 streams")

// handover is the clients of a port that one process hands to another.
type handover struct {
	*testing.T
	base    string
	clients sync.WaitGroup

	sent, broken atomic.Int64
	isExact      atomic.Bool // the kernel passes no connection to the old process any more
}

// startProcess runs qrgate and waits until it serves: on the sockets that it inherits, or on an address.
func (h *handover) startProcess(engine, listen string, extra ...*os.File) *exec.Cmd {
	h.Helper()
	self, err := os.Executable()
	if err != nil {
		h.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0"`, self) // as systemd sets it
	cmd.Env = append(os.Environ(), runAsCommand+"=1", "QRGATE_ENGINE_URL="+engine, "QRGATE_LISTEN="+listen,
		"QRGATE_ADMIN_LISTEN=off", "QRGATE_WHATSAPP_CHECK=false", "QRGATE_DATA_DIR="+h.TempDir())
	cmd.ExtraFiles = extra
	if len(extra) == 0 {
		cmd.Env = append(cmd.Env, "QRGATE_REUSE_PORT=true")
	}
	log, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	lines := bufio.NewScanner(log)
	h.isExact.Store(true)
	for lines.Scan() && !strings.Contains(lines.Text(), "qrgate started") {
		if strings.Contains(lines.Text(), "an older process may reset new connections") {
			h.isExact.Store(false)
		}
	}
	if !strings.Contains(lines.Text(), "qrgate started") {
		h.Fatalf("qrgate did not start: %s", lines.Text())
	}
	go func() { _, _ = io.Copy(io.Discard, log) }()
	return cmd
}

// send sends a request on a connection of its own. A refused connection fails the test, and so does a reset one where the
// kernel can avoid it; else the request is sent again.
func (h *handover) send(method, path, accept string) (*http.Response, bool) {
	h.sent.Add(1)
	req, err := http.NewRequest(method, h.base+path, nil)
	if err != nil {
		h.Error(err)
		return nil, false
	}
	session, _, _ := strings.Cut(strings.TrimPrefix(path, "/api/sessions/"), "/")
	req.Header.Set("X-Api-Key", keyOf(session))
	req.Header.Set("Accept", accept)
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}).Do(req)
	if err != nil && (h.isExact.Load() || errors.Is(err, syscall.ECONNREFUSED)) {
		h.Errorf("%s %s: %v", method, path, err)
		return nil, false
	} else if err != nil {
		h.broken.Add(1)
		return h.send(method, path, accept)
	}
	return res, true
}

// keyOf is a key of the session's own, so that no session waits for calls that the engine's rate limit gives to others.
func keyOf(session string) string { return "key-" + session }

// get sends a request and reads the response.
func (h *handover) get(method, path string) (status int, body string) {
	res, ok := h.send(method, path, "application/json")
	if !ok {
		return 0, ""
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		h.Errorf("%s: %v", path, err)
	}
	return res.StatusCode, string(text)
}

// awaitQR requests a QR until there is one, as a client does.
func (h *handover) awaitQR(session string) {
	for end := time.Now().Add(40 * time.Second); time.Now().Before(end); <-time.After(time.Second / 4) {
		status, body := h.get(http.MethodGet, "/api/sessions/"+session+"/qr?wait=20")
		if status == http.StatusOK && strings.Contains(body, "data:image/png") {
			return
		}
		if status != http.StatusAccepted && status != http.StatusServiceUnavailable {
			h.Errorf("%s: %d %.200s", session, status, body)
			return
		}
	}
	h.Errorf("%s got no QR", session)
}

// follow reads a session's stream, and connects again when it ends, until there is a QR.
func (h *handover) follow(session string, opened func()) {
	isOpen := sync.OnceFunc(opened)
	defer isOpen()
	for end := time.Now().Add(40 * time.Second); time.Now().Before(end); <-time.After(time.Second / 4) {
		res, ok := h.send(http.MethodGet, "/api/sessions/"+session+"/qr/status", "text/event-stream")
		if !ok {
			return
		}
		lines := bufio.NewScanner(res.Body)
		for lines.Scan() {
			isOpen()
			var status struct{ Ready bool }
			data, isData := strings.CutPrefix(lines.Text(), "data: ")
			if isData && json.Unmarshal([]byte(data), &status) == nil && status.Ready {
				_ = res.Body.Close()
				return
			}
		}
		_ = res.Body.Close()
		if err := lines.Err(); err != nil {
			h.Errorf("the stream of %s broke: %v", session, err)
		}
	}
	h.Errorf("the stream of %s has no QR", session)
}

// A new process listens on the same port, and the old one ends: no connection is refused or broken, every waiting request
// gets its QR, and every stream continues.
func TestServe_HandOverLosesNothing(t *testing.T) {
	waiters, streams := 20, 5
	if *long {
		waiters, streams = 200, 50
	}
	engine := startEngine(t, &enginesim.Engine{QRDelay: 4 * time.Second})
	port, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listen := port.Addr().String()
	_ = port.Close()
	h := &handover{T: t, base: "http://" + listen}
	old := h.startProcess(engine, listen)
	var opened sync.WaitGroup
	for i := range waiters {
		session := fmt.Sprintf("shop-%d", i)
		h.connect(session)
		h.clients.Go(func() { h.awaitQR(session) })
		if i < streams {
			opened.Add(1)
			h.clients.Go(func() { h.follow(session, opened.Done) })
		}
	}
	opened.Wait()
	others, stop := context.WithCancel(t.Context())
	var connecting sync.WaitGroup
	for range 4 { // clients that open connections all the time
		connecting.Go(func() {
			for ; others.Err() == nil; <-time.After(time.Millisecond) {
				h.get(http.MethodGet, "/api/sessions/stats")
			}
		})
	}
	h.startProcess(engine, listen)
	_ = old.Process.Signal(syscall.SIGTERM)
	if err := old.Wait(); err != nil {
		t.Errorf("the old process ended with %v", err)
	}
	h.clients.Wait()
	stop()
	connecting.Wait()
	sent, broken := h.sent.Load(), h.broken.Load()
	t.Logf("%d connections, %d reset", sent, broken)
	if broken > 1+sent/100 {
		t.Errorf("%d of %d connections were reset", broken, sent)
	}
}

// connect creates and connects a session.
func (h *handover) connect(session string) {
	h.Helper()
	req, err := http.NewRequest(http.MethodPost, h.base+"/api/sessions", strings.NewReader(`{"sessionId":"`+session+`","sessionName":"x"}`))
	if err != nil {
		h.Fatal(err)
	}
	req.Header.Set("X-Api-Key", keyOf(session))
	req.Header.Set("Content-Type", "application/json")
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}).Do(req)
	if err != nil {
		h.Fatal(err)
	}
	_ = res.Body.Close()
	if status, body := h.get(http.MethodPost, "/api/sessions/"+session+"/connect"); status != http.StatusOK {
		h.Fatalf("connect: %d %s", status, body)
	}
}

// systemd keeps the socket while qrgate restarts: connections wait in its queue.
func TestServe_SocketActivation(t *testing.T) {
	engine := startEngine(t, &enginesim.Engine{})
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	file, err := socket.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	h := &handover{T: t, base: "http://" + socket.Addr().String()}
	for range 2 {
		t.Setenv("LISTEN_FDS", "1")
		t.Setenv("LISTEN_FDNAMES", "public")
		process := h.startProcess(engine, "127.0.0.1:1", file) // the socket replaces this address
		if status, body := h.get(http.MethodGet, "/api/sessions/stats"); status != http.StatusOK {
			t.Errorf("%d %s", status, body)
		}
		_ = process.Process.Signal(syscall.SIGTERM)
		_ = process.Wait()
		h.clients.Go(func() { h.get(http.MethodGet, "/api/sessions/stats") }) // waits for the next process
	}
	h.startProcess(engine, "127.0.0.1:1", file)
	h.clients.Wait()
}
