// Package rig runs the real gateway, and the servers that it needs, for programs that load or break it.
package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startTimeout is how long a gateway may take until it serves.
const startTimeout = 15 * time.Second

// Build builds cmd/qrgate into dir and returns the path of the program.
func Build(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "qrgate")
	cmd := exec.CommandContext(ctx, "go", "build", "-ldflags=-s -w", "-o", path, "qrgate/cmd/qrgate")
	cmd.Stderr, cmd.Env = os.Stderr, append(os.Environ(), "CGO_ENABLED=0")
	return path, cmd.Run()
}

// Host lets redistest's servers, which are made for tests, run in a program. A server that cannot be started panics
// with an [Error].
type Host struct {
	testing.TB
	cleanups []func()
}

// Error is why a server of a [Host] cannot be started.
type Error struct{ error }

// Helper implements [testing.TB].
func (*Host) Helper() {}

// Cleanup implements [testing.TB].
func (h *Host) Cleanup(f func()) { h.cleanups = append(h.cleanups, f) }

// Fatalf implements [testing.TB].
func (*Host) Fatalf(format string, values ...any) { panic(Error{fmt.Errorf(format, values...)}) }

// Fatal implements [testing.TB].
func (h *Host) Fatal(values ...any) { h.Fatalf("%s", fmt.Sprint(values...)) }

// Skipf implements [testing.TB].
func (h *Host) Skipf(format string, values ...any) { h.Fatalf(format, values...) }

// TempDir implements [testing.TB].
func (h *Host) TempDir() string {
	dir, err := os.MkdirTemp("", "rig")
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// Close ends the servers, the last one first.
func (h *Host) Close() {
	for i := len(h.cleanups) - 1; i >= 0; i-- {
		h.cleanups[i]()
	}
}

// Recover sets err to the reason why a server could not be started. It is to be deferred.
func Recover(err *error) {
	failed := recover()
	if failed == nil {
		return
	}
	reason, ok := failed.(Error)
	if !ok {
		panic(failed)
	}
	*err = reason
}

// Replica is one gateway in a process of its own.
type Replica struct {
	Addr, Admin string // host:port for clients and for operators

	path string
	env  []string
	log  io.Writer
	cmd  *exec.Cmd
	done chan struct{}
}

// NewReplica reserves the ports of a gateway; path is the program, env its settings, and log gets what it prints.
func NewReplica(path string, env []string, log io.Writer) (*Replica, error) {
	r := &Replica{path: path, log: log}
	for _, addr := range []*string{&r.Addr, &r.Admin} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		*addr = l.Addr().String()
		_ = l.Close()
	}
	r.env = append(env, "PATH="+os.Getenv("PATH"), "QRGATE_LISTEN="+r.Addr, "QRGATE_ADMIN_LISTEN="+r.Admin)
	return r, nil
}

// Start runs the gateway and waits until it serves.
func (r *Replica) Start(ctx context.Context) error {
	cmd := exec.Command(r.path)
	cmd.Env, cmd.Stderr, cmd.Stdout, cmd.SysProcAttr = r.env, r.log, r.log, dieWithParent()
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan struct{})
	r.cmd, r.done = cmd, done
	go func() { _ = cmd.Wait(); close(done) }()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		if _, err := r.Get("/readyz"); err == nil {
			return nil
		}
		select {
		case <-done:
			return errors.New("a gateway does not start: " + strings.Join(r.env, " "))
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Stop sends a signal and waits for the end. It does nothing if the gateway was not started.
func (r *Replica) Stop(signal syscall.Signal) {
	if r.cmd == nil {
		return
	}
	_ = r.cmd.Process.Signal(signal)
	<-r.done
}

// PID is the process id.
func (r *Replica) PID() int { return r.cmd.Process.Pid }

// Get returns the body of a page for operators.
func (r *Replica) Get(path string) (string, error) {
	client := http.Client{Timeout: 10 * time.Second}
	res, err := client.Get("http://" + r.Admin + path)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	return string(text), err
}
