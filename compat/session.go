package compat

import (
	"time"

	"qrgate/internal/session"
)

// Session is one session with every field that any existing client reads (contract 1.2). Nullable fields are pointers.
type Session struct {
	ID            int64    `json:"id,omitempty"`
	SessionID     string   `json:"sessionId"`
	SessionName   string   `json:"sessionName"`
	Status        string   `json:"status"` // one of the wire states, never null
	PhoneNumber   *string  `json:"phoneNumber"`
	IsConnected   bool     `json:"isConnected"` // a JSON boolean: the wizard takes nothing else (contract 3.2)
	HasQR         bool     `json:"hasQR"`
	QRCode        *string  `json:"qrCode"`
	QRGeneratedAt *string  `json:"qrCodeGeneratedAt"`
	QRExpiresAt   *string  `json:"qrCodeExpiresAt"`
	LastActivity  string   `json:"lastActivity"` // never null: a null crashes the portal (contract 4.3)
	SendToFrappe  bool     `json:"sendToFrappe"`
	WebhookURL    *string  `json:"webhookUrl"`
	Profile       *Profile `json:"profile,omitempty"`
	CreatedAt     string   `json:"createdAt"`
	UpdatedAt     string   `json:"updatedAt"`

	LastDisconnect *LastDisconnect `json:"lastDisconnect,omitempty"`
	QueuePosition  int             `json:"queuePosition,omitempty"` // in the engine's own queue, 1 is next
}

// LastDisconnect is why the last connection of a session ended; ReasonOf reads it as evidence.
type LastDisconnect struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	At      string `json:"at"`
}

// Profile is the paired account in GET /api/sessions/{id}.
type Profile struct {
	Name              string  `json:"name"`
	About             string  `json:"about"`
	ProfilePictureURL *string `json:"profilePictureUrl"`
	IsBusiness        bool    `json:"isBusiness"`
}

// Envelope is the body of every success.
type Envelope struct {
	Success bool   `json:"success"`
	Message string `json:"message,omitempty"`
	Data    any    `json:"data,omitempty"`
}

// Texts of the documented API; no client parses them (contract C5).
const (
	TextCreated      = "Sesión creada correctamente"
	TextConnecting   = "Sesión iniciada, generando QR o reconectando..."
	TextDisconnected = "Sesión desconectada correctamente"
	TextRestarting   = "Sesión reiniciada, generando QR o reconectando..."
	TextDeleted      = "Sesión eliminada correctamente"
)

// Created is the body of a create: the session twice, flat and nested, because half of the clients read
// data.id and the other half data.session.id (contract C1).
func Created(s Session) Envelope {
	return Envelope{Success: true, Message: TextCreated, Data: struct {
		Session
		Nested Session `json:"session"`
	}{s, s}}
}

// SessionBody is the body of GET /api/sessions/{id}: nested, with flat copies beside it.
func SessionBody(s Session) Envelope {
	e := Created(s)
	e.Message = ""
	return e
}

// StatusData is the flat body of GET …/status (contract C11).
type StatusData struct {
	ID           int64   `json:"id,omitempty"`
	SessionID    string  `json:"sessionId"`
	Status       string  `json:"status"`
	PhoneNumber  *string `json:"phoneNumber"`
	LastActivity string  `json:"lastActivity"`
	IsConnected  bool    `json:"isConnected"`
	HasQR        bool    `json:"hasQR"`

	LastDisconnect *LastDisconnect `json:"lastDisconnect,omitempty"`
	QueuePosition  int             `json:"queuePosition,omitempty"`
}

// Status is the body of GET …/status.
func Status(s Session) Envelope {
	return Envelope{Success: true, Data: StatusData{s.ID, s.SessionID, s.Status, s.PhoneNumber, s.LastActivity,
		s.IsConnected, s.HasQR, s.LastDisconnect, s.QueuePosition}}
}

// QRData is the body of GET …/qr. Every client reads qrCode; the last fields are qrgate's own (contract C6).
type QRData struct {
	ID          int64  `json:"id,omitempty"`
	SessionID   string `json:"sessionId"`
	QRCode      string `json:"qrCode"`
	ExpiresAt   string `json:"expiresAt"`
	Status      string `json:"status"` // always qr_code (contract C8)
	GeneratedAt string `json:"generatedAt,omitempty"`
	ExpiresIn   int    `json:"expiresIn,omitempty"` // whole seconds
}

// QR is the body of GET …/qr when there is one, at now.
func QR(r session.Ref, q session.QR, now time.Time) Envelope {
	return Envelope{Success: true, Data: QRData{
		ID: r.ID, SessionID: r.Name, QRCode: q.Image.Reveal(), Status: WireQR,
		ExpiresAt: Millis(q.ExpiresAt), GeneratedAt: Millis(q.SeenAt), ExpiresIn: int(q.TTL(now) / time.Second),
	}}
}

// ActionResult is the body of connect, restart, disconnect and delete.
func ActionResult(message string, r session.Ref, status string) Envelope {
	return Envelope{Success: true, Message: message, Data: struct {
		ID        int64  `json:"id,omitempty"`
		SessionID string `json:"sessionId"`
		Status    string `json:"status"`
	}{r.ID, r.Name, status}}
}

// Page is one page of the list.
type Page struct {
	Sessions   []Session  `json:"sessions"`
	Total      int        `json:"total"`
	Pagination Pagination `json:"pagination"`
}

// Pagination counts pages from 1.
type Pagination struct {
	Total int `json:"total"`
	Page  int `json:"page"`
	Limit int `json:"limit"`
	Pages int `json:"pages"`
}

// MaxPageSize is the largest limit of the list; larger values are clamped (contract C13).
const MaxPageSize = 100

// List is the body of GET /api/sessions for one page of all, which must be in the engine's order.
func List(all []Session, page, limit int) Envelope {
	limit = min(max(limit, 1), MaxPageSize)
	page = max(page, 1)
	from := min((min(page, len(all)+1)-1)*limit, len(all)) // a page number may be the largest int
	to := min(from+limit, len(all))
	return Envelope{Success: true, Data: Page{
		Sessions: append([]Session{}, all[from:to]...), Total: len(all),
		Pagination: Pagination{len(all), page, limit, (len(all) + limit - 1) / limit},
	}}
}
