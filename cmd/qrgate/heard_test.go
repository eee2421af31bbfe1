//go:build unix

package main

import (
	"bufio"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"qrgate/internal/test/enginesim"
	"qrgate/internal/test/whatsappsim"
)

// asItself makes this test binary the command itself.
const asItself = "BE_THE_COMMAND"

// leaving is a reader that leaves after so many lines.
type leaving struct{ lines int }

func (l *leaving) Write(p []byte) (int, error) {
	if l.lines--; l.lines < 0 {
		return 0, errors.New("broken pipe")
	}
	return len(p), nil
}

// Whoever stops reading, as head does, ends the run, and the session that it had made is deleted all the same.
func TestNobodyReads(t *testing.T) {
	t.Parallel()
	for command, tt := range map[string]struct {
		target string // its flag
		lines  int    // printed before that of the create
	}{"doctor": {"--engine-url", 3}, "probe": {"--target", 1}} {
		e := &enginesim.Engine{}
		args := []string{command, tt.target, simulated(t, e), "--api-key", "key-a", "--data-dir", t.TempDir()}
		exit := run(t.Context(), cli{args: args, out: &leaving{tt.lines}, err: &leaving{}, whatsapp: simulatedWhatsApp(t, whatsappsim.Fault{})})
		created, connected := e.CountSince(enginesim.RouteCreate, time.Time{}), e.CountSince(enginesim.RouteConnect, time.Time{})
		if exit == exitOK || created != 1 || connected != 0 || len(e.Snapshot()) != 0 {
			t.Errorf("%s: exit %d, %d creates, %d connects, left %+v", command, exit, created, connected, e.Snapshot())
		}
	}
}

// A terminal that is closed, and a pipe that is, end the real process only after it has tidied up.
func TestTidiesUpBeforeItDies(t *testing.T) {
	t.Parallel()
	for how, end := range map[string]func(*exec.Cmd, *os.File){
		"hang-up":     func(c *exec.Cmd, _ *os.File) { _ = c.Process.Signal(syscall.SIGHUP) },
		"closed pipe": func(_ *exec.Cmd, out *os.File) { _ = out.Close() },
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			e := &enginesim.Engine{QRDelay: time.Second}
			asked := make(chan struct{}, 100)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				e.ServeHTTP(w, r)
				if strings.HasSuffix(r.URL.Path, "/qr") {
					asked <- struct{}{}
				}
			}))
			t.Cleanup(func() { server.Close(); e.Close() })
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), self, "probe", "--target", server.URL, "--api-key", "key-a", "--data-dir", t.TempDir())
			cmd.Env = append(os.Environ(), asItself+"=1")
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
			<-asked
			end(cmd, read)
			err = cmd.Wait()
			if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() || len(e.Snapshot()) != 0 {
				t.Errorf("it ended with %v and left %+v", err, e.Snapshot())
			}
		})
	}
}
