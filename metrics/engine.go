package metrics

import (
	"context"
	"sync"
	"time"

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
	failed := &failedCalls{at: map[callKey]time.Time{}}
	return observedEngine{next, func(
		ctx context.Context, c session.Caller, r session.Ref, op string,
	) (context.Context, func(error)) {
		key := callKey{c.Tenant, "", op}
		if op != session.OpList {
			key.session = r.CacheKey()
		}
		if failed.has(key, time.Now()) {
			m.engineRetries.WithLabelValues(op).Inc()
		}
		return ctx, func(err error) { failed.record(key, callOutcome(session.KindOf(err)), time.Now()) }
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

// failedCalls remembers when calls failed.
type failedCalls struct {
	mu sync.Mutex
	at map[callKey]time.Time
}

func (f *failedCalls) has(key callKey, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, ok := f.at[key]
	return ok && now.Sub(at) <= failedCallTTL
}

// record updates the memory with the outcome of a call. A canceled call changes nothing.
func (f *failedCalls) record(key callKey, outcome session.Outcome, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch outcome {
	case session.Success:
		delete(f.at, key)
	case session.Failure:
		if len(f.at) >= maxFailedCalls {
			clear(f.at) // some retries are not counted then
		}
		f.at[key] = now
	}
}
