package metrics

import (
	"context"
	"sync"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// maxEarly bounds the spans that are kept until Run begins.
const maxEarly = 512

// early is a span processor that starts nothing: it keeps what ends before Run, and then hands everything
// on to a batch processor, which lives as long as Run.
type early struct {
	mu   sync.RWMutex
	kept []sdktrace.ReadOnlySpan
	next sdktrace.SpanProcessor
}

// start hands on what was kept, and from now on everything.
func (e *early) start(next sdktrace.SpanProcessor) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.kept {
		next.OnEnd(s)
	}
	e.kept, e.next = nil, next
}

// OnStart implements [sdktrace.SpanProcessor].
func (e *early) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// OnEnd implements [sdktrace.SpanProcessor].
func (e *early) OnEnd(s sdktrace.ReadOnlySpan) {
	e.mu.RLock()
	next := e.next
	e.mu.RUnlock()
	if next != nil {
		next.OnEnd(s)
		return
	}
	e.keep(s)
}

func (e *early) keep(s sdktrace.ReadOnlySpan) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.next != nil: // Run has begun meanwhile
		e.next.OnEnd(s)
	case len(e.kept) < maxEarly:
		e.kept = append(e.kept, s)
	}
}

// ForceFlush implements [sdktrace.SpanProcessor].
func (e *early) ForceFlush(ctx context.Context) error {
	if next := e.running(); next != nil {
		return next.ForceFlush(ctx)
	}
	return nil
}

// Shutdown implements [sdktrace.SpanProcessor].
func (e *early) Shutdown(ctx context.Context) error {
	if next := e.running(); next != nil {
		return next.Shutdown(ctx)
	}
	return nil
}

func (e *early) running() sdktrace.SpanProcessor {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.next
}
