package metrics

import (
	"context"
	"maps"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// Bounds of the acquisitions that are traced at the same time. An acquisition lasts a minute at most, as a rule.
const (
	maxAcquisitions   = 2000
	maxAcquisitionAge = 5 * time.Minute
)

// Observer returns an event handler that makes a span of every acquisition, from its start to its QR or diagnosis. It
// passes each event to next with the span of its acquisition, the zero span context if there is none.
func (t *Tracing) Observer(next func(session.Event, trace.SpanContext)) session.EventHandler {
	if !t.Enabled() {
		return func(e session.Event) { next(e, trace.SpanContext{}) }
	}
	return func(e session.Event) { next(e, t.acquisitions.observe(e)) }
}

// acquisitionKey identifies an acquisition. The id separates tenants that use the same session name.
type acquisitionKey struct{ origin, id string }

type acquisitionSpan struct {
	span      trace.Span // nil after its end
	context   trace.SpanContext
	startedAt time.Time
}

// acquisitionSpans holds the open spans, and the contexts of those that ended: a request is answered just after the
// acquisition that served it has ended.
type acquisitionSpans struct {
	t     *Tracing
	mu    sync.Mutex
	spans map[acquisitionKey]acquisitionSpan
	open  int
}

// observe updates the span of an event's acquisition and returns it.
func (a *acquisitionSpans) observe(e session.Event) trace.SpanContext {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := acquisitionKey{originOf(e.Traffic), e.AcquisitionID}
	if e.Kind == session.EventState && e.To == session.Connecting {
		a.start(key, e)
	}
	current := a.spans[key]
	if current.span == nil {
		return trace.SpanContext{}
	}
	switch {
	case e.Kind == session.EventQR:
		current.span.AddEvent("qr.code_received",
			trace.WithTimestamp(e.At), trace.WithAttributes(attrSequence.Int(e.Sequence)))
	case e.Kind == session.EventAcquisition:
		outcome, cause := acquisitionOutcome(e.Outcome, e.Diagnosis)
		a.end(key, e.At, outcome, cause)
	case e.Kind == session.EventState &&
		(e.To == session.Unknown || e.To == session.Disconnected || e.To == session.Created):
		a.end(key, e.At, session.Abandoned, e.Diagnosis)
	}
	return current.context
}

// start opens the span of an acquisition, unless too many are open. The caller holds mu.
func (a *acquisitionSpans) start(key acquisitionKey, e session.Event) {
	a.end(key, e.At, session.Abandoned, "")
	if a.open >= maxAcquisitions {
		a.endOlderThan(maxAcquisitionAge, e.At)
	}
	if a.open >= maxAcquisitions {
		return
	}
	if len(a.spans) >= 2*maxAcquisitions { // costs some links
		maps.DeleteFunc(a.spans, func(_ acquisitionKey, s acquisitionSpan) bool { return s.span == nil })
	}
	options := []trace.SpanStartOption{
		trace.WithNewRoot(), trace.WithTimestamp(e.At),
		trace.WithAttributes(append(originAttributes(e.Traffic), a.t.sessionRef(e.Session))...),
	}
	if first := spanContext(e.Traceparent); first.IsSampled() {
		options = append(options, trace.WithLinks(linkTo(first, linkRequest)))
	}
	_, span := a.t.tracer.Start(context.Background(), "qr.acquisition", options...)
	a.spans[key] = acquisitionSpan{span, span.SpanContext(), e.At}
	a.open++
}

// end ends the span of an acquisition, if it is open. The caller holds mu.
func (a *acquisitionSpans) end(key acquisitionKey, at time.Time, outcome session.Outcome, cause diagnosis.Code) {
	current := a.spans[key]
	span := current.span
	if span == nil {
		return
	}
	current.span = nil
	a.spans[key] = current
	a.open--
	span.SetAttributes(attrOutcome.String(string(outcome)))
	if cause != "" && cause != diagnosis.None {
		span.SetAttributes(attrDiagnosis.String(string(diagnosis.New(cause).Code)))
	}
	if outcome == session.Failure {
		setFailed(span, string(cause))
	}
	span.End(trace.WithTimestamp(at))
}

// endOlderThan ends the spans that are older than age. The caller holds mu.
func (a *acquisitionSpans) endOlderThan(age time.Duration, now time.Time) {
	for key, current := range a.spans {
		if now.Sub(current.startedAt) > age {
			a.end(key, now, session.Abandoned, "")
		}
	}
}

func (a *acquisitionSpans) endAll(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.endOlderThan(-time.Hour, now)
}

// last is the span of a session's current or last acquisition; the zero value if there is none.
func (a *acquisitionSpans) last(t session.TrafficClass, id string) acquisitionSpan {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.spans[acquisitionKey{originOf(t), id}]
}

// contextOf returns ctx inside the span of an acquisition, if that is open and ctx has no span yet.
func (a *acquisitionSpans) contextOf(ctx context.Context, t session.TrafficClass, id string) context.Context {
	if trace.SpanContextFromContext(ctx).IsValid() {
		return ctx
	}
	if current := a.last(t, id); current.span != nil {
		return trace.ContextWithSpan(ctx, current.span)
	}
	return ctx
}

// The targets of links, as the value of qrgate.link.
const (
	linkRequest     = "request"     // the request that began the acquisition
	linkAcquisition = "acquisition" // the acquisition that serves the request
)

func linkTo(span trace.SpanContext, target string) trace.Link {
	return trace.Link{SpanContext: span, Attributes: []attribute.KeyValue{attrLink.String(target)}}
}

// Link links the span of ctx to the request that began the acquisition of a session, and to the acquisition, so that
// every trace of an acquisition leads to the others. A span that is not recorded gets no link, nor does one to itself.
func (t *Tracing) Link(ctx context.Context, c session.Caller, s *session.Session) {
	span := trace.SpanFromContext(ctx)
	if !t.Enabled() || !span.IsRecording() {
		return
	}
	acquisition := t.acquisitions.last(c.Traffic, session.AcquisitionID(c.Tenant, s.Ref.CacheKey()))
	for _, link := range []trace.Link{
		linkTo(spanContext(s.Traceparent), linkRequest), linkTo(acquisition.context, linkAcquisition),
	} {
		to, self := link.SpanContext, span.SpanContext()
		if to.IsSampled() && (to.SpanID() != self.SpanID() || to.TraceID() != self.TraceID()) {
			span.AddLink(link)
		}
	}
}
