// Command qrgate-demo shows the incident on one machine: a simulated WhatsApp, a session engine that returns 500 where
// a QR should be, and qrgate in front of it. It needs no network, no phone and no account.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"qrgate/compat"
)

// version is set by the linker, see the Makefile.
var version = "dev"

// settings is the command line.
type settings struct {
	Once    bool             `help:"Exit after the scenario: with 0 if every step succeeded, else with 1."`
	Listen  string           `default:"127.0.0.1:8080" help:"Address of qrgate; if it is in use, a free port."`
	Kind    string           `default:"inboxhub" enum:"inboxhub,evolution,gowa,waha,wuzapi" help:"API: ${enum}."`
	Delay   string           `default:"4s" help:"How long after a connect the engine returns 500 instead of a QR."`
	Version kong.VersionFlag `help:"Print the version."`
}

const about = `Shows the incident and its fix: a session engine returns 500 QR_GENERATION_ERROR, and qrgate in front of
it a QR.

Everything runs in this process and on loopback: a simulated WhatsApp server, an engine whose codes come from the
real whatsmeow library, and qrgate with its status page. After the scenario it keeps running, so that you can send
requests yourself. NO_COLOR turns colors off.`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is main with its arguments and outputs; it returns the exit code.
func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	var s settings
	exit := -1
	parser, err := kong.New(&s, kong.Name("qrgate-demo"), kong.Description(about), kong.Writers(out, errOut),
		kong.Vars{"version": version}, kong.Exit(func(code int) { exit = code }),
		kong.ConfigureHelp(kong.HelpOptions{WrapUpperBound: 120}))
	if err == nil {
		_, err = parser.Parse(args)
	}
	if exit >= 0 {
		return exit
	}
	if err != nil {
		fmt.Fprintln(errOut, "qrgate-demo:", err)
		return 2
	}
	if err := runDemo(ctx, s, out); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(errOut, "\nqrgate-demo:", err)
		return 1
	}
	return 0
}

// runDemo starts the environment, runs the scenario, and with --once exits then.
func runDemo(ctx context.Context, s settings, out io.Writer) error {
	env, err := newEnvironment(s)
	if err != nil {
		return err
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- env.run(serving) }()
	show := &scenario{environment: env, out: out, color: useColor(out), once: s.Once}
	err = show.run(ctx)
	if err == nil && !s.Once {
		if env.dialect != nil {
			show.printNativeUsage(ctx)
		} else {
			env.printUsage(out)
		}
		select {
		case <-ctx.Done():
		case err = <-done:
			done <- err
		}
	}
	stop()
	return errors.Join(err, <-done)
}

// useColor reports whether out is a terminal that may show colors, see https://no-color.org.
func useColor(out io.Writer) bool {
	return os.Getenv("NO_COLOR") == "" && compat.IsTerminal(out)
}
