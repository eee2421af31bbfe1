package enginesim

import (
	"encoding/json"
	"net/http"
	"strings"
)

// CreateShape is where a create's answer carries the session (C1).
type CreateShape int

// The shapes.
const (
	CreateNested CreateShape = iota // data.session, as observed
	CreateFlat                      // data, as documented
	CreateBoth
)

// creation is the body of a create. Members that the engine only stores or ignores are left out.
type creation struct {
	SessionID   string  `json:"sessionId"`
	SessionName string  `json:"sessionName"`
	Name        string  `json:"name"` // seen in the wild in place of sessionName (GS:66-71)
	PhoneNumber *string `json:"phoneNumber"`
	WebhookURL  string  `json:"webhookUrl"`
	FromFrappe  bool    `json:"fromFrappe"`
}

func (e *Engine) create(r *http.Request, account string, body []byte) answer {
	var c creation
	if strings.Contains(strings.ToLower(r.Header.Get("Content-Type")), "json") {
		if json.Unmarshal(body, &c) != nil {
			c = creation{}
		}
	}
	if c.SessionName == "" {
		c.SessionName = c.Name
	}
	if !legalName(c.SessionID) || c.SessionName == "" || len([]rune(c.SessionName)) > 255 {
		return e.invalid()
	}
	if e.named(account, c.SessionID) != nil { // two accounts may use one name: the harder case for a gateway
		return e.failure(http.StatusConflict, "CONFLICT", "La sesión ya existe")
	}
	s := e.insert(account, c)
	s.sendToFrappe = c.FromFrappe || r.Header.Get("X-Frappe-Origin") == "true"
	if e.CreateConnects {
		s.connects++
		e.open(s, e.willStick(s, false))
	}
	return success(http.StatusCreated, "Sesión creada correctamente", e.createdData(s))
}

// legalName is ^[A-Za-z0-9_-]{3,100}$ (1.1).
func legalName(name string) bool {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
	return len(name) >= 3 && len(name) <= 100 && strings.Trim(name, letters) == ""
}

func (e *Engine) invalid() answer {
	return e.failure(http.StatusBadRequest, "VALIDATION_ERROR", "Datos de entrada inválidos")
}

func (e *Engine) insert(account string, c creation) *simSession {
	if e.lastID == 0 && e.FirstID > 0 {
		e.lastID = e.FirstID - 1
	}
	e.lastID++
	s := &simSession{
		id: e.lastID, account: account, name: c.SessionID, title: c.SessionName,
		webhook: c.WebhookURL, created: e.now(), active: e.now(),
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
		{"status", e.spell(e.phase(s, e.now()))}, {"phoneNumber", orNull(s.phone)},
		{"sendToFrappe", e.boolean(s.sendToFrappe)}, {"createdAt", e.date(s.created)},
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
