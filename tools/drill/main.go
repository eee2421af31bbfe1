// Command drill breaks an engine on purpose and shows which alerts reach which receiver, and when: qrgate with probes, a
// simulated engine, a real Redis, a real Prometheus with the committed rules, a real Alertmanager with the committed
// routes, and a receiver that records every notification.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

// settings is the command line.
type settings struct {
	Break    string        `default:"engine-down" enum:"engine-down,qr-500,slow,rate-limit,redis-down,client-outdated" help:"What to break: engine-down, qr-500, slow, rate-limit, redis-down or client-outdated. Default: ${default}."`
	Short    bool          `help:"Ten times faster: every interval, window and delay of rules and routes is a tenth. Exits by itself; for CI."`
	Once     bool          `help:"Exit after the drill. Otherwise Prometheus and Alertmanager keep running, so that you can use them."`
	Users    int           `default:"3" help:"How many users request QRs all the time; 0 is a night without users. Default: ${default}."`
	Interval time.Duration `default:"30s" help:"Interval of the create → connect → QR probe; a tenth of it with --short. Default: ${default}."`
	Rules    string        `default:"../dashboards/prometheus/qrgate.rules.yml" placeholder:"FILE" help:"The alerting rules. Default: ${default}."`
	Routes   string        `default:"../dashboards/alertmanager/alertmanager.yml" placeholder:"FILE" help:"The routes of Alertmanager. Default: ${default}."`
}

const about = `Breaks an engine on purpose, and shows who is paged, when and for what.

Runs qrgate with its probes, a simulated engine, redis-server, Prometheus with the committed rules and Alertmanager
with the committed routes, all on free ports of loopback. First one probe fails, which must page no one. Then the
fault of --break starts, and ends after its alert has been sent.

In real time it takes 15 to 20 minutes, because an alert ends 7 minutes after its cause, and Alertmanager sends resolved
alerts every 5 minutes; --short takes two. Ctrl-C ends it and prints the checks so far. Exit status: 0 every check
passed, 1 a check failed, 2 the drill could not run, or not to its end.

  go -C tools run ./drill --once
  go -C tools run ./drill --break qr-500 --users 0
  go -C tools run ./drill --short`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// Exit codes.
const (
	exitOK      = 0
	exitFailed  = 1
	exitUntried = 2
)

// run is main with its arguments and outputs; it returns the exit code.
func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	var s settings
	ended := -1
	parser, err := kong.New(&s, kong.Name("drill"), kong.Description(about), kong.Writers(out, errOut),
		kong.Exit(func(code int) { ended = code }), kong.ConfigureHelp(kong.HelpOptions{WrapUpperBound: 120}))
	if err == nil {
		_, err = parser.Parse(args)
	}
	if ended >= 0 {
		return ended
	}
	if err == nil {
		err = s.check()
	}
	if err != nil {
		fmt.Fprintf(errOut, "drill: %v\n", err)
		return exitUntried
	}
	ok, err := drill(ctx, s, out)
	switch {
	case errors.Is(err, context.Canceled):
		return exitUntried
	case err != nil:
		fmt.Fprintf(errOut, "drill: %v\n", err)
		return exitUntried
	case !ok:
		return exitFailed
	}
	return exitOK
}

func (s settings) check() error {
	if s.Users < 0 || s.Users > 50 {
		return errors.New("--users must be between 0 and 50")
	}
	if s.Interval < 10*time.Second || s.Interval > 10*time.Minute {
		return errors.New("--interval must be between 10s and 10m")
	}
	return nil
}

// drill starts the environment and runs the scenario; without --once it then keeps running. It reports whether every
// check passed.
func drill(ctx context.Context, s settings, out io.Writer) (bool, error) {
	env, err := build(ctx, s)
	if err != nil {
		return false, err
	}
	defer env.close()
	log := newTimeline(out)
	p := &scenario{environment: env, log: log, timeScale: s.timeScale(), fault: faults()[s.Break]}
	err = p.run(ctx)
	if ctx.Err() != nil {
		log.interrupted(p.checks)
		return false, context.Cause(ctx)
	}
	if err != nil {
		return false, err
	}
	ok := log.verdict(p.checks)
	if s.Once || s.Short {
		return ok, nil
	}
	fmt.Fprintf(out, "\n Prometheus %s   Alertmanager %s   Ctrl-C ends the drill.\n", env.prometheus, env.alertmanager)
	<-ctx.Done()
	return ok, nil
}
