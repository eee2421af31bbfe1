package metrics

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// Bounds of the flights that are traced at once. One lasts a minute as a rule (qrgate.AcquireTimeout).
const (
	maxFlights   = 2000
	maxFlightAge = 5 * time.Minute
)

// Observer returns an observer that makes one span of every flight, from the wish for a QR to the code or
// to the diagnosis, and hands each event on to next with the flight that it belongs to: the zero span
// context if there is none.
func (t *Tracing) Observer(next func(session.Event, trace.SpanContext)) session.EventHandler {
	if !t.Enabled() {
		return func(e session.Event) { next(e, trace.SpanContext{}) }
	}
	return func(e session.Event) { next(e, t.flights.observe(e)) }
}

// flightKey finds the flight of an event: by its flight, which tells tenants apart that use the same name.
type flightKey struct {
	origin session.TrafficClass
	flight string
}

type acquisitionSpan struct {
	span  trace.Span
	began time.Time
}

// flights holds the spans that are open, and remembers those that ended: a request is answered just after the
// flight that served it.
type flights struct {
	t     *Tracing
	mu    sync.Mutex
	open  map[flightKey]acquisitionSpan
	ended map[flightKey]trace.SpanContext
}

func newFlights(t *Tracing) *flights {
	return &flights{t: t, open: map[flightKey]acquisitionSpan{}, ended: map[flightKey]trace.SpanContext{}}
}

// observe draws an event, and returns the span of its flight.
func (f *flights) observe(e session.Event) trace.SpanContext {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := flightKey{originOf(e.Traffic), e.AcquisitionID}
	if e.Kind == session.EventState && e.To == session.Connecting {
		f.begin(key, e)
	}
	now, ok := f.open[key]
	if !ok {
		return trace.SpanContext{}
	}
	switch {
	case e.Kind == session.EventQR:
		now.span.AddEvent("qr.code_received", trace.WithTimestamp(e.At), trace.WithAttributes(attrSequence.Int(e.Sequence)))
	case e.Kind == session.EventAcquisition:
		f.end(key, e.At, endOf(e))
	case e.Kind == session.EventState && endsAcquisition(e.To):
		f.end(key, e.At, outcomeLabels{outcome: session.Abandoned, why: e.Diagnosis})
	}
	return now.span.SpanContext()
}

// endsAcquisition reports whether a state ends a flight without a journey: the session was deleted, or rests.
func endsAcquisition(s session.State) bool {
	return s == session.Unknown || s == session.Disconnected || s == session.Created
}

func endOf(e session.Event) outcomeLabels {
	out, why := normalizeOutcome(e.Outcome, e.Diagnosis)
	return outcomeLabels{outcome: out, why: why}
}

// begin opens the span of a flight; mu is held. Over the bound a flight is not traced.
func (f *flights) begin(key flightKey, e session.Event) {
	f.end(key, e.At, outcomeLabels{outcome: session.Abandoned}) // a former one that nobody ended
	if len(f.open) >= maxFlights {
		f.sweep(e.At)
	}
	if len(f.open) >= maxFlights {
		return
	}
	attrs := append(ofOrigin(key.origin), f.t.ref(e.Session))
	options := []trace.SpanStartOption{trace.WithNewRoot(), trace.WithTimestamp(e.At), trace.WithAttributes(attrs...)}
	if first := spanOf(e.Traceparent); first.IsSampled() {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: first, Attributes: linkTo(toJourney)}))
	}
	_, span := f.t.tracer.Start(context.Background(), "qr.journey", options...)
	f.open[key] = acquisitionSpan{span, e.At}
}

// end ends the span of a flight, if there is one; mu is held. error.type is the diagnosis, as in the metric.
func (f *flights) end(key flightKey, at time.Time, end outcomeLabels) {
	now, ok := f.open[key]
	if !ok {
		return
	}
	delete(f.open, key)
	if len(f.ended) >= maxFlights {
		clear(f.ended) // a link less is no harm
	}
	f.ended[key] = now.span.SpanContext()
	now.span.SetAttributes(attrOutcome.String(string(end.outcome)))
	if end.why != "" && end.why != diagnosis.None {
		now.span.SetAttributes(attrDiagnosis.String(string(diagnosis.New(end.why).Code)))
	}
	if end.outcome == session.Failure {
		failed(now.span, attrError.String(string(end.why)))
	}
	now.span.End(trace.WithTimestamp(at))
}

// sweep ends what is too old; mu is held.
func (f *flights) sweep(now time.Time) {
	for key, flight := range f.open {
		if now.Sub(flight.began) > maxFlightAge {
			f.end(key, now, outcomeLabels{outcome: session.Abandoned})
		}
	}
}

// close ends every flight.
func (f *flights) close(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key := range f.open {
		f.end(key, now, outcomeLabels{outcome: session.Abandoned})
	}
}

// last is the span of a session's present flight, or of the one that ended last; the zero span context if neither is
// known.
func (f *flights) last(origin session.TrafficClass, name string) trace.SpanContext {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := flightKey{originOf(origin), name}
	if now, ok := f.open[key]; ok {
		return now.span.SpanContext()
	}
	return f.ended[key]
}

// within is ctx inside the flight of a session, if there is one and ctx is in no span yet.
func (f *flights) within(ctx context.Context, origin session.TrafficClass, flight string) context.Context {
	if trace.SpanContextFromContext(ctx).IsValid() {
		return ctx
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if now, ok := f.open[flightKey{originOf(origin), flight}]; ok {
		return trace.ContextWithSpan(ctx, now.span)
	}
	return ctx
}
