package metrics

import (
	"context"
	"sync"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Bounds of what early keeps.
const (
	maxEarly   = 512                    // spans, until Run begins
	bundle     = 64                     // spans, from then on
	bundleTime = 200 * time.Millisecond // for which a span waits for others
)

// bufferedProcessor is a span processor that starts nothing: it keeps what ends before Run, and then hands everything
// on to a batch processor, which lives as long as Run. It hands on a bundle at a time, because a batch
// processor wakes its goroutine for every span, which takes as long as making one.
type bufferedProcessor struct {
	mu   sync.Mutex
	kept []sdktrace.ReadOnlySpan
	next sdktrace.SpanProcessor // nil until Run begins
	wait *time.Timer            // runs while kept holds less than a bundle for next
}

// start hands on what was kept, and from now on everything.
func (e *bufferedProcessor) start(next sdktrace.SpanProcessor) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.next, e.wait = next, time.AfterFunc(bundleTime, func() { e.flush() })
	e.flushLocked()
}

// OnStart implements [sdktrace.SpanProcessor].
func (e *bufferedProcessor) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// OnEnd implements [sdktrace.SpanProcessor].
func (e *bufferedProcessor) OnEnd(s sdktrace.ReadOnlySpan) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.next == nil && len(e.kept) >= maxEarly {
		return
	}
	e.kept = append(e.kept, s)
	switch {
	case e.next == nil:
	case len(e.kept) >= bundle:
		e.flushLocked()
	case len(e.kept) == 1:
		e.wait.Reset(bundleTime)
	}
}

// flushLocked empties kept; mu is held.
func (e *bufferedProcessor) flushLocked() {
	for _, s := range e.kept {
		e.next.OnEnd(s)
	}
	clear(e.kept)
	e.kept = e.kept[:0]
}

// flush hands on what is kept, and returns to whom; nil before Run.
func (e *bufferedProcessor) flush() sdktrace.SpanProcessor {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.next != nil {
		e.wait.Stop()
		e.flushLocked()
	}
	return e.next
}

// ForceFlush implements [sdktrace.SpanProcessor].
func (e *bufferedProcessor) ForceFlush(ctx context.Context) error {
	if next := e.flush(); next != nil {
		return next.ForceFlush(ctx)
	}
	return nil
}

// Shutdown implements [sdktrace.SpanProcessor].
func (e *bufferedProcessor) Shutdown(ctx context.Context) error {
	if next := e.flush(); next != nil {
		return next.Shutdown(ctx)
	}
	return nil
}
