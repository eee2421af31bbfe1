package embedded

import (
	"time"

	"qrgate/compat"
)

// lastDisconnect is why the last connection ended; qrgate uses it as evidence.
type lastDisconnect struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	At      string `json:"at"`
}

type item struct {
	compat.Session
	LastDisconnect *lastDisconnect `json:"lastDisconnect,omitempty"`
}

// item is the session in the documented form at now.
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
		image, shown, expires := q.Image.Reveal(), compat.Millis(q.SeenAt), compat.Millis(q.ExpiresAt)
		s.HasQR, s.QRCode, s.QRGeneratedAt, s.QRExpiresAt = true, &image, &shown, &expires
	}
	return item{Session: s, LastDisconnect: v.lastDisconnect()}
}

func (v view) lastDisconnect() *lastDisconnect {
	why := v.link.LastDisconnect
	if !why.isKnown() {
		return nil
	}
	return &lastDisconnect{Code: string(why.Code), Message: why.Text, At: compat.Seconds(why.At)}
}

// sessionBody is GET /api/sessions/{id}: nested, with flat copies (contract C1).
func sessionBody(i item) compat.Envelope {
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

// listBody is GET /api/sessions: a page of compat, whose items also have lastDisconnect.
func listBody(all []item, page, limit int) compat.Envelope {
	sessions := make([]compat.Session, len(all))
	byID := make(map[int64]item, len(all))
	for n, i := range all {
		sessions[n], byID[i.ID] = i.Session, i
	}
	frame, _ := compat.List(sessions, page, limit).Data.(compat.Page)
	items := make([]item, len(frame.Sessions))
	for n, s := range frame.Sessions {
		items[n] = byID[s.ID]
	}
	return compat.Envelope{Success: true, Data: struct {
		compat.Page
		Sessions []item `json:"sessions"`
	}{frame, items}}
}

// statsBody is GET /api/sessions/stats, whose shape is not documented: a count for each state.
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

// qrErrorBody is the documented error of GET …/qr, in the documented Spanish, with the cause if the session has stopped.
func qrErrorBody(v view, now time.Time) any {
	text, last := "Error obteniendo código QR", v.lastDisconnect()
	if v.link.Phase != idle {
		last = nil
	}
	if last != nil {
		text += ": " + last.Code
	}
	return struct {
		compat.Problem
		LastDisconnect *lastDisconnect `json:"lastDisconnect,omitempty"`
	}{compat.NewProblem(compat.CodeQRGenerationError, text, now), last}
}
