package proxy

import (
	"context"
	"net/http"
	"time"

	"qrgate/internal/session"
)

// Unmatched is the route of every request that is on no session route.
const Unmatched = "unmatched"

// StatusClientGone is the status of a RequestLog whose client left before the response began. No response has it; the
// number is nginx's.
const StatusClientGone = 499

// RequestLog is one request and its response, as logs and metrics need them. A client chooses no field freely except
// RequestID and Session, which must not become labels.
type RequestLog struct {
	Method     string               // one of the nine of RFC 9110 and RFC 5789, or "OTHER"
	Route      string               // the session route's template, such as "/api/sessions/{id}/qr", or Unmatched
	Status     int                  // as sent; StatusClientGone if the client left before that
	Code       string               // of the error that qrgate itself responded with; empty if none
	Took       time.Duration        // from the parsed request header to the end of the response
	BytesIn    int64                // body bytes read from the client
	BytesOut   int64                // body bytes written to the client; none for an upgraded connection
	Traffic    session.TrafficClass // user or probe
	RequestID  string               // ^[A-Za-z0-9._-]{1,64}$
	Session    string               // ^[A-Za-z0-9_-]{1,100}$ on the routes of one session; else empty
	Trace      string               // the request's span as a W3C traceparent; empty if it is not sampled
	ClientGone bool                 // the client left before the end of the response
	Truncated  bool                 // the response began and could not be completed: the engine stopped in mid-response
}

// requestLog reports one request that has ended.
func (h *Handler) requestLog(w *responseWriter, aborted bool) RequestLog {
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
	return RequestLog{
		Method: methodLabel(w.request.Method), Route: w.route, Status: status, Code: w.code, Took: time.Since(w.startedAt),
		BytesIn: w.body.count(), BytesOut: w.bytes, RequestID: w.requestID, Session: w.session,
		Trace: h.traceparent(w.request.Context()), Traffic: w.traffic, ClientGone: gone, Truncated: aborted && !gone,
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
	// Inject writes the trace of that request into the header of the request to the engine.
	Inject(ctx context.Context, h http.Header)
	// Link links that span to the request that began the session's acquisition, and to the acquisition.
	Link(ctx context.Context, c session.Caller, s *session.Session)
}

// traceparent is the span of a request; "" without tracing.
func (h *Handler) traceparent(ctx context.Context) string {
	if h.config.Tracer == nil {
		return ""
	}
	return h.config.Tracer.Traceparent(ctx)
}
