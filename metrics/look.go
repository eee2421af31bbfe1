package metrics

import (
	"context"
	"strconv"

	"go.opentelemetry.io/otel/trace"

	"qrgate/internal/session"
)

// Engine makes one span of every call of the gate's own to next, inside the span of the flight that it is
// made for. Engines that speak HTTP through Transport get their request's span inside it.
func (t *Tracing) Engine(next session.Engine) session.Engine {
	if !t.Enabled() {
		return next
	}
	return tracedEngine{t, next}
}

type tracedEngine struct {
	t    *Tracing
	next session.Engine
}

// Connect implements [qrgate.Engine].
func (e tracedEngine) Connect(ctx context.Context, c session.Caller, r session.Ref, how session.ConnectMode) (session.SessionReport, error) {
	ctx, span := e.startEngineSpan(ctx, c, r, session.OpConnect)
	o, err := e.next.Connect(ctx, c, r, how)
	return o, endEngineSpan(span, err)
}

// QR implements [qrgate.Engine].
func (e tracedEngine) QR(ctx context.Context, c session.Caller, r session.Ref) (session.SessionReport, error) {
	ctx, span := e.startEngineSpan(ctx, c, r, session.OpQR)
	o, err := e.next.QR(ctx, c, r)
	return o, endEngineSpan(span, err)
}

// Status implements [qrgate.Engine].
func (e tracedEngine) Status(ctx context.Context, c session.Caller, r session.Ref) (session.SessionReport, error) {
	ctx, span := e.startEngineSpan(ctx, c, r, session.OpStatus)
	o, err := e.next.Status(ctx, c, r)
	return o, endEngineSpan(span, err)
}

// List implements [qrgate.Engine].
func (e tracedEngine) List(ctx context.Context, c session.Caller) (session.SessionList, error) {
	ctx, span := e.startEngineSpan(ctx, c, session.Ref{}, session.OpList)
	roll, err := e.next.List(ctx, c)
	return roll, endEngineSpan(span, err)
}

func (e tracedEngine) startEngineSpan(ctx context.Context, c session.Caller, r session.Ref, op string) (context.Context, trace.Span) {
	attrs := append(ofOrigin(c.Traffic), attrOperation.String(op))
	if !r.IsZero() {
		name := label(r)
		ctx = e.t.flights.within(ctx, c.Traffic, session.AcquisitionID(c.Tenant, r.CacheKey()))
		attrs = append(attrs, e.t.ref(name))
	}
	return e.t.tracer.Start(ctx, "engine."+op, trace.WithAttributes(attrs...))
}

// label is how events name a session: by the client's own id where it is known.
func label(r session.Ref) string {
	if r.Name != "" {
		return r.Name
	}
	return strconv.FormatInt(r.ID, 10)
}

// endEngineSpan ends the span of a call. That a QR is not there yet is what a working engine says most of the
// time: it is told as a fault, and is no error.
func endEngineSpan(span trace.Span, err error) error {
	defer span.End()
	kind := session.KindOf(err)
	fault := faultLabel(kind)
	if kind != "" {
		span.SetAttributes(attrFault.String(fault))
	}
	if callOutcome(fault) == session.Failure {
		failed(span, attrError.String(fault))
	}
	return err
}
