package app

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel/trace"

	"qrgate/internal/session"
	"qrgate/metrics"
)

// newTelemetry makes the metrics and the tracer, and adds redaction and counting to the logger.
func (a *App) newTelemetry() error {
	for _, b := range a.backends {
		cfg := metrics.Config{Version: a.cfg.Version, Engine: b.engine.Name, Read: b.gaugeValues, Probes: a.probeIntervals()}
		if a.metrics == nil {
			a.metrics = metrics.New(cfg)
			b.metrics = a.metrics
			continue
		}
		b.metrics = a.metrics.ForEngine(cfg)
	}
	a.cfg.Logger = slog.New(a.metrics.LogHandler(a.cfg.Logger.Handler()))
	var err error
	a.tracing, err = metrics.NewTracing(context.Background(), metrics.TracingConfig{
		Version: a.cfg.Version, RefKey: a.cfg.Secret, Origin: a.origin, OnFailed: a.metrics.ExportFailed,
		Logger: a.cfg.Logger,
	})
	return err
}

// gaugeValues are read during a scrape.
func (b *backend) gaugeValues() metrics.GaugeValues {
	if b.acquirer == nil {
		return metrics.GaugeValues{Remaining: -1}
	}
	s := b.acquirer.Stats()
	v := metrics.GaugeValues{
		Sessions: s.Sessions, Waiters: s.Waiters, Limit: s.Limit, Remaining: s.Remaining, Pushes: s.Pushes,
	}
	if b.circuit != nil {
		v.Circuit = string(b.circuit.State())
	}
	return v
}

// eventHandler passes events to the tracer, the metrics, the status page and the log.
func (b *backend) eventHandler() session.EventHandler {
	return b.app.tracing.Observer(func(e session.Event, span trace.SpanContext) {
		b.metrics.Observe(e, span)
		b.recorder.Observe(e)
		if b.notifier != nil {
			b.notifier.Observe(e)
		}
		b.logEvent(span, e)
		b.app.maybeCheck(e)
	})
}

// onRequest passes a request to the metrics and the log.
func (b *backend) onRequest(r session.RequestLog) {
	b.metrics.HTTP(r)
	b.logRequest(r)
}

// onStoreEvent passes an event of the store to those that the engines have, and logs it once.
func (a *App) onStoreEvent(e session.Event) {
	a.metrics.Observe(e, trace.SpanContext{})
	for _, b := range a.backends {
		b.recorder.Observe(e)
	}
	if first := a.backends[0]; first.notifier != nil {
		first.notifier.Observe(e)
	}
	a.backends[0].logEvent(trace.SpanContext{}, e)
}
