package enginesim

import "net/http"

func (e *Engine) health() answer {
	return answer{http.StatusOK, jsonType, encode(object{
		{"success", true}, {"message", "API funcionando correctamente"}, {"timestamp", iso(e.now())},
		{"version", "1.0.0"}, {"environment", "production"},
	})}
}

func (e *Engine) root() answer {
	return answer{http.StatusOK, jsonType, encode(object{
		{"success", true}, {"message", "WhatsApp API"}, {"version", "1.0.0"},
		{"documentation", "/api/docs"}, {"health", "/health"},
		{"endpoints", object{{"sessions", "/api/sessions"}, {"messages", "/api/messages"}}},
	})}
}
