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
		// Not ready is what a working engine responds most of the time: an error type and not a failed span.
		kind := session.KindOf(err)
		if kind != "" {
			span.SetAttributes(attrErrorKind.String(errorType(kind)))
		}
		if callOutcome(kind) == session.Failure {
			setFailed(span, attrError.String(errorType(kind)))
		}
	}
}

// Engine counts the calls to next that follow a failed call.
func (m *Metrics) Engine(next session.Engine) session.Engine {
	failed := &failedCalls{}
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
		return ctx, func(err error) {
			switch callOutcome(session.KindOf(err)) { // a canceled call changes nothing
			case session.Failure:
				failed.add(key, time.Now())
			case session.Success:
				failed.remove(key)
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
	maxFailedCalls = 5000 // per generation
)

// failedCalls remembers recent failures in two generations. The older one is dropped as a whole when the younger one
// is full or as old as failedCallTTL, so that nothing searches for expired entries.
type failedCalls struct {
	mu           sync.Mutex
	young, old   map[callKey]struct{}
	youngStartAt time.Time
}

func (f *failedCalls) has(key callKey, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rotate(now)
	_, young := f.young[key]
	_, old := f.old[key]
	return young || old
}

func (f *failedCalls) add(key callKey, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rotate(now)
	f.young[key] = struct{}{}
}

func (f *failedCalls) remove(key callKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.young, key)
	delete(f.old, key)
}

// rotate makes the younger generation the older one when it is due. The caller holds mu.
func (f *failedCalls) rotate(now time.Time) {
	age := now.Sub(f.youngStartAt)
	if f.young != nil && age < failedCallTTL && len(f.young) < maxFailedCalls {
		return
	}
	f.old = f.young
	if age >= 2*failedCallTTL {
		f.old = nil
	}
	f.young, f.youngStartAt = map[callKey]struct{}{}, now
}
