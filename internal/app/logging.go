package app

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/trace"

	"qrgate/compat"
	"qrgate/internal/breaker"
	"qrgate/internal/session"
	"qrgate/proxy"
)

// logEvent logs an event with the span of its acquisition. Calls to the engine are logged at debug level, except
// qrgate's own connects.
func (b *backend) logEvent(span trace.SpanContext, e session.Event) {
	if e.Kind == session.EventWait || e.Kind == session.EventQR {
		return // the logs of the request and of the session have the same facts
	}
	level, message := slog.LevelInfo, string(e.Kind)
	if e.Kind == session.EventState {
		message = "session"
	}
	attrs := []any{"session", e.Session, "took", seconds(e.Duration), "request_id", e.RequestID, "origin", e.Traffic}
	switch e.Kind {
	case session.EventState, session.EventCause:
		attrs = append(attrs, "from", e.From, "to", e.To, "step", stepOf(e), "attempt", e.Attempt,
			"engine", describeResponse(e), "diagnosis", e.Diagnosis)
	case session.EventAcquisition:
		attrs = append(attrs, "outcome", e.Outcome, "diagnosis", e.Diagnosis, "polls", e.Attempt)
	case session.EventEngineCall:
		message = "engine call"
		if e.Op != session.OpConnect { // a connect of qrgate itself is a recovery step
			level = slog.LevelDebug
		}
		attrs = append(attrs, "op", e.Op, "engine", describeResponse(e), "attempt", e.Attempt)
	case session.EventStore:
		message, attrs = "redis available", nil
		if !e.Available {
			level, message, attrs = slog.LevelWarn, "redis unavailable, using in-memory store", []any{"err", e.Reason}
		}
	case session.EventDecryptFailed:
		level, message = slog.LevelError, "cannot decrypt stored value"
		attrs = []any{"hint", "does QRGATE_SECRET differ between replicas?"}
	}
	b.log.Log(trace.ContextWithSpanContext(context.Background(), span), level, message, attrs...)
}

// logCircuit logs when the engine's circuit breaker opens, and when it is closed again. The retry of each second in
// between is logged at debug level.
func (b *backend) logCircuit(from, to breaker.State) {
	switch log := b.log; {
	case to == breaker.Closed:
		log.Info("engine connections available")
	case from == breaker.Closed:
		log.Warn("engine connections unavailable, rejecting calls and retrying once a second",
			"err", compat.ClassifyTransportError(b.circuit.Last()).Reason)
	default:
		log.Debug("circuit breaker", "from", from, "to", to)
	}
}

// stepOf is the step that an event is about: the one that the engine fails at, or the one that has just succeeded.
func stepOf(e session.Event) string {
	switch {
	case e.Op != "":
		return e.Op
	case e.To == session.Created, e.To == session.Disconnected && e.From == session.Unknown:
		return "create"
	case e.To == session.Connecting && e.Kind == session.EventState:
		return session.OpConnect
	case e.To == session.Connected:
		return "scan"
	}
	return session.OpQR
}

// describeResponse is the engine's last response.
func describeResponse(e session.Event) string {
	failure := session.EngineError{
		Kind: cmp.Or(e.ErrorKind, "ok"), Status: e.Status, Code: e.Code, Reason: e.Reason,
	}
	return failure.String()
}

// repeatedWithin is how long a request for a QR that was returned before takes at most, unless it had to wait.
const repeatedWithin = 100 * time.Millisecond

// requestLevel is the level at which a request is logged.
func requestLevel(r session.RequestLog) slog.Level {
	switch {
	case r.Status >= 500:
		return slog.LevelWarn
	case r.Repeated && r.Took < repeatedWithin: // a client that polls; the first response with this QR is in the log
		return slog.LevelDebug
	case r.Route != proxy.Unmatched:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

// logRequest logs a request.
func (b *backend) logRequest(r session.RequestLog) {
	level := requestLevel(r)
	handler := b.log.Handler()
	if !handler.Enabled(context.Background(), level) {
		return // saves making the attributes of requests that pass through
	}
	record := slog.NewRecord(time.Now(), level, "request", 0) // without the caller's position, which costs a microsecond
	record.AddAttrs(
		slog.String("method", r.Method), slog.String("route", r.Route), slog.Int("status", r.Status),
		slog.String("problem", r.Code), slog.Float64("took", seconds(r.Took)), slog.String("request_id", r.RequestID),
		slog.String("origin", string(r.Traffic)), slog.Bool("client_gone", r.ClientGone),
	)
	if r.Session != "" {
		record.AddAttrs(slog.String("session", r.Session))
	}
	_ = handler.Handle(context.Background(), record) // there is no better place to report that the log fails
}

// seconds rounds to milliseconds.
func seconds(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }
