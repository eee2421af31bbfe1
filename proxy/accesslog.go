package proxy

import (
	"context"
	"net/http"
	"time"

	"qrgate/internal/session"
)

// Unmatched is the route of every request that is on no session route.
const Unmatched = "unmatched"

// StatusClientGone is the status of an Exchange whose client left before there was an answer. It never
// travels; nginx made the number known.
const StatusClientGone = 499

// RequestLog is one request and its answer, as logs and metrics need them. It holds nothing that a client
// chose freely, but for RequestID and Session, which must not become a label.
type RequestLog struct {
	Method     string               // one of the nine of RFC 9110 and RFC 5789, or "OTHER"
	Route      string               // the template of the session route, as "/api/sessions/:id/qr", or Unmatched
	Status     int                  // as sent; StatusClientGone if the client left before that
	Code       string               // the code of the error that the gate itself answered; empty if none
	Took       time.Duration        // from the parsed head of the request to the end of the answer
	BytesIn    int64                // body bytes read from the client
	BytesOut   int64                // body bytes written to the client; an upgraded connection counts none
	Traffic    session.TrafficClass // a user, or one of the gate's own probes
	RequestID  string               // ^[A-Za-z0-9._-]{1,64}$
	Session    string               // ^[A-Za-z0-9_-]{1,100}$ on the routes of one session; empty on others
	Trace      string               // the request's span as a W3C traceparent; empty if nobody keeps it
	ClientGone bool                 // the client left before the end of the answer
	Truncated  bool                 // the answer was begun and could not be ended: the engine stopped in its midst
}

// methodLabel bounds the methods that can be counted.
func methodLabel(method string) string {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE":
		return method
	}
	return "OTHER"
}

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
