package metrics

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"qrgate/internal/session"
)

// What a link leads to, as the value of qrgate.link.
const (
	toJourney = "journey" // the request that a session's journey began with
	toFlight  = "flight"  // the span of the flight that serves the request
)

// Traceparent is the span that ctx is within, as W3C Trace Context writes it; "" if there is none or nobody keeps it.
func (t *Tracing) Traceparent(ctx context.Context) string {
	in := trace.SpanContextFromContext(ctx)
	if !in.IsSampled() {
		return ""
	}
	line := traceparent(in)
	return string(line[:])
}

// Link links the span that ctx is within to the request that the journey of a session began with, and to the flight
// that serves it, so that every trace of a journey leads to the others. A span that is not recorded, and
// one that is itself that request, gets no link.
func (t *Tracing) Link(ctx context.Context, c session.Caller, s *session.Session) {
	span := trace.SpanFromContext(ctx)
	if !t.Enabled() || !span.IsRecording() {
		return
	}
	link(span, spanOf(s.Traceparent), toJourney)
	link(span, t.flights.last(c.Traffic, session.AcquisitionID(c.Tenant, s.Ref.CacheKey())), toFlight)
}

func link(from trace.Span, to trace.SpanContext, what string) {
	if self := from.SpanContext(); !to.IsSampled() || to.SpanID() == self.SpanID() && to.TraceID() == self.TraceID() {
		return
	}
	from.AddLink(trace.Link{SpanContext: to, Attributes: linkTo(what)})
}

// spanOf reads a traceparent; the zero span context if it is none.
func spanOf(traceparent string) trace.SpanContext {
	if traceparent == "" {
		return trace.SpanContext{}
	}
	in := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": traceparent})
	return trace.SpanContextFromContext(in)
}
