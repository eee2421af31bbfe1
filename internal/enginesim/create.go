package enginesim

import (
	"encoding/json"
	"net/http"
	"regexp"
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
	legal := regexp.MustCompile(`^[A-Za-z0-9_-]{3,100}$`)
	if !legal.MatchString(c.SessionID) || c.SessionName == "" || len([]rune(c.SessionName)) > 255 {
		return e.invalid()
	}
	for _, s := range e.sessions { // names are unique over all accounts, as in a database
		if s.name == c.SessionID {
			return e.bad(http.StatusConflict, "CONFLICT", "La sesión ya existe")
		}
	}
	s := e.insert(account, c)
	s.sendToFrappe = c.FromFrappe || r.Header.Get("X-Frappe-Origin") == "true"
	if e.CreateConnects {
		s.connects++
		e.open(s, e.willStick(s, false))
	}
	return good(http.StatusCreated, "Sesión creada correctamente", e.createdData(s))
}

func (e *Engine) invalid() answer {
	return e.bad(http.StatusBadRequest, "VALIDATION_ERROR", "Datos de entrada inválidos")
}

func (e *Engine) insert(account string, c creation) *session {
	if e.lastID == 0 && e.FirstID > 0 {
		e.lastID = e.FirstID - 1
	}
	e.lastID++
	s := &session{
		id: e.lastID, account: account, name: c.SessionID, title: c.SessionName,
		webhook: c.WebhookURL, created: e.now(), active: e.now(),
	}
	if c.PhoneNumber != nil {
		s.phone = *c.PhoneNumber
	}
	e.sessions = append(e.sessions, s)
	return s
}

func (e *Engine) createdData(s *session) object {
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
