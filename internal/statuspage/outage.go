package statuspage

import (
	"strings"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

func engineDown(s Snapshot) []finding {
	if s.Engine.State != EngineDown {
		return nil
	}
	code, why := diagnosis.EngineUnreachable, "No call to the engine is answered."
	if r, ok := unanswered(s); ok {
		code, why = r.Code, "The last look at its health: "+r.Evidence
	} else if a := s.Engine.Last; a != nil {
		if a.Class == string(session.KindTimeout) {
			code = diagnosis.EngineTimeout
		}
		why = "The last call: " + a.line() + "."
	}
	return []finding{{true, "the engine does not answer", affectedUsers(s), s.Engine.Since, why, code}}
}

// unanswered is the newest look at the engine's health, if that is newer than the gate's last call and found nobody.
// Between two journeys the last call may be one that was answered.
func unanswered(s Snapshot) (r Run, ok bool) {
	for _, p := range s.Probes.Probes {
		if p.Name == "engine_health" && len(p.Runs) > 0 {
			r = p.Runs[0]
		}
	}
	known := r.Code == diagnosis.EngineUnreachable || r.Code == diagnosis.EngineTimeout
	return r, known && r.Evidence != "" && (s.Engine.Last == nil || r.Began.After(s.Engine.Last.At))
}

// whatsAppUnreachable tells of an embedded engine that has no way to WhatsApp, unless a QR came since the gate looked. An
// engine of its own has a way of its own, of which the gate's look says too little.
func whatsAppUnreachable(s Snapshot) []finding {
	w := s.WhatsApp
	if w == nil || w.Reached() || s.Engine.Kind != EngineEmbedded || s.At.Sub(w.At) > recentWindow {
		return nil
	}
	if came, _ := lastCode(s); came.After(w.At) {
		return nil
	}
	why, said := diagnosis.New(w.Code).Title, w.Said()
	switch {
	case strings.HasPrefix(said, why):
		why = said
	case said != "":
		why += ": " + said
	}
	return []finding{{true, "no QR can be made", affectedUsers(s), w.Since, why, w.Code}}
}

// affectedUsers is who suffers when nothing works: those who wait now, and those who got nothing.
func affectedUsers(s Snapshot) string {
	if n := s.Sessions[session.Connecting]; n > 0 {
		return "Everybody; " + count(n, "session waits", "sessions wait") + " for a QR now"
	}
	if n := s.Waiters.Held; n > 0 {
		return "Everybody; " + count(n, "request waits", "requests wait") + " for a QR now"
	}
	left := 0
	for _, c := range s.Causes {
		if isOperatorCause(c.Code) {
			left += c.Sessions - c.Probes
		}
	}
	if left > 0 {
		return "Everybody who asks; no request waits at this moment, " + count(left, "session", "sessions") + " got none in 15 min"
	}
	return "Everybody who asks; no request waits at this moment"
}
