package metrics

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"sync/atomic"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// countingExporter is an exporter whose failures are counted, and logged when they begin and when they are over.
// Without it they would go to OpenTelemetry's global error handler, with the endpoint's URL in their text.
type countingExporter struct {
	sdktrace.SpanExporter
	failed  func()
	log     *slog.Logger
	failing atomic.Bool
}

// ExportSpans implements [sdktrace.SpanExporter]. It always returns nil.
func (c *countingExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := c.SpanExporter.ExportSpans(ctx, spans)
	if err != nil {
		c.failed()
	}
	if was := c.failing.Swap(err != nil); was == (err != nil) {
		return nil
	}
	if err != nil {
		c.log.Warn("spans cannot be exported", "cause", withoutURL(err))
		return nil
	}
	c.log.Info("spans are exported again")
	return nil
}

// withoutURL is what went wrong, without the address that may hold a token.
func withoutURL(err error) string {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err.Error()
	}
	return "the receiver refused them"
}
