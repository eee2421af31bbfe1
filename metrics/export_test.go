package metrics

import (
	"log/slog"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// For the tests of decisions that have no other door.
var (
	TemplateOf = templateOf
	Scrub      = scrub
)

// SamplerFor is the whole sampler that the two variables make.
func SamplerFor(name, arg string) (sdktrace.Sampler, error) {
	rest, err := samplerFor(name, arg)
	if err != nil {
		return nil, err
	}
	return sampler(rest), nil
}

// Plan reports whether the given variables turn the export on.
func Plan(env map[string]string) (bool, error) {
	p, err := planFrom(func(name string) string { return env[name] })
	return p.export, err
}

// MaxFlights is the bound of flights that are traced at once.
const MaxFlights = maxFlights

// Ref is how spans name a session.
func Ref(t *Tracing, session string) string { return t.ref(session).Value.AsString() }

// Counted is e with its failures counted and their begin and end logged.
func Counted(e sdktrace.SpanExporter, failed func(), log *slog.Logger) sdktrace.SpanExporter {
	return &countingExporter{SpanExporter: e, failed: failed, log: log}
}
