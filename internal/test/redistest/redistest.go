// Package redistest provides Redis servers for tests: a real one that can be stopped, paused and restarted ([Start]),
// one whose replies are out of step ([StartDesync]), and one with a fixed reply ([StartScripted]).
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

	"qrgate/internal/test/program"
)

// readyTimeout is for a server to accept connections.
const readyTimeout = 20 * time.Second

// Server is a redis-server for one test: on a loopback port, without persistence, so that it is empty after
// [Server.Restart]. Its methods fail the test on errors.
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
	path := program.Find(t, "redis-server", "redis-server")
	s := &Server{t: t, path: path, args: args}
	t.Cleanup(s.Stop)
	// Another process may bind the free port before the server does.
	var err error
	for range 5 {
		s.port = freePort(t)
		if err = s.launch(); err == nil {
			return s
		}
	}
	t.Fatalf("redis-server does not start: %v", err)
	return nil
}

// URL is redis://127.0.0.1:PORT.
func (s *Server) URL() string { return "redis://" + s.Addr() }

// Addr is 127.0.0.1:PORT. A restart does not change it.
func (s *Server) Addr() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

// Stop kills the server, even a paused one, and waits for its end; its port then refuses connections.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill() // SIGKILL ends a paused process, too
	_ = s.cmd.Wait()         // always "signal: killed"
	s.cmd = nil
}

// Pause stops the process: its port accepts connections, and no command gets a reply.
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

// launch starts the process and waits until it accepts connections.
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
				default: // a server with several sockets prints it once for each
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
	case <-time.After(readyTimeout):
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return fmt.Errorf("not ready within %v", readyTimeout)
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
