package proxy

import (
	"context"
	"net/http"
	"time"

	"qrgate/internal/session"
)

// Unmatched is the route of every request that is on no session route.
const Unmatched = "unmatched"

// StatusClientGone is the status of a request whose client left before the response began. The number is nginx's.
const StatusClientGone = 499

func (h *Handler) requestLog(w *responseWriter, aborted bool) session.RequestLog {
	left := w.clientGone
	if w.status == 0 || aborted {
		left = left || w.request.Context().Err() != nil // after a complete response a client may leave
	}
	gone := w.writeFailed || left && !isReadTimeout(w.body.failure())
	status := w.status
	if status == 0 {
		status = http.StatusOK // net/http sends it when the handler wrote nothing
		if gone || aborted {
			status = StatusClientGone
		}
	}
	return session.RequestLog{
		Method: methodLabel(w.request.Method), Route: w.route, Status: status, Code: w.code, Took: time.Since(w.startedAt),
		BytesIn: w.body.read.Load(), BytesOut: w.bytes, RequestID: w.requestID, Session: w.session,
		Repeated: w.repeated, Trace: h.traceparent(w.request.Context()), Traffic: w.traffic,
		ClientGone: gone, Truncated: aborted && !gone,
	}
}

// methodLabel bounds the number of methods that can be counted.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return method
	}
	return "OTHER"
}

// Tracer is what this package needs of tracing.
type Tracer interface {
	// Traceparent is the span of the request in progress as W3C Trace Context; "" if it is not sampled.
	Traceparent(ctx context.Context) string
	// ObserveRequest receives the request of that span at its end.
	ObserveRequest(ctx context.Context, r session.RequestLog)
	// Inject writes the trace of that request into the header of the request to the engine.
	Inject(ctx context.Context, h http.Header)
	// Link links that span to the request that began the session's acquisition, and to the acquisition.
	Link(ctx context.Context, c session.Caller, s *session.Session)
}

func (h *Handler) traceparent(ctx context.Context) string {
	if h.config.Tracer == nil {
		return ""
	}
	return h.config.Tracer.Traceparent(ctx)
}
