package metrics

import (
	"context"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"go.opentelemetry.io/otel/trace"

	"qrgate/internal/session"
)

// observedEngine calls before each call to an engine. before returns the context of the call and a function that
// receives its error.
type observedEngine struct {
	next   session.Engine
	before func(ctx context.Context, c session.Caller, r session.Ref, op string) (context.Context, func(error))
}

// Connect implements [session.Engine].
func (e observedEngine) Connect(
	ctx context.Context, c session.Caller, r session.Ref, mode session.ConnectMode,
) (session.SessionReport, error) {
	ctx, done := e.before(ctx, c, r, session.OpConnect)
	report, err := e.next.Connect(ctx, c, r, mode)
	done(err)
	return report, err
}

// QR implements [session.Engine].
func (e observedEngine) QR(ctx context.Context, c session.Caller, r session.Ref) (session.SessionReport, error) {
	ctx, done := e.before(ctx, c, r, session.OpQR)
	report, err := e.next.QR(ctx, c, r)
	done(err)
	return report, err
}

// Status implements [session.Engine].
func (e observedEngine) Status(ctx context.Context, c session.Caller, r session.Ref) (session.SessionReport, error) {
	ctx, done := e.before(ctx, c, r, session.OpStatus)
	report, err := e.next.Status(ctx, c, r)
	done(err)
	return report, err
}

// List implements [session.Engine].
func (e observedEngine) List(ctx context.Context, c session.Caller) (session.SessionList, error) {
	ctx, done := e.before(ctx, c, session.Ref{}, session.OpList)
	list, err := e.next.List(ctx, c)
	done(err)
	return list, err
}

// Engine makes a span for every call to next, inside the span of the acquisition that it belongs to. If next sends
// its requests through Transport, their spans are inside it.
func (t *Tracing) Engine(next session.Engine) session.Engine {
	if !t.Enabled() {
		return next
	}
	return observedEngine{next, t.startEngineSpan}
}

func (t *Tracing) startEngineSpan(
	ctx context.Context, c session.Caller, r session.Ref, op string,
) (context.Context, func(error)) {
	attrs := append(originAttributes(c.Traffic), attrOperation.String(op))
	if !r.IsZero() {
		ctx = t.acquisitions.contextOf(ctx, c.Traffic, session.AcquisitionID(c.Tenant, r.CacheKey()))
		attrs = append(attrs, t.sessionRef(r.String()))
	}
	ctx, span := t.tracer.Start(ctx, "engine."+op, trace.WithAttributes(attrs...))
	return ctx, func(err error) {
		defer span.End()
		kind := session.KindOf(err)
		if kind != "" { // a working engine often responds with not_ready, which is no failure of the span
			span.SetAttributes(attrErrorKind.String(errorType(kind)))
		}
		if callOutcome(kind) == session.Failure {
			setFailed(span, errorType(kind))
		}
	}
}

// Engine counts the calls to next that follow a failed call.
func (m *Metrics) Engine(next session.Engine) session.Engine {
	failed, _ := lru.New[callKey, time.Time](maxFailedCalls) // when calls failed
	return observedEngine{next, func(
		ctx context.Context, c session.Caller, r session.Ref, op string,
	) (context.Context, func(error)) {
		key := callKey{c.Tenant, "", op}
		if op != session.OpList {
			key.session = r.CacheKey()
		}
		if at, ok := failed.Get(key); ok && time.Since(at) <= failedCallTTL {
			m.engineRetries.WithLabelValues(op).Inc()
		}
		return ctx, func(err error) {
			switch callOutcome(session.KindOf(err)) { // a canceled call changes nothing
			case session.Success:
				failed.Remove(key)
			case session.Failure:
				failed.Add(key, time.Now())
			}
		}
	}}
}

// callKey identifies the purpose of a call. It is never a label.
type callKey struct {
	tenant  session.Tenant
	session string // cache key, empty for a list
	op      string
}

// A call that failed longer ago than an acquisition lasts is not retried: the next one is a new call.
const (
	failedCallTTL  = session.AcquireTimeout
	maxFailedCalls = 10_000
)
