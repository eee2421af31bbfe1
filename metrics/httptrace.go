package metrics

import (
	"context"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"qrgate/compat"
	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// The spans of HTTP requests are made here instead of by otelhttp: a request that is passed through and not sampled
// costs 1.7 µs and 7 allocations here, and 12.6 µs and 55 allocations with otelhttp v0.72.0's handler and transport
// (BenchmarkPassThrough, 2026). At 10 % sampling nearly every request pays that.

// Server makes a span for every request that next serves. It follows a traceparent only with a probe's key: other
// clients could force qrgate to sample every trace, or forge one. Theirs is linked.
func (t *Tracing) Server(next http.Handler) http.Handler {
	if !t.Enabled() {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, span := t.startServerSpan(r)
		defer span.End()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

func (t *Tracing) startServerSpan(r *http.Request) (context.Context, trace.Span) {
	ctx, start := r.Context(), t.userStart
	synthetic := t.cfg.Origin(secret.NewSecret(r.Header.Get("X-Api-Key"))) == session.SyntheticTraffic
	if synthetic {
		ctx, start = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(r.Header)), t.probeStart
	}
	template, id, _ := compat.MatchRoute(r.URL.Path)
	ctx, span := t.tracer.Start(ctx, spanName(r.Method, template), start...)
	if !span.IsRecording() {
		return ctx, span
	}
	if client := spanContext(r.Header.Get(headerTraceparent)); !synthetic && client.IsValid() {
		span.AddLink(trace.Link{SpanContext: client})
	}
	t.describe(span, r.Method, attrRoute.String(template), id)
	return ctx, span
}

// describe sets the attributes of a request.
func (t *Tracing) describe(span trace.Span, method string, template attribute.KeyValue, id string) {
	if !slices.Contains(methods, method) {
		method = otherMethod
	}
	span.SetAttributes(attrMethod.String(method))
	if template.Value.AsString() != "" {
		span.SetAttributes(template)
	}
	if id != "" {
		span.SetAttributes(t.sessionRef(id))
	}
}

// ObserveRequest adds a request's response to its span, which is the one of ctx. A client that left and a 4xx are no
// errors (semantic conventions).
func (t *Tracing) ObserveRequest(ctx context.Context, r session.RequestLog) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(attrRequestID.String(r.RequestID))
	if method, route := routeLabels(r.Method, r.Route); route != unmatched { // the routes of a link are known only now
		span.SetName(spanName(method, route))
		span.SetAttributes(attrRoute.String(route))
	}
	if r.Status == statusClientGone {
		span.SetAttributes(attrOutcome.String(string(session.Abandoned)))
		return
	}
	span.SetAttributes(attrStatus.Int(r.Status))
	if r.Status >= http.StatusInternalServerError {
		setFailed(span, strconv.Itoa(r.Status))
	}
}

// Transport makes a span for every request that next sends, and adds the trace to its header. A request in an
// unsampled trace has no span and carries its parent's. A span ends with the end of the response's body, with its
// Close, or with the context of the request, whichever comes first.
func (t *Tracing) Transport(next http.RoundTripper) http.RoundTripper {
	if !t.Enabled() {
		return next
	}
	return &transport{t, next}
}

type transport struct {
	t    *Tracing
	next http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (c *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if isUnsampled(r.Context()) {
		if !hasTraceparent(r) {
			r = withTraceparent(r.Context(), r)
		}
		return c.next.RoundTrip(r)
	}
	ctx, span := c.startSpan(r)
	res, err := c.next.RoundTrip(withTraceparent(ctx, r))
	if err != nil {
		defer span.End()
		kind := compat.TransportError(ctx, "", err).Kind
		if kind == session.KindCanceled {
			span.SetAttributes(attrOutcome.String(string(session.Abandoned)))
		} else {
			setFailed(span, string(kind))
		}
		return res, err
	}
	span.SetAttributes(attrStatus.Int(res.StatusCode))
	if res.StatusCode >= http.StatusBadRequest {
		setFailed(span, strconv.Itoa(res.StatusCode))
	}
	if res.StatusCode == http.StatusSwitchingProtocols || res.Body == nil {
		span.End() // the body of an upgraded connection is an io.ReadWriteCloser, which tracedBody would hide
		return res, nil
	}
	stop := context.AfterFunc(ctx, func() { span.End() }) // for a body that is neither read to its end nor closed
	res.Body = &tracedBody{res.Body, func() { stop(); span.End() }}
	return res, nil
}

func (c *transport) startSpan(r *http.Request) (context.Context, trace.Span) {
	var template, id string
	if at := strings.Index(r.URL.Path, compat.SessionsPath); at >= 0 { // an engine's URL may have a base path
		template, id, _ = compat.MatchRoute(r.URL.Path[at:])
	}
	ctx, span := c.t.tracer.Start(r.Context(), spanName(r.Method, template), trace.WithSpanKind(trace.SpanKindClient))
	if span.IsRecording() {
		c.t.describe(span, r.Method, attrTemplate.String(template), id)
		span.SetAttributes(attrServer.String(r.URL.Hostname()))
		if port, err := strconv.Atoi(r.URL.Port()); err == nil {
			span.SetAttributes(attrPort.Int(port))
		}
	}
	return ctx, span
}

// tracedBody ends a span when it is read to its end or closed. Only the first end of a span counts.
type tracedBody struct {
	io.ReadCloser
	end func()
}

// Read implements [io.Reader].
func (b *tracedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.end()
	}
	return n, err
}

// Close implements [io.Closer].
func (b *tracedBody) Close() error {
	b.end()
	return b.ReadCloser.Close()
}

// headerTraceparent carries the trace of a request (W3C Trace Context), spelled as net/http does.
const headerTraceparent = "Traceparent"

// isUnsampled reports whether ctx is in a trace that is not sampled. Its spans would not be exported, so none is made.
func isUnsampled(ctx context.Context) bool {
	span := trace.SpanContextFromContext(ctx)
	return span.IsValid() && !span.IsSampled()
}

// Inject adds the unsampled trace of ctx to the header of a request to the engine, which saves Transport a copy of the
// request. For a sampled trace Transport makes a span and adds that.
func (t *Tracing) Inject(ctx context.Context, h http.Header) {
	if t.Enabled() && isUnsampled(ctx) {
		setTraceparent(h, trace.SpanContextFromContext(ctx))
	}
}

// setTraceparent replaces the client's trace in a header.
func setTraceparent(h http.Header, span trace.SpanContext) {
	delete(h, "Tracestate")
	h[headerTraceparent] = []string{traceparent(span)}
}

// hasTraceparent reports whether the header of a request carries the trace of its context.
func hasTraceparent(r *http.Request) bool {
	want := []string{traceparent(trace.SpanContextFromContext(r.Context()))}
	return slices.Equal(r.Header[headerTraceparent], want) && r.Header["Tracestate"] == nil
}

// withTraceparent returns r with the trace of ctx in a copy of its header. A RoundTripper must not change its request.
// The rest is shared: a client's trailers arrive in r.Trailer later.
func withTraceparent(ctx context.Context, r *http.Request) *http.Request {
	r = r.WithContext(ctx)
	r.Header = maps.Clone(r.Header)
	setTraceparent(r.Header, trace.SpanContextFromContext(ctx))
	return r
}

// traceparent formats a span as W3C Trace Context: version, trace id, span id, flags.
func traceparent(span trace.SpanContext) string {
	flags := span.TraceFlags() & trace.FlagsSampled
	return "00-" + span.TraceID().String() + "-" + span.SpanID().String() + "-" + flags.String()
}

// spanContext parses a traceparent; it returns the zero value for an invalid one.
func spanContext(traceparent string) trace.SpanContext {
	if traceparent == "" {
		return trace.SpanContext{}
	}
	carrier := propagation.MapCarrier{"traceparent": traceparent}
	return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), carrier))
}

// Traceparent is the sampled span of ctx as W3C Trace Context; "" if there is none.
func (t *Tracing) Traceparent(ctx context.Context) string {
	span := trace.SpanContextFromContext(ctx)
	if !span.IsSampled() {
		return ""
	}
	return traceparent(span)
}

// serverSpan returns the options of a request's span.
func serverSpan(t session.TrafficClass) []trace.SpanStartOption {
	return []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(originAttributes(t)...),
	}
}

// methods are the methods that a span can have.
var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	http.MethodConnect, http.MethodOptions, http.MethodTrace,
}

// spanName is "GET /api/sessions/{id}/qr", or the method alone without a template.
func spanName(method, template string) string {
	if !slices.Contains(methods, method) {
		method = "HTTP"
	}
	return strings.TrimSpace(method + " " + template)
}
