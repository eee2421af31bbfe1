package metrics

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
)

// LogHandler returns a handler that stands before next: it counts every message by level, adds trace_id
// and span_id where the context is within a span, and takes out what must not be logged. It is the last
// net; what is secret should be a [qrgate.Secret] and not get this far.
//
//   - An attribute whose key speaks of a key, token, password, phone or the like becomes "[redacted]"; one
//     that speaks of a code or a QR does unless it is empty, a number, a duration, one of qrgate.Codes or None.
//   - From every text, the message and errors included, codes, images of codes, JIDs, numbers with a plus
//     and long runs of base64 or hex are taken out.
func (m *Metrics) LogHandler(next slog.Handler) slog.Handler {
	return &logHandler{next, m.logMessages}
}

type logHandler struct {
	next   slog.Handler
	counts counters[label1]
}

// Enabled implements [slog.Handler].
func (h *logHandler) Enabled(ctx context.Context, l slog.Level) bool { return h.next.Enabled(ctx, l) }

// Handle implements [slog.Handler].
func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	h.counts.inc(levelLabel(r.Level))
	clean := slog.NewRecord(r.Time, r.Level, scrub(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(redact(a))
		return true
	})
	if in := trace.SpanContextFromContext(ctx); in.IsValid() {
		clean.AddAttrs(slog.String("trace_id", in.TraceID().String()), slog.String("span_id", in.SpanID().String()))
	}
	return h.next.Handle(ctx, clean)
}

// WithAttrs implements [slog.Handler].
func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logHandler{h.next.WithAttrs(redactAll(attrs)), h.counts}
}

// WithGroup implements [slog.Handler].
func (h *logHandler) WithGroup(name string) slog.Handler {
	return &logHandler{h.next.WithGroup(name), h.counts}
}
