package metrics

import (
	"context"
	"log/slog"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// Span begins a span of a probe, which is always kept, and returns its end. The end takes the cause of a
// failure, qrgate.None for success. Attributes are redacted as those of a log are; one named "session"
// becomes the session's keyed digest.
func (t *Tracing) Span(ctx context.Context, name string, attributes ...slog.Attr) (context.Context, func(diagnosis.Code)) {
	if !t.Enabled() {
		return ctx, func(diagnosis.Code) {}
	}
	attrs := ofOrigin(session.SyntheticTraffic)
	for _, a := range attributes {
		attrs = append(attrs, t.attribute(a))
	}
	ctx, span := t.tracer.Start(ctx, name, trace.WithAttributes(attrs...))
	return ctx, func(why diagnosis.Code) {
		defer span.End()
		if why == "" || why == diagnosis.None {
			span.SetAttributes(attrOutcome.String(string(session.Success)))
			return
		}
		span.SetAttributes(attrOutcome.String(string(session.Failure)))
		failed(span, attrError.String(string(diagnosis.New(why).Code)))
	}
}

// attribute is one of a log as one of a span, under the gate's own names unless it has a longer one.
func (t *Tracing) attribute(a slog.Attr) attribute.KeyValue {
	if a.Key == "session" {
		return t.ref(a.Value.Resolve().String())
	}
	a, key := redact(a), a.Key
	if !strings.Contains(key, ".") {
		key = "qrgate.probe." + key
	}
	if a.Value.Kind() == slog.KindInt64 {
		return attribute.Int64(key, a.Value.Int64())
	}
	return attribute.String(key, a.Value.String())
}
