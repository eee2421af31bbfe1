package app

import (
	"context"
	"log/slog"
	"time"

	"qrgate/compat"
	"qrgate/internal/breaker"
	"qrgate/internal/session"
	"qrgate/proxy"
)

// logEvent logs an event. Calls to the engine are logged at debug level, except qrgate's own connects. ctx has the span of
// the acquisition.
func (a *App) logEvent(ctx context.Context, e session.Event) {
	log := a.cfg.Logger
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
	if !a.cfg.Logger.Enabled(context.Background(), level) {
		return // saves making the attributes of requests that pass through
	}
	attrs := []slog.Attr{
		slog.String("method", r.Method), slog.String("route", r.Route), slog.Int("status", r.Status),
		slog.String("problem", r.Code), slog.Float64("took", seconds(r.Took)), slog.String("request_id", r.RequestID),
		slog.String("origin", string(r.Traffic)), slog.Bool("client_gone", r.ClientGone),
	}
	if r.Session != "" {
		attrs = append(attrs, slog.String("session", r.Session))
	}
	a.cfg.Logger.LogAttrs(context.Background(), level, "request", attrs...)
}

// seconds rounds to milliseconds.
func seconds(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }
