package metrics

import (
	"context"
	"encoding/hex"
	"io"
	"maps"
	"net/http"
	"strconv"

	"go.opentelemetry.io/otel/trace"

	"qrgate/compat"
	"qrgate/internal/session"
)

// Transport makes one span of every call that next carries to the engine, and passes the trace on to it. A
// call in a trace that nobody keeps has no span, and tells the engine the request's own.
// A span ends with the body of the answer, with its Close, or with the context of the call, whichever comes first.
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
	ctx, span := c.begin(r)
	res, err := c.next.RoundTrip(withTraceparent(ctx, r))
	if err != nil {
		if why := compat.TransportError(ctx, "", err).Kind; why != session.KindCanceled {
			failed(span, attrError.String(string(why)))
		} else {
			span.SetAttributes(attrOutcome.String(string(session.Abandoned)))
		}
		span.End()
		return res, err
	}
	span.SetAttributes(attrStatus.Int(res.StatusCode))
	if res.StatusCode >= http.StatusBadRequest {
		failed(span, statusType(res.StatusCode))
	}
	if res.StatusCode == http.StatusSwitchingProtocols || res.Body == nil {
		span.End() // what follows is a conversation, whose Body can be written to as well
		return res, nil
	}
	res.Body = endsWith(ctx, res.Body, span)
	return res, nil
}

// isUnsampled reports whether ctx is in a trace that nobody keeps. No span in it would be kept either, so that
// none is made.
func isUnsampled(ctx context.Context) bool {
	in := trace.SpanContextFromContext(ctx)
	return in.IsValid() && !in.IsSampled()
}

// headerTrace is where a request says in which trace it is (W3C Trace Context), as net/http writes it.
const headerTrace = "Traceparent"

// Inject writes the trace that ctx is in into the headers of a request for the engine, if nobody keeps it: that spares the
// Transport a copy of the request. A call in a trace that is kept has a span of its own, which the Transport tells.
func (t *Tracing) Inject(ctx context.Context, h http.Header) {
	if t.Enabled() && isUnsampled(ctx) {
		tell(trace.SpanContextFromContext(ctx), h)
	}
}

// tell writes a span into headers, in place of what a client said there.
func tell(in trace.SpanContext, h http.Header) {
	line := traceparent(in)
	delete(h, "Tracestate")
	h[headerTrace] = []string{string(line[:])}
}

// hasTraceparent reports whether a request says already in which trace it is.
func hasTraceparent(r *http.Request) bool {
	said := r.Header[headerTrace]
	if len(said) != 1 || r.Header["Tracestate"] != nil {
		return false
	}
	line := traceparent(trace.SpanContextFromContext(r.Context()))
	return said[0] == string(line[:])
}

// traceparent is a span as W3C Trace Context writes it: version, trace, span, flags.
func traceparent(in trace.SpanContext) (line [55]byte) {
	id, span := in.TraceID(), in.SpanID()
	copy(line[:], "00-")
	hex.Encode(line[3:35], id[:])
	line[35] = '-'
	hex.Encode(line[36:52], span[:])
	copy(line[52:], "-00")
	if in.IsSampled() {
		line[54] = '1'
	}
	return line
}

// withTraceparent is r with the trace of ctx in its headers. A RoundTripper must not change the request that it was
// given, so the headers are a copy. Nothing else is: a client's trailers come into r.Trailer on the way.
func withTraceparent(ctx context.Context, r *http.Request) *http.Request {
	r = r.WithContext(ctx)
	r.Header = maps.Clone(r.Header)
	tell(trace.SpanContextFromContext(ctx), r.Header)
	return r
}

func (c *transport) begin(r *http.Request) (context.Context, trace.Span) {
	template, id := templateOf(r.URL.Path)
	ctx, span := c.t.tracer.Start(r.Context(), spanName(r.Method, template), trace.WithSpanKind(trace.SpanKindClient))
	c.t.describe(span, r.Method, attrTemplate.String(template), id)
	span.SetAttributes(attrServer.String(r.URL.Hostname()))
	if port, err := strconv.Atoi(r.URL.Port()); err == nil {
		span.SetAttributes(attrPort.Int(port))
	}
	return ctx, span
}

// tracedBody ends a span when it is read to its end or closed.
type tracedBody struct {
	io.ReadCloser
	end func()
}

// endsWith ties a span to a body. The context is the last resort, for a body that nobody reads or closes.
func endsWith(ctx context.Context, body io.ReadCloser, span trace.Span) io.ReadCloser {
	stop := context.AfterFunc(ctx, func() { span.End() })
	return &tracedBody{body, func() { stop(); span.End() }} // only the first end of a span counts
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
