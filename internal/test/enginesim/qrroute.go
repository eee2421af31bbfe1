package enginesim

import "net/http"

// qr answers at once, with the code or without: the engine never waits for it (quirk 1).
func (e *Engine) qr(s *simSession) answer {
	if s.socket != nil {
		s.socket.asks++
	}
	c, ok := e.current(s, e.now())
	if !ok || s.socket.asks <= e.QRAfterAsks {
		return e.notYet(s)
	}
	data := object{{e.qrField(), e.value(s.socket, c.text)}, {"sessionId", s.name}}
	if !e.NoExpiry {
		data = append(data, member{"expiresAt", e.date(c.generated.Add(e.qrLife()))})
	}
	return success(http.StatusOK, "", append(data, member{"status", e.spell(Showing)}))
}

func (e *Engine) notYet(s *simSession) answer {
	switch e.NotYet {
	case 0:
		return e.failure(http.StatusInternalServerError, "QR_GENERATION_ERROR", "Error obteniendo código QR")
	case http.StatusOK:
		if e.NotYetNull {
			return success(http.StatusOK, "", object{{e.qrField(), nil}, {"sessionId", s.name}})
		}
	case http.StatusNoContent:
		return answer{status: http.StatusNoContent}
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		return html(e.NotYet)
	}
	return e.failure(e.NotYet, "QR_NOT_READY", "El código QR aún no está disponible")
}
