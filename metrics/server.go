package metrics

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// Server makes one span of every request that next serves. A traceparent is followed only if it comes
// with a probe's key: anybody else could make the gate keep every trace, or forge one. Theirs is linked.
func (t *Tracing) Server(next http.Handler) http.Handler {
	if !t.Enabled() {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, span := t.startServerSpan(r)
		if !span.IsRecording() {
			next.ServeHTTP(w, r.WithContext(ctx)) // nobody keeps the span; the engine is told of the trace all the same
			return
		}
		written := &statusWriter{ResponseWriter: w}
		defer func() { endServerSpan(r.Context(), span, written) }()
		next.ServeHTTP(written, r.WithContext(ctx))
	})
}

func (t *Tracing) startServerSpan(r *http.Request) (context.Context, trace.Span) {
	ctx, begin := r.Context(), t.userBegins
	synthetic := t.cfg.Origin(secret.NewSecret(r.Header.Get("X-Api-Key"))) == session.SyntheticTraffic
	if synthetic {
		ctx, begin = t.wire.Extract(ctx, propagation.HeaderCarrier(r.Header)), t.probeBegins
	}
	template, id := templateOf(r.URL.Path)
	ctx, span := t.tracer.Start(ctx, spanName(r.Method, template), begin...)
	if !synthetic && span.IsRecording() {
		t.linkTheirs(span, r.Header)
	}
	t.describe(span, r.Method, attrRoute.String(template), id)
	return ctx, span
}

// linkTheirs points to the trace that a request says it belongs to.
func (t *Tracing) linkTheirs(span trace.Span, h http.Header) {
	theirs := trace.SpanContextFromContext(t.wire.Extract(context.Background(), propagation.HeaderCarrier(h)))
	if theirs.IsValid() {
		span.AddLink(trace.Link{SpanContext: theirs.WithTraceState(trace.TraceState{})})
	}
}

// describe says what a request is about, unless nobody keeps the span.
func (t *Tracing) describe(span trace.Span, method string, template attribute.KeyValue, id string) {
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(attrMethod.String(methodOf(method)))
	if template.Value.AsString() != "" {
		span.SetAttributes(template)
	}
	if id != "" {
		span.SetAttributes(t.ref(id))
	}
}

// endServerSpan ends the span of a request. A client that left is no error, nor is a 4xx (semantic conventions).
func endServerSpan(ctx context.Context, span trace.Span, w *statusWriter) {
	defer span.End()
	if id := w.Header().Get("X-Request-Id"); plainID(id) {
		span.SetAttributes(attrRequestID.String(id))
	}
	if errors.Is(ctx.Err(), context.Canceled) && w.status == 0 {
		span.SetAttributes(attrOutcome.String(string(session.Abandoned)))
		return
	}
	status := w.status
	if status == 0 {
		status = http.StatusOK // net/http sends it when the handler wrote nothing
	}
	span.SetAttributes(attrStatus.Int(status))
	if status >= http.StatusInternalServerError {
		failed(span, statusType(status))
	}
}

func failed(span trace.Span, why attribute.KeyValue) {
	span.SetAttributes(why)
	span.SetStatus(codes.Error, "")
}

// plainID reports whether id is what the gate makes or lets pass as a request id: ^[A-Za-z0-9._-]{1,64}$.
func plainID(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if c != '.' && c != '_' && c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements [http.ResponseWriter].
func (w *statusWriter) WriteHeader(status int) {
	if status >= 200 && w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (w *statusWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Hijack implements [http.Hijacker]; the answer counts as 101.
func (w *statusWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.status = http.StatusSwitchingProtocols
	}
	return conn, rw, err
}

// Unwrap is for [http.ResponseController].
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
