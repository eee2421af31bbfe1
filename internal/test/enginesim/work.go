package enginesim

import "net/http"

// route does the work of every route whose body has been read. The engine is locked.
func (e *Engine) route(r *http.Request, v request, body []byte) answer {
	switch v.route {
	case RouteRoot:
		return e.root()
	case RouteHealth:
		return e.health()
	case RouteCreate:
		return e.create(r, v.account, body)
	case RouteList, RouteFrappeSessions:
		return e.list(r.URL.Query(), v.account)
	case RouteStats:
		return e.stats(v.account)
	case RouteUnknown:
		return e.failure(http.StatusNotFound, "NOT_FOUND", "Ruta no encontrada")
	}
	s := e.find(v.account, v.id)
	if s == nil {
		return e.notFound()
	}
	return e.sessionRoute(v.route, s, body)
}

// sessionRoute does the work of a route on one session.
func (e *Engine) sessionRoute(route Route, s *simSession, body []byte) answer {
	switch route {
	case RouteGet:
		return success(http.StatusOK, "", object{{"session", append(e.item(s), member{"profile", e.profile(s)})}})
	case RouteQR:
		return e.qr(s)
	case RouteStatus:
		return e.status(s)
	case RouteConnect:
		return e.connect(s, body)
	case RouteRestart:
		return e.restart(s)
	case RouteDisconnect:
		e.drop(s)
		return success(http.StatusOK, "Sesión desconectada correctamente", e.brief(s, Lost))
	case RouteDelete:
		e.remove(s)
		return success(http.StatusOK, "Sesión eliminada correctamente", object{{"sessionId", s.name}})
	case RouteWebhook, RouteFrappeConfigure:
		return e.configure(s, body)
	case RouteFrappeStatus:
		return success(http.StatusOK, "", append(e.brief(s, e.phase(s, e.now())),
			member{"sendToFrappe", e.boolean(s.sendToFrappe)}, member{"sessionName", s.title}))
	}
	return e.linkedRoute(route, s)
}

// linkedRoute does the work of the routes that need a phone.
func (e *Engine) linkedRoute(route Route, s *simSession) answer {
	if e.phase(s, e.now()) != Linked {
		return e.failure(http.StatusBadRequest, "SESSION_NOT_CONNECTED", "La sesión debe estar conectada")
	}
	switch route {
	case RouteSync:
		return success(http.StatusOK, "Sincronización completada", object{{"sessionId", s.name},
			{"contactsSynced", 0}, {"chatsSynced", 0}, {"timestamp", iso(e.now())}})
	case RouteRepair:
		return success(http.StatusOK, "Conversaciones reparadas", object{{"sessionId", s.name},
			{"repairedConversations", []any{}}, {"totalRepaired", 0}, {"timestamp", iso(e.now())}})
	}
	if e.ContactsDropSession && e.now().Before(s.linkedAt.Add(dangerAfterLinking)) {
		e.drop(s)
	}
	return success(http.StatusOK, "", object{{"contacts", []any{}}, {"total", 0}, {"source", "whatsapp"}})
}

func (e *Engine) notFound() answer {
	return e.failure(http.StatusNotFound, "SESSION_NOT_FOUND", "Sesión no encontrada")
}
