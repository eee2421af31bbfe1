// Command drill breaks an engine on purpose and shows who is told, when, and of what: a gateway with probes on, a
// simulated engine, a real Redis, a real Prometheus with the committed rules, a real Alertmanager with the
// committed routes, and a pager that writes down every page.
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
	Short    bool          `help:"Ten times faster: every interval, window and patience of rules and routes is a tenth. Ends by itself; for CI."`
	Once     bool          `help:"End after the drill. Otherwise everything stays up, for you to look at Prometheus and Alertmanager."`
	Users    int           `default:"3" help:"How many users wait for a QR all the time; 0 is a night without any. Default: ${default}."`
	Interval time.Duration `default:"30s" help:"How often qrgate walks the way to a QR by itself; a tenth of it with --short. Default: ${default}."`
	Rules    string        `default:"../dashboards/prometheus/qrgate.rules.yml" placeholder:"FILE" help:"The rules. Default: ${default}."`
	Routes   string        `default:"../dashboards/alertmanager/alertmanager.yml" placeholder:"FILE" help:"Who is told. Default: ${default}."`
}

const about = `Breaks an engine on purpose, and shows who is paged, when and for what.

Runs a gateway that probes itself, a simulated engine, redis-server, Prometheus with the committed rules and
Alertmanager with the committed routes, all on free ports of loopback. First one probe fails, which must wake nobody;
then what --break names breaks for good, and is repaired after somebody was told.

The real form takes 15 to 20 minutes, because an alert for a cause ends 7 minutes after it, and Alertmanager tells of
an end every 5; --short takes two. Ctrl-C ends it and says what was checked so far. Exit status: 0 all went as it should,
1 it did not, 2 it could not be tried, or not to its end.

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

// run is main without its world: it returns the exit code.
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

// drill sets everything up, plays, and stays up unless told otherwise. It reports whether all went as it should.
func drill(ctx context.Context, s settings, out io.Writer) (bool, error) {
	st, err := build(ctx, s)
	if err != nil {
		return false, err
	}
	defer st.close()
	log := newTimeline(out)
	p := &play{stage: st, log: log, pace: s.pace(), breakage: breakages()[s.Break]}
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
	fmt.Fprintf(out, "\n Prometheus %s   Alertmanager %s   Ctrl-C ends the drill.\n", st.prometheus, st.alertmanager)
	<-ctx.Done()
	return ok, nil
}
