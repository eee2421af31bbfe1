// Command qrgate is a gateway in front of a WhatsApp session engine, or an engine itself. It makes create, connect and
// QR dependable.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"qrgate/compat"
)

// version is set at build time with -ldflags "-X main.version=…".
var version = "dev"

// Exit codes of all commands.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2 // wrong arguments or settings
)

func main() {
	hangups := make(chan os.Signal, 1)
	if !signal.Ignored(syscall.SIGHUP) { // nohup ignores it on purpose
		signal.Notify(hangups, syscall.SIGHUP)
	}
	_ = disableCoreDumps()         // where that is forbidden, the operator has set a limit
	signal.Ignore(syscall.SIGPIPE) // a closed pipe must not stop the cleanup; cancelOnError handles the failed write
	log.SetOutput(io.Discard)      // net/http quotes there what an engine sends unasked, a QR among it
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	env := environment(os.Environ())
	env.unset()
	os.Exit(run(ctx, cli{
		args: os.Args[1:], env: env, out: os.Stdout, err: os.Stderr, hangups: hangups,
		color: os.Getenv("NO_COLOR") == "" && compat.IsTerminal(os.Stdout),
	}))
}

// cli is everything that a run depends on.
type cli struct {
	args     []string
	env      environment
	out, err io.Writer
	color    bool             // out is a terminal, and NO_COLOR (https://no-color.org) is not set
	hangups  <-chan os.Signal // SIGHUP
	whatsapp *http.Client     // how doctor reaches WhatsApp; nil means the real one
}

// commands is the command line.
type commands struct {
	settings

	ShowVersion kong.VersionFlag `name:"version"`

	Serve   struct{}      `cmd:"" default:"1" help:"Run the gateway (default)."`
	Probe   probeCommand  `cmd:"" help:"Run the create → connect → QR probe once."`
	Pair    pairCommand   `cmd:"" help:"Pair a session with a phone: show its QR here until it is connected."`
	Doctor  doctorCommand `cmd:"" help:"Check the engine and its connection to WhatsApp; print the cause and the fix."`
	Health  healthCommand `cmd:"" help:"Check whether the gateway on this host is ready; for a container's health check."`
	Notify  notifyCommand `cmd:"" help:"Send a test message to the addresses of QRGATE_NOTIFY_URLS."`
	Version struct{}      `cmd:"" help:"Print the version."`

	Completion completionCommand `cmd:"" help:"Print the completion script of a shell."`
}

// parser returns a parser into cmds. exit receives the exit code of --help and --version.
func (c cli) parser(cmds *commands, exit func(int)) (*kong.Kong, error) {
	return kong.New(cmds, kong.Name("qrgate"), kong.PostBuild(addHelp), kong.Writers(c.out, c.err), kong.Exit(exit),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 120}), kong.Help(printHelp),
		kong.Vars{"version": "qrgate " + version}, kong.Resolvers(kong.ResolverFunc(c.env.resolve)))
}

// run executes a command line and returns the exit code.
func run(ctx context.Context, c cli) int {
	var cmds commands
	exit := -1
	parser, err := c.parser(&cmds, func(code int) { exit = code })
	if err != nil {
		fmt.Fprintln(c.err, "qrgate:", err)
		return exitFailed
	}
	command, err := parser.Parse(rewriteHelp(c.args))
	switch {
	case exit >= 0:
		return exit
	case err != nil:
		fmt.Fprintf(c.err, "qrgate: %s\nRun qrgate --help for all settings.\n", withVariable(err, parser.Model.Node))
		return exitUsage
	}
	name, _, _ := strings.Cut(command.Command(), " ")
	if err := checkFlags(command, name); err != nil {
		fmt.Fprintf(c.err, "qrgate: %v\nRun qrgate %s --help for its flags.\n", err, name)
		return exitUsage
	}
	switch name {
	case "version":
		fmt.Fprintln(c.out, "qrgate", version)
		return exitOK
	case "completion":
		cmds.Completion.run(c.out, parser.Model.Node)
		return exitOK
	case "health":
		return cmds.Health.run(ctx, c, cmds.AdminListen)
	case "notify":
		return cmds.Notify.run(ctx, c, cmds.NotifyURLs)
	case "probe", "doctor", "pair":
		return runOnce(ctx, c, cmds, name)
	}
	return runGateway(ctx, c, cmds.settings, variables(parser.Model.Node))
}

// runOnce runs a check, and cancels it when its terminal is closed or its output cannot be written any more.
func runOnce(ctx context.Context, c cli, cmds commands, command string) int {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-c.hangups:
			cancel()
		case <-ctx.Done():
		}
	}()
	c.out = cancelOnError{c.out, cancel}
	switch command {
	case "probe":
		return cmds.Probe.run(ctx, c, cmds.settings)
	case "pair":
		return cmds.Pair.run(ctx, c, cmds.settings)
	}
	return cmds.Doctor.run(ctx, c, cmds.settings)
}

// cancelOnError calls cancel when a write fails, as it does once head has read its lines. The check then ends and
// cleans up.
type cancelOnError struct {
	io.Writer
	cancel func()
}

// Write implements io.Writer.
func (w cancelOnError) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if err != nil {
		w.cancel()
	}
	return n, err
}
