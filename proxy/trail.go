package proxy

import (
	"context"
	"net/http"

	"qrgate/internal/session"
)

// Tracer ties requests to what they are part of. It is what the front knows of tracing.
type Tracer interface {
	// Traceparent is the span of the request in progress as W3C Trace Context writes it; "" if nobody keeps it.
	Traceparent(ctx context.Context) string
	// Inject writes the trace of that request into the headers of the one for the engine, where nobody else will.
	Inject(ctx context.Context, h http.Header)
	// Link links that span to the request that a session's journey began with, and to the flight that serves it.
	Link(ctx context.Context, c session.Caller, s session.Session)
}

// join links the request to its session's journey, once, while the gate has it in mind.
func (s *sessionRequest) join() {
	if s.config.Trail == nil || s.traceLinked || s.ref.IsZero() {
		return
	}
	if v := s.config.QRService.Cached(s.caller, []session.Ref{s.ref})[0]; !v.Session.Ref.IsZero() {
		s.traceLinked = true
		s.config.Trail.Link(s.c.Request.Context(), s.caller, v.Session)
	}
}

// traceparent is the span of a request; "" where nobody traces.
func (f *Handler) traceparent(ctx context.Context) string {
	if f.config.Trail == nil {
		return ""
	}
	return f.config.Trail.Traceparent(ctx)
}
