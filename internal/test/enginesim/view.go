package enginesim

import (
	"net/http"
	"time"
)

// status reports the true state, from memory (1.2 S6).
func (e *Engine) status(s *simSession) response {
	now := e.now()
	phase := e.phase(s, now)
	if e.Status404UntilLinked && phase != Linked || e.Status404WithoutSocket && s.socket == nil {
		return e.notFound()
	}
	return success(http.StatusOK, "", object{
		{"id", s.id}, {"sessionId", s.name}, {"status", e.stateOf(phase)},
		{"phoneNumber", orNull(s.phone)}, {"lastActivity", e.lastActivity(s)},
		{"isConnected", e.boolean(phase == Linked)}, {"hasQR", e.boolean(phase == Showing)},
	})
}

// listItem is a session in lists and in GET /{id}: from the database, whose state may be stale (quirk 7).
func (e *Engine) listItem(s *simSession) object {
	now := e.now()
	phase := e.phase(s, now)
	lags := e.ListLags && phase == Showing
	if lags {
		phase = Connecting
	}
	word := e.stateOf(phase)
	if s.stale {
		word = e.stateOf(Linked)
	}
	fields := object{
		{"id", s.id}, {"sessionId", s.name}, {"sessionName", s.title}, {"userId", 1},
		{"phoneNumberId", s.name}, {"status", word}, {"phoneNumber", orNull(s.phone)},
		{"isConnected", e.boolean(phase == Linked)}, {"hasQR", e.boolean(phase == Showing)},
	}
	fields = append(fields, e.qrMembers(s, !e.ListHidesQR && !lags)...)
	return append(fields,
		member{"webhookUrl", orNull(s.webhook)}, member{"lastActivity", e.lastActivity(s)},
		member{"createdAt", e.date(s.createdAt)}, member{"updatedAt", e.date(s.activeAt)})
}

// qrMembers are the code and its times. Without a code, the times of the last code remain (quirk 8).
func (e *Engine) qrMembers(s *simSession, show bool) object {
	c, ok := e.current(s, e.now())
	var value, generated, expires any
	if ok && show {
		value = e.qrValue(s.socket, c.text)
	}
	at := s.lastGeneratedAt
	if ok {
		at = c.generated
	}
	if !at.IsZero() {
		generated = e.date(at)
		expires = e.date(at.Add(e.qrTTL()))
	}
	members := object{{e.qrField(), value}, {"qrCodeGeneratedAt", generated}}
	if e.NoExpiry {
		return members
	}
	return append(members, member{"qrCodeExpiresAt", expires})
}

func (e *Engine) qrField() string {
	if e.QRFieldName != "" {
		return e.QRFieldName
	}
	return "qrCode"
}

func (e *Engine) profile(s *simSession) object {
	return object{{"name", orNull(s.phone)}, {"about", nil}, {"profilePictureUrl", nil}, {"isBusiness", e.boolean(false)}}
}

func (e *Engine) summary(s *simSession, p Phase) object {
	return object{{"id", s.id}, {"sessionId", s.name}, {"status", e.stateOf(p)}}
}

func (e *Engine) lastActivity(s *simSession) any {
	if e.NullLastActivity {
		return nil
	}
	return e.date(s.activeAt)
}

func (e *Engine) date(t time.Time) any {
	if e.Dates != nil {
		return e.Dates(t)
	}
	return formatTime(t)
}

func (e *Engine) boolean(b bool) any {
	if !e.NumericBooleans {
		return b
	}
	if b {
		return 1
	}
	return 0
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}
