// Command whatsappsim runs the simulated WhatsApp server of internal/test/whatsappsim with a control API beside it, for
// clients in other processes and other languages. See usage.txt, which is also its --help.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"qrgate/internal/test/whatsappsim"
)

//go:embed usage.txt
var usage string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the whole program: it returns 0 when ctx ended it, 2 when it was called wrongly, 1 otherwise.
func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	opt, err := parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(out, usage)
		return 0
	case err != nil:
		fmt.Fprintf(errOut, "whatsappsim: %v\n\n%s", err, usage)
		return 2
	}
	if err := serve(ctx, opt, out); err != nil {
		fmt.Fprintf(errOut, "whatsappsim: %v\n", err)
		return 1
	}
	return 0
}

// options are the flags, typed.
type options struct {
	listen, control string
	delay           time.Duration
	refTTL          []time.Duration
}

func parse(args []string) (options, error) {
	var o options
	fs := flag.NewFlagSet("whatsappsim", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&o.listen, "listen", "127.0.0.1:0", "")
	fs.StringVar(&o.control, "control", "127.0.0.1:0", "")
	fs.DurationVar(&o.delay, "first-frame-delay", 0, "")
	fs.Func("ref-ttl", "", func(text string) (err error) { o.refTTL, err = durations(text); return err })
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	return o, errors.Join(loopback("listen", o.listen), loopback("control", o.control))
}

// loopback refuses every address but the machine's own: the control API asks nobody who they are.
func loopback(name, addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("-%s: %w", name, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("-%s: %q is not a loopback address", name, host)
	}
	return nil
}

// serve runs the simulator and its control API until ctx ends.
func serve(ctx context.Context, o options, out io.Writer) error {
	ln, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	defer ln.Close()
	ctl, err := net.Listen("tcp", o.control)
	if err != nil {
		return err
	}
	defer ctl.Close()
	sim := &whatsappsim.Server{RefTTL: o.refTTL, FirstFrameDelay: o.delay}
	if err := announce(out, sim, ln.Addr().String(), ctl.Addr().String()); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return sim.Serve(ln) })
	group.Go(func() error { return serveControl(ctx, sim, ctl) })
	group.Go(func() error { <-ctx.Done(); return sim.Close() })
	return group.Wait()
}
