// Package redistest gives tests a real Redis server that can be stopped, hung and restarted ([Start]), and
// one that answers out of step ([StartDesync]).
package redistest

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// readyWithin is how long a server may take to say that it accepts connections.
const readyWithin = 20 * time.Second

// Server is a redis-server of this test alone: on a loopback port, without persistence, so that it comes
// back empty after [Server.Restart]. Its methods fail the test when the server does not do as told.
type Server struct {
	t    testing.TB
	path string
	port int
	args []string

	mu  sync.Mutex
	cmd *exec.Cmd // nil while stopped
}

// Start runs a redis-server until the test ends; args are added to its command line. Where the program is
// missing the test is skipped, or fails if QRGATE_REQUIRE_ALL is 1.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		if os.Getenv("QRGATE_REQUIRE_ALL") == "1" {
			t.Fatal("redis-server is not installed, and QRGATE_REQUIRE_ALL=1 asks for every test")
		}
		t.Skip("redis-server is not installed; this test needs the real one")
	}
	s := &Server{t: t, path: path, args: args}
	t.Cleanup(s.Stop)
	// Another process may take the port between our asking for a free one and the server's binding it.
	for range 5 {
		s.port = freePort(t)
		if err = s.launch(); err == nil {
			return s
		}
	}
	t.Fatalf("redis-server does not start: %v", err)
	return nil
}

// URL is where the server listens, as redis://127.0.0.1:PORT.
func (s *Server) URL() string { return "redis://" + s.Addr() }

// Addr is where the server listens, as 127.0.0.1:PORT. It stays the same over restarts.
func (s *Server) Addr() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

// Stop kills the server and waits until it is gone; its port then refuses connections. A server that is
// stopped or hung already is fine.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill() // SIGKILL ends a hung process too
	_ = s.cmd.Wait()         // says "signal: killed", which is what was asked for
	s.cmd = nil
}

// Pause hangs the server: its port accepts connections and nothing ever answers.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume ends a Pause.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

// Restart kills the server if it runs, and starts an empty one on the same port.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	if err := s.launch(); err != nil {
		s.t.Fatalf("redis-server does not start again: %v", err)
	}
}

func (s *Server) signal(signal os.Signal) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		s.t.Fatalf("%v cannot be sent to a server that is stopped", signal)
	}
	if err := s.cmd.Process.Signal(signal); err != nil {
		s.t.Fatalf("%v to redis-server: %v", signal, err)
	}
}

// launch starts the process and returns when it says that it accepts connections.
func (s *Server) launch() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	cmd := exec.Command(s.path, append([]string{"--port", fmt.Sprint(s.port), "--bind", "127.0.0.1",
		"--save", "", "--appendonly", "no", "--dir", os.TempDir()}, s.args...)...)
	cmd.SysProcAttr = dieWithParent()
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	ready := make(chan bool, 1)
	go func() {
		// Reads to the end, so that the server never blocks on a full pipe.
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if strings.Contains(lines.Text(), "Ready to accept connections") {
				select {
				case ready <- true:
				default: // a server with several sockets says it once for each
				}
			}
		}
		close(ready)
	}()
	select {
	case ok := <-ready:
		if ok {
			s.cmd = cmd
			return nil
		}
		return fmt.Errorf("it ended at once: %w", cmd.Wait())
	case <-time.After(readyWithin):
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return fmt.Errorf("not ready within %v", readyWithin)
	}
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}
