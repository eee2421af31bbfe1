package app

import (
	"context"
	"log/slog"
	"strings"

	"go.opentelemetry.io/otel/trace"

	"qrgate/internal/session"
	"qrgate/metrics"
	"qrgate/proxy"
)

// makeTelemetry makes the counters and the tracer, and puts the logger behind the net that takes secrets
// out and counts messages.
func (g *App) makeTelemetry() error {
	m, err := metrics.New(metrics.Config{Build: metrics.Build{Version: g.cfg.Version}, Read: g.readings, Probes: g.schedule()})
	if err != nil {
		return err
	}
	g.metrics = m
	g.cfg.Logger = slog.New(m.LogHandler(g.cfg.Logger.Handler()))
	g.tracing, err = metrics.NewTracing(context.Background(), metrics.TracingConfig{
		Build: metrics.Build{Version: g.cfg.Version}, RefKey: g.cfg.Secret, Origin: g.origin, OnFailed: m.ExportFailed, Logger: g.cfg.Logger,
	})
	return err
}

// readings is what a scrape asks for.
func (g *App) readings() metrics.GaugeValues {
	if g.pairing == nil {
		return metrics.GaugeValues{}
	}
	s := g.pairing.Stats()
	now := metrics.GaugeValues{Sessions: s.Sessions, Waiters: s.Waiters, Limit: s.Limit,
		RateLimit: metrics.RateLimit{Known: s.Remaining >= 0, Remaining: max(s.Remaining, 0)}}
	if g.circuit != nil {
		now.Circuit = string(g.circuit.State())
	}
	return now
}

// observer hands the heart's events to the tracer, the counters and the log.
func (g *App) observer() session.EventHandler {
	return g.tracing.Observer(func(e session.Event, in trace.SpanContext) {
		g.metrics.Observe(e, in)
		g.recorder.Observe(e)
		g.logEvent(trace.ContextWithSpanContext(context.Background(), in), e)
		g.maybeCheck(e)
	})
}

// onRequest hands a request's report to the counters and the log.
func (g *App) onRequest(x proxy.RequestLog) {
	r := session.RequestLog(x)
	r.Route = strings.Replace(r.Route, ":id", "{id}", 1)
	g.metrics.HTTP(r)
	g.logExchange(x)
}
