package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	"qrgate/internal/app"
)

// runGateway runs the gateway until ctx ends. known are the names of all variables.
func runGateway(ctx context.Context, c cli, s settings, known []string) int {
	fail := func(exit int, err error) int {
		fmt.Fprintln(c.err, "qrgate:", err)
		return exit
	}
	if err := c.env.check(known); err != nil {
		return fail(exitUsage, err)
	}
	cfg, err := s.config()
	if err != nil {
		return fail(exitUsage, err)
	}
	level := new(slog.LevelVar)
	level.Set(s.logLevel())
	cfg.Logger, cfg.Out = newLogger(s.LogFormat, level, c.err), c.out
	for _, warning := range c.env.warnings(s, known) {
		cfg.Logger.Warn("setting without effect", "why", warning)
	}
	for _, engine := range append(slices.Clone(cfg.Engines), app.EngineConfig{Base: cfg.EngineURL}) {
		if isOwnContainer(engine.Base, "/") {
			cfg.Logger.Warn("engine URL names this container", "engine", engine.Base.Host, "help", "use the name of the "+
				"engine's service, as http://engine:8084, or http://host.docker.internal:8084 for an engine on the host, "+
				"unless the container uses the host's network")
		}
	}
	gateway, err := app.New(cfg)
	if err != nil {
		return fail(exitUsage, err)
	}
	cfg.Logger.Info("qrgate started",
		"clients", gateway.URL(), "operators", gateway.AdminURL(), "engine", describeEngines(cfg), "version", version)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go c.reloadOnHangup(ctx, gateway, level, cfg.Logger)
	if err := gateway.Run(ctx); err != nil {
		return fail(exitFailed, err)
	}
	return exitOK
}

// isOwnContainer reports whether an engine's URL names the container in which qrgate runs; root is the root of its
// files.
func isOwnContainer(engine *url.URL, root string) bool {
	if engine == nil {
		return false
	}
	ip := net.ParseIP(engine.Hostname())
	if engine.Hostname() != "localhost" && !ip.IsLoopback() && !ip.IsUnspecified() {
		return false
	}
	return slices.ContainsFunc([]string{".dockerenv", "run/.containerenv"}, func(mark string) bool {
		_, err := os.Stat(filepath.Join(root, mark))
		return err == nil
	})
}

// reloadOnHangup reads the settings again after each SIGHUP, and applies those that may change while qrgate runs. The
// process's environment cannot change, but the files that NAME_FILE variables name can. With an error nothing changes.
func (c cli) reloadOnHangup(ctx context.Context, gateway *app.App, level *slog.LevelVar, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.hangups:
		}
		s, cfg, err := c.readSettings()
		if err == nil {
			err = gateway.Reload(cfg)
		}
		if err != nil {
			log.Error("cannot reload the settings, the present ones stay", "err", err)
			continue
		}
		level.Set(s.logLevel())
		log.Info("settings reloaded", "level", s.LogLevel, "keys", len(cfg.APIKeys), "proxies", len(cfg.TrustedProxies))
	}
}

func (c cli) readSettings() (settings, app.Config, error) {
	var cmds commands
	parser, err := c.parser(&cmds, func(int) {})
	if err == nil {
		_, err = parser.Parse(c.args)
	}
	if err != nil {
		return settings{}, app.Config{}, err
	}
	cfg, err := cmds.config()
	return cmds.settings, cfg, err
}

// logLevel is valid: kong has checked it.
func (s settings) logLevel() (level slog.Level) {
	_ = level.UnmarshalText([]byte(s.LogLevel))
	return level
}

func newLogger(format string, level slog.Leveler, out io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if format == "text" {
		return slog.New(slog.NewTextHandler(out, options))
	}
	return slog.New(slog.NewJSONHandler(out, options))
}
