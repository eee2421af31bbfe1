package embedded

import (
	"time"

	"qrgate/compat"
)

// lastDisconnect is what engines say of the end of the last line; the gate reads it as evidence.
type lastDisconnect struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	At      string `json:"at"`
}

// item is a session with it.
type item struct {
	compat.Session
	LastDisconnect *lastDisconnect `json:"lastDisconnect,omitempty"`
}

// item is the session as the documented bodies show it at now.
func (v view) item(now time.Time) item {
	s := compat.Session{
		ID: v.row.id, SessionID: v.row.sessionID, SessionName: v.row.name,
		Status:       compat.Wire(v.link.state()),
		IsConnected:  v.link.Phase == online,
		LastActivity: compat.Millis(v.link.Since),
		CreatedAt:    compat.Millis(v.row.created),
		UpdatedAt:    compat.Millis(v.link.Since),
	}
	if phone := v.phone(); phone != "" {
		s.PhoneNumber = &phone
	}
	if q, ok := v.qr(now); ok {
		image, seen, expires := q.Image.Reveal(), compat.Millis(q.SeenAt), compat.Millis(q.ExpiresAt)
		s.HasQR, s.QRCode, s.QRGeneratedAt, s.QRExpiresAt = true, &image, &seen, &expires
	}
	return item{Session: s, LastDisconnect: v.lastDisconnect()}
}

func (v view) lastDisconnect() *lastDisconnect {
	why := v.link.Last
	if !why.known() {
		return nil
	}
	return &lastDisconnect{Code: string(why.Code), Message: why.Text, At: compat.Seconds(why.At)}
}

// oneBody is GET /api/sessions/{id}: nested, with flat copies beside it (contract C1).
func oneBody(i item) compat.Envelope {
	return compat.Envelope{Success: true, Data: struct {
		item
		Nested item `json:"session"`
	}{i, i}}
}

// statusBody is GET …/status.
func statusBody(i item) compat.Envelope {
	flat, _ := compat.Status(i.Session).Data.(compat.StatusData)
	return compat.Envelope{Success: true, Data: struct {
		compat.StatusData
		LastDisconnect *lastDisconnect `json:"lastDisconnect,omitempty"`
	}{flat, i.LastDisconnect}}
}

// listBody is GET /api/sessions: compat's page, with richer items.
func listBody(all []item, page, limit int) compat.Envelope {
	plain := make([]compat.Session, len(all))
	byID := make(map[int64]item, len(all))
	for n, i := range all {
		plain[n], byID[i.ID] = i.Session, i
	}
	frame, _ := compat.List(plain, page, limit).Data.(compat.Page)
	rich := make([]item, len(frame.Sessions))
	for n, s := range frame.Sessions {
		rich[n] = byID[s.ID]
	}
	return compat.Envelope{Success: true, Data: struct {
		compat.Page
		Sessions []item `json:"sessions"`
	}{frame, rich}}
}

// statsBody is GET /api/sessions/stats, whose shape no document gives: a number for each state of the wire.
func statsBody(all []item) compat.Envelope {
	counts := map[string]int{"total": len(all)}
	for _, state := range []string{compat.WireConnecting, compat.WireQR, compat.WireConnected,
		compat.WireDisconnected, compat.WireError} {
		counts[state] = 0
	}
	for _, i := range all {
		counts[i.Status]++
	}
	return compat.Envelope{Success: true, Data: counts}
}
