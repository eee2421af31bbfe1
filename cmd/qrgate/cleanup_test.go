//go:build unix

package main

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"qrgate/internal/test/enginesim"
	"qrgate/internal/test/logtest"
	"qrgate/internal/test/whatsappsim"
)

// runAsCommand is the variable that makes this test binary run the command.
const runAsCommand = "BE_THE_COMMAND"

// failingWriter fails after some lines, as a pipe does whose reader has gone.
type failingWriter struct{ lines int }

func (l *failingWriter) Write(p []byte) (int, error) {
	if l.lines--; l.lines < 0 {
		return 0, errors.New("broken pipe")
	}
	return len(p), nil
}

// A reader that closes its pipe, as head does, ends the run; the session is deleted nevertheless.
func TestCheck_ClosedOutputStillDeletesSession(t *testing.T) {
	t.Parallel()
	for command, tt := range map[string]struct {
		target string // its flag
		lines  int    // lines before that of the create step
	}{"doctor": {"--engine-url", 3}, "probe": {"--target", 1}} {
		e := &enginesim.Engine{}
		args := []string{command, tt.target, startEngine(t, e), "--api-key", "key-a", "--data-dir", t.TempDir()}
		exit := run(t.Context(), cli{args: args, out: &failingWriter{tt.lines}, err: &failingWriter{}, whatsapp: startWhatsApp(t, whatsappsim.Fault{})})
		created, connected := e.CountSince(enginesim.RouteCreate, time.Time{}), e.CountSince(enginesim.RouteConnect, time.Time{})
		if exit == exitOK || created != 1 || connected != 0 || len(e.Snapshot()) != 0 {
			t.Errorf("%s: exit %d, %d creates, %d connects, left %+v", command, exit, created, connected, e.Snapshot())
		}
	}
}

// The real process cleans up before a closed terminal or a closed pipe ends it.
func TestProbe_SignalStillDeletesSession(t *testing.T) {
	t.Parallel()
	for how, end := range map[string]func(*exec.Cmd, *os.File){
		"closed terminal": func(c *exec.Cmd, _ *os.File) { _ = c.Process.Signal(syscall.SIGHUP) },
		"closed pipe":     func(_ *exec.Cmd, out *os.File) { _ = out.Close() },
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			e := &enginesim.Engine{QRDelay: time.Second}
			polled := make(chan struct{}, 100)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				e.ServeHTTP(w, r)
				if strings.HasSuffix(r.URL.Path, "/qr") {
					polled <- struct{}{}
				}
			}))
			t.Cleanup(func() { server.Close(); e.Close() })
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), self, "probe", "--target", server.URL, "--api-key", "key-a", "--data-dir", t.TempDir())
			cmd.Env = append(os.Environ(), runAsCommand+"=1")
			read, write, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd.Stdout = write
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			_ = write.Close()
			if _, err := bufio.NewReader(read).ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			<-polled
			end(cmd, read)
			err = cmd.Wait()
			if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() || len(e.Snapshot()) != 0 {
				t.Errorf("exit %v, left %+v", err, e.Snapshot())
			}
		})
	}
}

// net/http quotes in the log what an engine sends unasked. It may be a QR.
func TestMain_UnaskedBytesOfAnEngineAreNotLogged(t *testing.T) {
	t.Parallel()
	engine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, _ := http.NewResponseController(w).Hijack()
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}data:image/png;base64,canary")
	}))
	t.Cleanup(engine.Close)
	var log logtest.Buffer
	base, kill := startKillable(t, []string{"QRGATE_ENGINE_URL=" + engine.URL, "QRGATE_DATA_DIR=" + t.TempDir()}, &log)
	for range 5 {
		if res, err := http.Get(base + "/x"); err == nil {
			_ = res.Body.Close()
		}
	}
	kill()
	if text := log.String(); strings.Contains(text, "canary") || !strings.Contains(text, "qrgate started") {
		t.Errorf("log: %s", text)
	}
}

// An empty variable is like an unset one, as templates of containers write them.
func TestMain_EmptyVariablesAreUnset(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "version")
	cmd.Env = append(os.Environ(), runAsCommand+"=1", "QRGATE_QR_WAIT=", "QRGATE_LISTEN=", "QRGATE_WHATSAPP_CHECK=")
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "qrgate "+version+"\n" {
		t.Errorf("%v: %s", err, out)
	}
}
