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

// logEvent writes one line per change, and one per connect of the gate's own; none per look unless somebody debugs. ctx is within the flight's span.
func (g *App) logEvent(ctx context.Context, e session.Event) {
	log := g.cfg.Logger
	switch e.Kind {
	case session.EventState:
		log.InfoContext(ctx, "session", "session", e.Session, "from", e.From, "to", e.To, "took", seconds(e.Duration), "step", stepOf(e), "attempt", e.Attempt,
			"engine", describeResponse(e), "diagnosis", e.Diagnosis, "request_id", e.RequestID, "origin", e.Traffic)
	case session.EventCause:
		log.InfoContext(ctx, "cause", "session", e.Session, "after", seconds(e.Duration), "step", stepOf(e), "attempt", e.Attempt,
			"engine", describeResponse(e), "diagnosis", e.Diagnosis, "request_id", e.RequestID, "origin", e.Traffic)
	case session.EventAcquisition:
		log.InfoContext(ctx, "journey", "session", e.Session, "outcome", e.Outcome, "diagnosis", e.Diagnosis, "took", seconds(e.Duration), "looks", e.Attempt, "request_id", e.RequestID, "origin", e.Traffic)
	case session.EventStore:
		if e.Available {
			log.InfoContext(ctx, "Redis answers again; the gate is whole")
		} else {
			log.WarnContext(ctx, "Redis cannot be reached; the gate goes on from memory", "why", e.Reason)
		}
	case session.EventDecryptFailed:
		log.ErrorContext(ctx, "a stored value did not open for its caller: Redis mixed its answers up, QRGATE_SECRET differs between replicas, or somebody wrote there")
	case session.EventEngineCall:
		level := slog.LevelDebug
		if e.Op == session.OpConnect {
			level = slog.LevelInfo // the gate's own attempt at recovery
		}
		log.Log(ctx, level, "look", "session", e.Session, "op", e.Op, "engine", describeResponse(e), "took", seconds(e.Duration), "attempt", e.Attempt, "request_id", e.RequestID)
	}
}

// logCircuit writes one line when the circuit before the engine leaves the closed state, and one when it is
// closed again. What it tries each second in between is for whoever debugs.
func (g *App) logCircuit(from, to breaker.State) {
	switch log := g.cfg.Logger; {
	case to == breaker.Closed:
		log.Info("connections to the engine can be opened again")
	case from == breaker.Closed:
		log.Warn("no connection to the engine can be opened; callers are told at once, and one call a second tries",
			"why", compat.ClassifyTransportError(g.circuit.Last()).Reason)
	default:
		log.Debug("circuit before the engine", "from", from, "to", to)
	}
}

// stepOf is the step on the way to a QR that an event is about: what the engine fails at, or what has just succeeded.
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

// describeResponse is the class of the engine's last answer.
func describeResponse(e session.Event) string {
	if e.ErrorKind == "" {
		return "ok"
	}
	word := string(e.ErrorKind)
	if e.Code != "" {
		word += " " + e.Code
	}
	if e.Reason != "" {
		word += " (" + e.Reason + ")"
	}
	return word
}

// logExchange writes one line per request: quietly when it went well, loudly when the gate or the engine failed.
func (g *App) logExchange(x proxy.RequestLog) {
	level := slog.LevelDebug
	switch {
	case x.Status >= 500:
		level = slog.LevelWarn
	case x.Route != proxy.Unmatched:
		level = slog.LevelInfo
	}
	if !g.cfg.Logger.Enabled(context.Background(), level) {
		return // most requests pass through, and their line is made for nobody
	}
	line := []any{"method", x.Method, "route", x.Route, "status", x.Status, "problem", x.Code,
		"took", seconds(x.Took), "request_id", x.RequestID, "origin", x.Traffic, "client_gone", x.ClientGone}
	if x.Session != "" {
		line = append(line, "session", x.Session)
	}
	g.cfg.Logger.Log(context.Background(), level, "request", line...)
}

// seconds rounds to what a person reads.
func seconds(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }
