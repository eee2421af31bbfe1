package enginesim

import (
	"encoding/json"
	"net/http"
	"time"
)

// dangerAfterLinking is how long after linking a read of the contacts drops the phone, if
// [Engine.ContactsDropSession] is set.
const dangerAfterLinking = time.Minute

// connect takes no body, {} and {"force":true} (C10).
func (e *Engine) connect(s *simSession, body []byte) answer {
	var wish struct {
		Force bool `json:"force"`
	}
	if len(body) > 0 && json.Unmarshal(body, &wish) != nil {
		return e.invalid()
	}
	if e.ConnectFailures < 0 || s.failures < e.ConnectFailures {
		s.failures++
		return e.failure(http.StatusInternalServerError, "CONNECTION_ERROR", "Error conectando sesión")
	}
	s.connects++
	stick := e.willStick(s, wish.Force)
	if e.startsOver(s, wish.Force, stick) {
		e.open(s, stick)
	}
	return success(http.StatusOK, "Sesión iniciada, generando QR o reconectando...", e.brief(s, Connecting))
}

// startsOver reports whether a connect opens a new socket. A linked session reconnects instead (quirk 16).
func (e *Engine) startsOver(s *simSession, force, stick bool) bool {
	k := s.socket
	switch {
	case k == nil:
		return true
	case k.linked:
		return false
	}
	return k.broken || force || e.EveryConnectStartsOver || k.stuck && !stick
}

// willStick reports whether a connect of the session never brings a code.
func (e *Engine) willStick(s *simSession, force bool) bool {
	return e.StuckUntilRestart && s.restarts == 0 ||
		e.StuckUntilForce && !force ||
		e.StuckUntilReconnect && s.connects < 2
}

// restart is a forced connect that also cures what only a restart cures.
func (e *Engine) restart(s *simSession) answer {
	s.restarts++
	s.connects++
	if s.socket == nil || !s.socket.linked {
		e.open(s, e.willStick(s, true))
	}
	return success(http.StatusOK, "Sesión reiniciada correctamente", e.brief(s, Connecting))
}

// configure stores what PUT /webhook and POST /frappe/configure send.
func (e *Engine) configure(s *simSession, body []byte) answer {
	var c struct {
		WebhookURL   *string `json:"webhookUrl"`
		SendToFrappe *bool   `json:"sendToFrappe"`
	}
	if json.Unmarshal(body, &c) != nil {
		return e.invalid()
	}
	if c.WebhookURL != nil {
		s.webhook = *c.WebhookURL
	}
	if c.SendToFrappe != nil {
		s.sendToFrappe = *c.SendToFrappe
	}
	return success(http.StatusOK, "Configuración actualizada",
		object{{"sessionId", s.name}, {"sendToFrappe", e.boolean(s.sendToFrappe)}})
}
