package enginesim

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// handleRoute runs the handler of a route whose body has been read. The engine is locked.
func (e *Engine) handleRoute(r *http.Request, req request, body []byte) response {
	switch req.route {
	case RouteRoot:
		return e.root()
	case RouteHealth:
		return e.health()
	case RouteCreate:
		return e.create(r, req.account, body)
	case RouteList, RouteFrappeSessions:
		return e.list(r.URL.Query(), req.account)
	case RouteStats:
		return e.stats(req.account)
	case RouteUnknown:
		return e.failure(http.StatusNotFound, "NOT_FOUND", "Ruta no encontrada")
	}
	s := e.find(req.account, req.id)
	if s == nil {
		return e.notFound()
	}
	return e.handleSession(req.route, s, body)
}

// handleSession runs the handler of a route of one session.
func (e *Engine) handleSession(route Route, s *simSession, body []byte) response {
	switch route {
	case RouteGet:
		return success(http.StatusOK, "", object{{"session", append(e.listItem(s), member{"profile", e.profile(s)})}})
	case RouteQR:
		return e.qr(s)
	case RouteStatus:
		return e.status(s)
	case RouteConnect:
		return e.connect(s, body)
	case RouteRestart:
		return e.restart(s)
	case RouteDisconnect:
		e.closeSocket(s)
		return success(http.StatusOK, "Sesión desconectada correctamente", e.summary(s, Lost))
	case RouteDelete:
		e.remove(s)
		return success(http.StatusOK, "Sesión eliminada correctamente", object{{"sessionId", s.name}})
	case RouteWebhook, RouteFrappeConfigure:
		return e.configure(s, body)
	case RouteFrappeStatus:
		return success(http.StatusOK, "", append(e.summary(s, e.phase(s, e.now())),
			member{"sendToFrappe", e.boolean(s.sendToFrappe)}, member{"sessionName", s.title}))
	}
	return e.handleLinked(route, s)
}

// handleLinked runs the handler of a route that needs a linked phone.
func (e *Engine) handleLinked(route Route, s *simSession) response {
	if e.phase(s, e.now()) != Linked {
		return e.failure(http.StatusBadRequest, "SESSION_NOT_CONNECTED", "La sesión debe estar conectada")
	}
	switch route {
	case RouteSync:
		return success(http.StatusOK, "Sincronización completada", object{{"sessionId", s.name},
			{"contactsSynced", 0}, {"chatsSynced", 0}, {"timestamp", formatTime(e.now())}})
	case RouteRepair:
		return success(http.StatusOK, "Conversaciones reparadas", object{{"sessionId", s.name},
			{"repairedConversations", []any{}}, {"totalRepaired", 0}, {"timestamp", formatTime(e.now())}})
	}
	if e.ContactsDropSession && e.now().Before(s.linkedAt.Add(contactsDropFor)) {
		e.closeSocket(s)
	}
	return success(http.StatusOK, "", object{{"contacts", []any{}}, {"total", 0}, {"source", "whatsapp"}})
}

func (e *Engine) notFound() response {
	return e.failure(http.StatusNotFound, "SESSION_NOT_FOUND", "Sesión no encontrada")
}

// CreateShape is where the response to a create carries the session (C1).
type CreateShape int

// The shapes.
const (
	CreateNested CreateShape = iota // data.session, as observed
	CreateFlat                      // data, as documented
	CreateBoth
)

// createRequest is the body of a create. Members that the engine ignores are left out.
type createRequest struct {
	SessionID   string  `json:"sessionId"`
	SessionName string  `json:"sessionName"`
	Name        string  `json:"name"` // real clients send it instead of sessionName
	PhoneNumber *string `json:"phoneNumber"`
	WebhookURL  string  `json:"webhookUrl"`
	FromFrappe  bool    `json:"fromFrappe"`
}

func (e *Engine) create(r *http.Request, account string, body []byte) response {
	var c createRequest
	if strings.Contains(strings.ToLower(r.Header.Get("Content-Type")), "json") {
		if json.Unmarshal(body, &c) != nil {
			c = createRequest{}
		}
	}
	if c.SessionName == "" {
		c.SessionName = c.Name
	}
	if !isValidName(c.SessionID) || c.SessionName == "" || len([]rune(c.SessionName)) > 255 {
		return e.validationError()
	}
	if e.findByName(account, c.SessionID) != nil { // two accounts may use one name, which is the harder case for a gateway
		return e.failure(http.StatusConflict, "CONFLICT", "La sesión ya existe")
	}
	s := e.insert(account, c)
	s.sendToFrappe = c.FromFrappe || r.Header.Get("X-Frappe-Origin") == "true"
	if e.CreateConnects {
		s.connects++
		e.open(s, e.isStuckAfterConnect(s, false))
	}
	return success(http.StatusCreated, "Sesión creada correctamente", e.createdData(s))
}

// isValidName is ^[A-Za-z0-9_-]{3,100}$ (1.1).
func isValidName(name string) bool {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
	return len(name) >= 3 && len(name) <= 100 && strings.Trim(name, letters) == ""
}

func (e *Engine) validationError() response {
	return e.failure(http.StatusBadRequest, "VALIDATION_ERROR", "Datos de entrada inválidos")
}

func (e *Engine) insert(account string, c createRequest) *simSession {
	if e.lastID == 0 && e.FirstID > 0 {
		e.lastID = e.FirstID - 1
	}
	e.lastID++
	s := &simSession{
		id: e.lastID, account: account, name: c.SessionID, title: c.SessionName,
		webhook: c.WebhookURL, createdAt: e.now(), activeAt: e.now(),
	}
	if c.PhoneNumber != nil {
		s.phone = *c.PhoneNumber
	}
	e.sessions = append(e.sessions, s)
	return s
}

