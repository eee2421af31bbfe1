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
	a.metrics = metrics.New(metrics.Config{
		Version: a.cfg.Version, Read: a.gaugeValues, Probes: a.probeIntervals(),
	})
	a.cfg.Logger = slog.New(a.metrics.LogHandler(a.cfg.Logger.Handler()))
	var err error
	a.tracing, err = metrics.NewTracing(context.Background(), metrics.TracingConfig{
		Version: a.cfg.Version, RefKey: a.cfg.Secret, Origin: a.origin, OnFailed: a.metrics.ExportFailed,
		Logger: a.cfg.Logger,
	})
	return err
}

// gaugeValues are read during a scrape.
func (a *App) gaugeValues() metrics.GaugeValues {
	if a.acquirer == nil {
		return metrics.GaugeValues{Remaining: -1}
	}
	s := a.acquirer.Stats()
	v := metrics.GaugeValues{Sessions: s.Sessions, Waiters: s.Waiters, Limit: s.Limit, Remaining: s.Remaining}
	if a.circuit != nil {
		v.Circuit = string(a.circuit.State())
	}
	return v
}

// eventHandler passes events to the tracer, the metrics, the status page and the log.
func (a *App) eventHandler() session.EventHandler {
	return a.tracing.Observer(func(e session.Event, span trace.SpanContext) {
		a.metrics.Observe(e, span)
		a.recorder.Observe(e)
		if a.notifier != nil {
			a.notifier.Observe(e)
		}
		a.logEvent(span, e)
		a.maybeCheck(e)
	})
}

// onRequest passes a request to the metrics and the log.
func (a *App) onRequest(r session.RequestLog) {
	a.metrics.HTTP(r)
	a.logRequest(r)
}
