package metrics

import (
	"context"
	"io"
	"maps"
	"net/http"
	"strconv"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"qrgate"
	"qrgate/compat"
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
	if dropped(r.Context()) {
		return c.next.RoundTrip(c.told(r.Context(), r))
	}
	ctx, span := c.begin(r)
	res, err := c.next.RoundTrip(c.told(ctx, r))
	if err != nil {
		if why := compat.Unanswered(ctx, "", err).Kind; why != qrgate.Abandoned {
			failed(span, attrError.String(string(why)))
		} else {
			span.SetAttributes(attrOutcome.String(string(qrgate.Gone)))
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

// dropped reports whether ctx is in a trace that nobody keeps. No span in it would be kept either, so that
// none is made.
func dropped(ctx context.Context) bool {
	in := trace.SpanContextFromContext(ctx)
	return in.IsValid() && !in.IsSampled()
}

// told is r with the trace of ctx in its headers. A RoundTripper must not change the request that it was
// given, so the headers are a copy. Nothing else is: a client's trailers come into r.Trailer on the way.
func (c *transport) told(ctx context.Context, r *http.Request) *http.Request {
	r = r.WithContext(ctx)
	r.Header = maps.Clone(r.Header)
	r.Header.Del("Tracestate")
	c.t.wire.Inject(ctx, propagation.HeaderCarrier(r.Header))
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
