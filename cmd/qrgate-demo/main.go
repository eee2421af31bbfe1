// Command qrgate-demo rehearses the incident on one machine: a simulated WhatsApp, a session engine that
// answers 500 where a QR should be, and the gate before it. It needs no network, no phone and no account.
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
)

// settings is the command line.
type settings struct {
	Once   bool   `help:"End after the play: with 0 if every step went as it should, else with 1."`
	Listen string `default:"127.0.0.1:8080" help:"Address of the gate; another free port is taken if this one is in use."`
	Delay  string `default:"4s" help:"How long after a connect the engine answers 500 instead of a QR."`
}

const about = `The incident, rehearsed: a session engine answers 500 QR_GENERATION_ERROR, and a gate before it makes that good.

Everything runs in this process and on loopback: a simulated WhatsApp server, an engine whose codes come from the
real whatsmeow library, and qrgate. After the play it goes on serving, for you to try by hand.`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is main without its world: it returns the exit code.
func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	var s settings
	ended := -1
	parser, err := kong.New(&s, kong.Name("qrgate-demo"), kong.Description(about), kong.Writers(out, errOut),
		kong.Exit(func(code int) { ended = code }), kong.ConfigureHelp(kong.HelpOptions{WrapUpperBound: 120}))
	if err == nil {
		_, err = parser.Parse(args)
	}
	if ended >= 0 {
		return ended
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

// runDemo sets the stage, plays, and goes on serving unless told otherwise.
func runDemo(ctx context.Context, s settings, out io.Writer) error {
	stage, err := build(s)
	if err != nil {
		return err
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- stage.run(serving) }()
	err = (&scenario{environment: stage, out: out}).run(ctx)
	if err == nil && !s.Once {
		stage.invite(out)
		select {
		case <-ctx.Done():
		case err = <-done:
			done <- err
		}
	}
	stop()
	return errors.Join(err, <-done)
}
