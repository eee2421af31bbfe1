package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"qrgate/internal/app"
)

// serve runs the gateway until ctx ends. It refuses unknown variables; names are the known ones.
func serve(ctx context.Context, c cli, s settings, names []string) int {
	fail := func(exit int, err error) int {
		fmt.Fprintln(c.err, "qrgate:", err)
		return exit
	}
	if err := checkUnknownVars(c.env, names); err != nil {
		return fail(exitUsage, err)
	}
	cfg, err := s.config()
	if err != nil {
		return fail(exitUsage, err)
	}
	cfg.Logger, cfg.Out = newLogger(s, c.err), c.out
	gateway, err := app.New(cfg)
	if err != nil {
		return fail(exitUsage, err)
	}
	engine := "embedded"
	if cfg.EngineURL != nil {
		engine = cfg.EngineURL.String()
	}
	cfg.Logger.Info("qrgate started",
		"clients", gateway.URL(), "operators", gateway.AdminURL(), "engine", engine, "version", version)
	if err := gateway.Run(ctx); err != nil {
		return fail(exitFailed, err)
	}
	return exitOK
}

func newLogger(s settings, out io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(s.LogLevel)) // kong has validated it
	options := &slog.HandlerOptions{Level: level}
	if s.LogFormat == "text" {
		return slog.New(slog.NewTextHandler(out, options))
	}
	return slog.New(slog.NewJSONHandler(out, options))
}
