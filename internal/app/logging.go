package app

import (
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
func (a *App) logEvent(span trace.SpanContext, e session.Event) {
	if e.Kind == session.EventWait {
		return // the log of its request has the same facts
	}
	log, ctx := a.cfg.Logger, trace.ContextWithSpanContext(context.Background(), span)
	switch e.Kind {
	case session.EventState:
		log.InfoContext(ctx, "session", "session", e.Session, "from", e.From, "to", e.To, "took", seconds(e.Duration),
			"step", stepOf(e), "attempt", e.Attempt, "engine", describeResponse(e), "diagnosis", e.Diagnosis,
			"request_id", e.RequestID, "origin", e.Traffic)
	case session.EventCause:
		log.InfoContext(ctx, "cause", "session", e.Session, "after", seconds(e.Duration), "step", stepOf(e),
			"attempt", e.Attempt, "engine", describeResponse(e), "diagnosis", e.Diagnosis,
			"request_id", e.RequestID, "origin", e.Traffic)
	case session.EventAcquisition:
		log.InfoContext(ctx, "acquisition", "session", e.Session, "outcome", e.Outcome, "diagnosis", e.Diagnosis,
			"took", seconds(e.Duration), "polls", e.Attempt, "request_id", e.RequestID, "origin", e.Traffic)
	case session.EventStore:
		if e.Available {
			log.InfoContext(ctx, "redis available")
		} else {
			log.WarnContext(ctx, "redis unavailable, using in-memory store", "err", e.Reason)
		}
	case session.EventDecryptFailed:
		log.ErrorContext(ctx, "cannot decrypt stored value", "hint", "does QRGATE_SECRET differ between replicas?")
	case session.EventEngineCall:
		level := slog.LevelDebug
		if e.Op == session.OpConnect {
			level = slog.LevelInfo // a recovery step
		}
		log.Log(ctx, level, "engine call", "session", e.Session, "op", e.Op, "engine", describeResponse(e),
			"took", seconds(e.Duration), "attempt", e.Attempt, "request_id", e.RequestID)
	}
}

// logCircuit logs when the engine's circuit breaker opens, and when it is closed again. The retry of each second in
// between is logged at debug level.
func (a *App) logCircuit(from, to breaker.State) {
	switch log := a.cfg.Logger; {
	case to == breaker.Closed:
		log.Info("engine connections available")
	case from == breaker.Closed:
		log.Warn("engine connections unavailable, rejecting calls and retrying once a second",
			"err", compat.ClassifyTransportError(a.circuit.Last()).Reason)
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

// describeResponse is the class of the engine's last response.
func describeResponse(e session.Event) string {
	if e.ErrorKind == "" {
		return "ok"
	}
	text := string(e.ErrorKind)
	if e.Code != "" {
		text += " " + e.Code
	}
	if e.Reason != "" {
		text += " (" + e.Reason + ")"
	}
	return text
}

// logRequest logs a request, at a level that depends on its route and status.
func (a *App) logRequest(r session.RequestLog) {
	level := slog.LevelDebug
	switch {
	case r.Status >= 500:
		level = slog.LevelWarn
	case r.Route != proxy.Unmatched:
		level = slog.LevelInfo
	}
	handler := a.cfg.Logger.Handler()
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
