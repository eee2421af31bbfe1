package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"qrgate/internal/app"
)

// cli is all that a run depends on.
type cli struct {
	args, env []string
	out, err  io.Writer
	whatsapp  *http.Client // how doctor reaches WhatsApp; nil: for real
}

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2 // called or configured wrongly
)

const about = `A gateway before a WhatsApp session engine that makes create, connect and QR dependable.

With nothing set it is an engine itself, on whatsmeow: memory, SQLite in ./qrgate-data, the real WhatsApp.
Every flag can be set by the variable beside it.`

// run is main without its world: it returns the exit code.
func run(ctx context.Context, w cli) int {
	var f flags
	ended := -1
	parser, err := kong.New(&f, kong.Name("qrgate"), kong.Description(about), kong.Writers(w.out, w.err),
		kong.Exit(func(code int) { ended = code }), kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 120}),
		kong.Help(printHelp), kong.Vars{"version": "qrgate " + version}, kong.Resolvers(environment(w.env)))
	if err != nil {
		fmt.Fprintln(w.err, "qrgate:", err)
		return exitFailed
	}
	command, err := parser.Parse(rewriteHelp(w.args))
	switch {
	case ended >= 0:
		return ended
	case err != nil:
		fmt.Fprintf(w.err, "qrgate: %s\nRun qrgate --help for all settings.\n", named(err, parser.Model.Node))
		return exitUsage
	}
	if command.Command() == "version" {
		fmt.Fprintln(w.out, "qrgate", version)
		return exitOK
	}
	if command.Command() == "probe" || command.Command() == "doctor" {
		return once(ctx, w, f, command.Command())
	}
	return serve(ctx, w, f.settings, known(parser.Model.Node))
}

// rewriteHelp reads "help probe", which many type first, as "probe --help".
func rewriteHelp(args []string) []string {
	if len(args) > 0 && args[0] == "help" {
		return append(slices.Clone(args[1:]), "--help")
	}
	return args
}

// once runs a command that looks at something once, for as long as somebody reads what it says.
func once(ctx context.Context, w cli, f flags, command string) int {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	w.out = cancelOnError{w.out, stop}
	if command == "probe" {
		return f.Probe.run(ctx, w, f.DataDir)
	}
	return f.Doctor.run(ctx, w, f.settings)
}

// printHelp prints help. What a command has of its own comes before the settings, which every command takes.
func printHelp(options kong.HelpOptions, ctx *kong.Context) error {
	if command := ctx.Selected(); command != nil && len(command.Flags) > 0 {
		for _, f := range ctx.Model.Flags {
			if len(f.Envs) > 0 {
				f.Group = &kong.Group{Key: "settings", Title: "Settings of the gate:"}
			}
		}
	}
	return kong.DefaultHelpPrinter(options, ctx)
}

func serve(ctx context.Context, w cli, f settings, names []string) int {
	if err := checkUnknownVars(w.env, names); err != nil {
		fmt.Fprintln(w.err, "qrgate:", err)
		return exitUsage
	}
	cfg, err := f.config()
	if err != nil {
		fmt.Fprintln(w.err, "qrgate:", err)
		return exitUsage
	}
	cfg.Logger, cfg.Out = logger(f, w.err), w.out
	g, err := app.New(cfg)
	if err != nil {
		fmt.Fprintln(w.err, "qrgate:", err)
		return exitUsage
	}
	engine := "the embedded engine"
	if cfg.EngineURL != nil {
		engine = cfg.EngineURL.String()
	}
	cfg.Logger.Info("qrgate serves", "clients", g.URL(), "operators", g.AdminURL(), "engine", engine, "version", version)
	if err := g.Run(ctx); err != nil {
		fmt.Fprintln(w.err, "qrgate:", err)
		return exitFailed
	}
	return exitOK
}

func logger(f settings, out io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(f.LogLevel)) // kong has checked it
	options := &slog.HandlerOptions{Level: level}
	if f.LogFormat == "text" {
		return slog.New(slog.NewTextHandler(out, options))
	}
	return slog.New(slog.NewJSONHandler(out, options))
}

// named puts the variable's name before an error about a flag: most people set the variable.
func named(err error, n *kong.Node) string {
	text := err.Error()
	for _, f := range n.Flags {
		if strings.HasPrefix(text, "--"+f.Name) && len(f.Envs) > 0 {
			return f.Envs[0] + ": " + text
		}
	}
	return text
}

// environment resolves a flag from the given variables, not from the process's: tests run side by side.
func environment(env []string) kong.ResolverFunc {
	return func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		for _, name := range flag.Envs {
			for _, entry := range env {
				if value, ok := strings.CutPrefix(entry, name+"="); ok && value != "" {
					return value, nil
				}
			}
		}
		return nil, nil
	}
}

// known lists every variable that a command understands.
func known(n *kong.Node) []string {
	var out []string
	for _, f := range n.Flags {
		out = append(out, f.Envs...)
	}
	for _, c := range n.Children {
		out = append(out, known(c)...)
	}
	return out
}

// checkUnknownVars refuses variables that begin with QRGATE_ and mean nothing: a misspelt setting must not be a
// setting that is silently not there.
func checkUnknownVars(env, names []string) error {
	var errs []error
	for _, entry := range env {
		name, _, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, "QRGATE_") || slices.Contains(names, name) || slices.Contains(ownVariables, name) {
			continue
		}
		errs = append(errs, fmt.Errorf("%s is no setting. Did you mean %s? qrgate --help lists all", name, closest(name, names)))
	}
	return errors.Join(errs...)
}

// ownVariables are read by other parts: tests, and binaries built for the simulated WhatsApp.
var ownVariables = []string{"QRGATE_REQUIRE_ALL", "QRGATE_TEST_DATABASE_URL", "QRGATE_WHATSAPPSIM_ROOT", "QRGATE_WHATSAPPSIM_ADDR"}

// closest is the name that shares the longest beginning and end with a stranger.
func closest(stranger string, names []string) string {
	best, most := "", -1
	for _, name := range names {
		score := 0
		for score < min(len(name), len(stranger)) && name[score] == stranger[score] {
			score++
		}
		for i := 1; i <= min(len(name), len(stranger))-score && name[len(name)-i] == stranger[len(stranger)-i]; i++ {
			score++
		}
		if score > most {
			best, most = name, score
		}
	}
	return best
}
