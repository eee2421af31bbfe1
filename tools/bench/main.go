// Command bench measures qrgate beside the programs that it is compared with: in one run, in alternating turns, on one
// machine, over loopback only. It prints ratios, because they hold on a busy machine where times do not.
// docs/PERFORMANCE.md says what the figures mean.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

// commands is the command line.
type commands struct {
	Within time.Duration `default:"5m" help:"Timeout of each measurement."`
	Caddy  string        `help:"Caddy's program. Default: the installed one, else one built from the module proxy; none: not measured."`
	Write  string        `help:"File whose sections of these measurements get the tables, as docs/PERFORMANCE.md."`
	Wrk    string        `default:"wrk" help:"The load generator of warm and pass-through; if it is not installed, bench's own."`

	All         all         `cmd:"" default:"1" help:"All of them, one after the other, with their defaults."`
	Warm        warm        `cmd:"" help:"Cost of a QR that exists, beside bare Gin and nginx's cache serving the same bytes."`
	PassThrough passThrough `cmd:"" help:"Cost of a request that qrgate passes through, beside a bare proxy, Caddy, nginx and HAProxy."`
	TimeToQR    timeToQR    `cmd:"" name:"time-to-qr" help:"Success and time to a QR of existing clients, with and without qrgate."`
	Waiters     waiters     `cmd:"" help:"Cost of thousands of waiting requests, in memory and for other clients."`
	Store       storing     `cmd:"" help:"Cost of a stored QR, with the store in memory and in Redis."`

	Front server `cmd:"" hidden:"" help:"One of the measured servers; the other commands start it."`
}

// world is everything that a run depends on.
type world struct {
	args, env []string
	in        io.Reader
	out, err  io.Writer // results, progress
	self      string    // the path of this program, to run the measured servers
}

const about = `Measures qrgate beside the programs that it is compared with, and prints ratios.

The measured programs run in processes of their own; the load and the engine run in this one, all on loopback.
nginx, HAProxy and redis-server are measured if they are installed; Caddy is built if it is not.`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(run(ctx, world{args: os.Args[1:], env: os.Environ(), in: os.Stdin, out: os.Stdout, err: os.Stderr, self: self}))
}

// run is main with its arguments and outputs; it returns the exit code.
func run(ctx context.Context, w world) int {
	w.err = &shared{to: w.err}
	var c commands
	ended := -1
	parser, err := kong.New(&c, kong.Name("bench"), kong.Description(about), kong.Writers(w.out, w.err),
		kong.Exit(func(code int) { ended = code }), kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 120}))
	if err != nil {
		fmt.Fprintln(w.err, "bench:", err)
		return 1
	}
	parsed, err := parser.Parse(w.args)
	switch {
	case ended >= 0:
		return ended
	case err != nil:
		fmt.Fprintln(w.err, "bench:", err)
		return 2
	}
	load, _ := os.ReadFile("/proc/loadavg")
	b := &bench{world: w, loadBefore: string(load), within: c.Within, caddyPath: c.Caddy, wrkPath: c.Wrk}
	switch command := parsed.Selected().Target.Addr().Interface().(type) {
	case measurement:
		if err = b.bounded(ctx, command); err == nil && c.Write != "" {
			err = b.write(c.Write, parsed.Command())
		}
	case *all:
		err = command.run(ctx, b, c.Write)
	case *server:
		err = command.run(ctx, b)
	}
	if err != nil {
		fmt.Fprintln(w.err, "bench:", err)
		return 1
	}
	return 0
}

// measurement is a command that measures and prints the result.
type measurement interface {
	measure(context.Context, *bench) error
}

// bench is one run of the program.
type bench struct {
	world
	within     time.Duration
	tables     []table
	loadBefore string
	caddyPath  string // "": to be found or built
	wrkPath    string
}

// report prints a table of the result.
func (b *bench) report(t table) {
	t.write(b.out)
	b.tables = append(b.tables, t)
}

// write replaces the section of a measurement in a file: the lines between <!-- bench NAME --> and <!-- end -->.
func (b *bench) write(path, name string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	begin, end := "<!-- bench "+name+" -->\n", "<!-- end -->"
	head, rest, isFound := strings.Cut(string(text), begin)
	_, tail, isEnded := strings.Cut(rest, end)
	if !isFound || !isEnded {
		return fmt.Errorf("%s has no section between %q and %q", path, begin, end)
	}
	var section strings.Builder
	load, _ := os.ReadFile("/proc/loadavg") // of Linux
	before, after := strings.Fields(b.loadBefore+" -"), strings.Fields(string(load)+" -")
	fmt.Fprintf(&section, "Measured by `bin/bench %s` on %s, %d processors, %s; load average %s before and %s after.\n",
		strings.Join(b.args, " "), time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), runtime.Version(), before[0], after[0])
	for _, t := range b.tables {
		section.WriteString(t.markdown())
	}
	return os.WriteFile(path, []byte(head+begin+section.String()+end+tail), 0o644)
}

// logf prints the progress.
func (b *bench) logf(format string, values ...any) { fmt.Fprintf(b.err, format+"\n", values...) }

// shared is a writer for several goroutines: the servers write their errors where this program writes its progress.
type shared struct {
	mu sync.Mutex
	to io.Writer
}

// Write implements [io.Writer].
func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.to.Write(p)
}

// errLate is the error of a measurement that took too long.
var errLate = errors.New("the measurement took longer than --within allows")

// bounded runs a measurement with its timeout.
func (b *bench) bounded(ctx context.Context, m measurement) error {
	ctx, cancel := context.WithTimeoutCause(ctx, b.within, errLate)
	defer cancel()
	err := m.measure(ctx, b)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

// all is every measurement with its defaults.
type all struct{}

func (all) run(ctx context.Context, b *bench, write string) error {
	for _, name := range []string{"warm", "pass-through", "time-to-qr", "waiters", "store"} {
		w := b.world
		w.args = []string{"--within", b.within.String(), "--caddy", b.caddyPath, "--wrk", b.wrkPath, "--write", write, name}
		if code := run(ctx, w); code != 0 {
			return fmt.Errorf("%s failed", name)
		}
	}
	return nil
}