func (e *Engine) createdData(s *simSession) object {
	fields := object{
		{"id", s.id}, {"sessionId", s.name}, {"sessionName", s.title},
		{"status", e.stateOf(e.phase(s, e.now()))}, {"phoneNumber", orNull(s.phone)},
		{"sendToFrappe", e.boolean(s.sendToFrappe)}, {"createdAt", e.date(s.createdAt)},
	}
	if e.CreateCarriesQR {
		fields = append(fields, e.qrMembers(s, true)...)
	}
	switch e.CreateShape {
	case CreateFlat:
		return fields
	case CreateBoth:
		return append(fields, member{"session", fields})
	}
	return object{{"session", fields}}
}

// contactsDropFor is how long after linking a read of the contacts unlinks the phone, if
// [Engine.ContactsDropSession] is set.
const contactsDropFor = time.Minute

// connect accepts no body, {} and {"force":true} (C10).
func (e *Engine) connect(s *simSession, body []byte) response {
	var options struct {
		Force bool `json:"force"`
	}
	if len(body) > 0 && json.Unmarshal(body, &options) != nil {
		return e.validationError()
	}
	if e.ConnectFailures < 0 || s.failures < e.ConnectFailures {
		s.failures++
		return e.failure(http.StatusInternalServerError, "CONNECTION_ERROR", "Error conectando sesión")
	}
	s.connects++
	stuck := e.isStuckAfterConnect(s, options.Force)
	if e.opensSocket(s, options.Force, stuck) {
		e.open(s, stuck)
	}
	return success(http.StatusOK, "Sesión iniciada, generando QR o reconectando...", e.summary(s, Connecting))
}

// opensSocket reports whether a connect opens a new socket. A linked session reconnects instead (quirk 16).
func (e *Engine) opensSocket(s *simSession, force, stuck bool) bool {
	k := s.socket
	switch {
	case k == nil:
		return true
	case k.linked:
		return false
	}
	return k.broken || force || e.EveryConnectStartsOver || k.stuck && !stuck
}

// isStuckAfterConnect reports whether a connect of the session never produces a code.
func (e *Engine) isStuckAfterConnect(s *simSession, force bool) bool {
	return e.StuckUntilRestart && s.restarts == 0 ||
		e.StuckUntilForce && !force ||
		e.StuckUntilReconnect && s.connects < 2 ||
		slices.Contains(e.Silent, s.account)
}

// restart is a forced connect that also ends StuckUntilRestart.
func (e *Engine) restart(s *simSession) response {
	s.restarts++
	s.connects++
	if s.socket == nil || !s.socket.linked {
		e.open(s, e.isStuckAfterConnect(s, true))
	}
	return success(http.StatusOK, "Sesión reiniciada correctamente", e.summary(s, Connecting))
}

// configure handles PUT /webhook and POST /frappe/configure.
func (e *Engine) configure(s *simSession, body []byte) response {
	var c struct {
		WebhookURL   *string `json:"webhookUrl"`
		SendToFrappe *bool   `json:"sendToFrappe"`
	}
	if json.Unmarshal(body, &c) != nil {
		return e.validationError()
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

const maxPage = 100 // items, as documented

// list returns a page of the account's sessions, newest first.
func (e *Engine) list(query url.Values, account string) response {
	page, limit := positiveNumber(query.Get("page"), 1), positiveNumber(query.Get("limit"), e.pageSize())
	if limit > maxPage && e.StrictLimit {
		return e.validationError()
	}
	limit = min(limit, maxPage)
	var items []object
	for i := len(e.sessions) - 1; i >= 0; i-- {
		s := e.sessions[i]
		e.advance(s, e.now())
		if s.account == account && e.hasStatus(s, query.Get("status")) {
			items = append(items, e.listItem(s))
		}
	}
	total := len(items)
	from := min((page-1)*limit, total)
	shown := append([]object{}, items[from:min(from+limit, total)]...)
	return success(http.StatusOK, "", object{
		{"sessions", shown},
		{"pagination", object{{"total", total}, {"page", page}, {"limit", limit}, {"pages", (total + limit - 1) / limit}}},
	})
}

func (e *Engine) hasStatus(s *simSession, status string) bool {
	return status == "" || strings.EqualFold(status, e.stateOf(e.phase(s, e.now())))
}

func (e *Engine) pageSize() int {
	if e.PageSize > 0 {
		return e.PageSize
	}
	return 10
}

// positiveNumber reads a positive number of at most six digits; otherwise it returns the default.
func positiveNumber(text string, byDefault int) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 999_999 {
		return byDefault
	}
	return n
}

func (e *Engine) stats(account string) response {
	total, linked := 0, 0
	for _, s := range e.sessions {
		e.advance(s, e.now())
		if s.account != account {
			continue
		}
		total++
		if e.phase(s, e.now()) == Linked {
			linked++
		}
	}
	return success(http.StatusOK, "", object{{"total", total}, {"connected", linked}})
}

func (e *Engine) health() response {
	return response{http.StatusOK, jsonType, encode(object{
		{"success", true}, {"message", "API funcionando correctamente"}, {"timestamp", formatTime(e.now())},
		{"version", "1.0.0"}, {"environment", "production"},
	})}
}

func (e *Engine) root() response {
	return response{http.StatusOK, jsonType, encode(object{
		{"success", true}, {"message", "WhatsApp API"}, {"version", "1.0.0"},
		{"documentation", "/api/docs"}, {"health", "/health"},
		{"endpoints", object{{"sessions", "/api/sessions"}, {"messages", "/api/messages"}}},
	})}
}
