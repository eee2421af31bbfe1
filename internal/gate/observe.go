package gate

import (
	"context"
	"log/slog"
	"time"

	"qrgate"
	"qrgate/proxy"
)

// logEvent writes one line per change, none per look unless somebody debugs.
func (g *Gate) logEvent(e qrgate.Event) {
	log := g.cfg.Logger
	switch e.Kind {
	case qrgate.EventState:
		log.Info("session", "session", e.Session, "from", e.From, "to", e.To, "took", seconds(e.Took), "attempt", e.Attempt,
			"engine", engineWord(e), "diagnosis", e.Diagnosis, "origin", e.Origin)
	case qrgate.EventJourney:
		log.Info("journey", "session", e.Session, "outcome", e.Outcome, "diagnosis", e.Diagnosis, "took", seconds(e.Took), "looks", e.Attempt, "origin", e.Origin)
	case qrgate.EventStore:
		if e.Up {
			log.Info("Redis answers again; the gate is whole")
		} else {
			log.Warn("Redis cannot be reached; the gate goes on from memory")
		}
	case qrgate.EventSealed:
		log.Error("a stored value did not open for its caller: Redis mixed its answers up, QRGATE_SECRET differs between replicas, or somebody wrote there")
	case qrgate.EventLook:
		log.Debug("look", "session", e.Session, "op", e.Op, "engine", engineWord(e), "took", seconds(e.Took), "attempt", e.Attempt)
	}
}

// engineWord is the class of the engine's last answer.
func engineWord(e qrgate.Event) string {
	if e.Fault == "" {
		return "ok"
	}
	if e.Code != "" {
		return string(e.Fault) + " " + e.Code
	}
	return string(e.Fault)
}

// logExchange writes one line per request: quietly when it went well, loudly when the gate or the engine failed.
func (g *Gate) logExchange(x proxy.Exchange) {
	level := slog.LevelDebug
	switch {
	case x.Status >= 500:
		level = slog.LevelWarn
	case x.Route != proxy.Unmatched:
		level = slog.LevelInfo
	}
	g.cfg.Logger.Log(context.Background(), level, "request", "method", x.Method, "route", x.Route, "status", x.Status, "problem", x.Code,
		"took", seconds(x.Took), "request_id", x.RequestID, "origin", x.Origin, "client_gone", x.ClientGone)
}

// seconds rounds to what a person reads.
func seconds(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }
