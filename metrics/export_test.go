package metrics

import (
	"log/slog"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"qrgate/internal/session"
)

// MaxAcquisitions is the bound of acquisitions that are traced at the same time.
const MaxAcquisitions = maxAcquisitions

// ObserveEvent observes an event outside any span.
func (m *Metrics) ObserveEvent(e session.Event) { m.Observe(e, trace.SpanContext{}) }

// SamplerFor returns the complete sampler for the two variables.
func SamplerFor(name, arg string) (sdktrace.Sampler, error) {
	rest, err := parseSampler(name, arg)
	if err != nil {
		return nil, err
	}
	return newSampler(rest), nil
}

// Exports reports whether the given variables turn the export on.
func Exports(env map[string]string) (bool, error) {
	sampler, err := parseTraceEnv(func(name string) string { return env[name] })
	return sampler != nil, err
}

// Running is closed once spans are exported.
func (t *Tracing) Running() <-chan struct{} { return t.running }

// SessionRef is how spans name a session.
func SessionRef(t *Tracing, session string) string { return t.sessionRef(session).Value.AsString() }

// NewCountingExporter counts and logs failed exports of e.
func NewCountingExporter(e sdktrace.SpanExporter, onFailed func(), log *slog.Logger) sdktrace.SpanExporter {
	return &countingExporter{SpanExporter: e, onFailed: onFailed, log: log}
}
