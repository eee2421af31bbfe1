package enginesim

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"time"

	"rsc.io/qr"
)

// code is the QR of a session at one moment.
type code struct {
	sequence  int // within the session's life, from 1
	generated time.Time
	text      string
}

// current returns the current code of the session. It reports false when there is none.
func (e *Engine) current(s *simSession, now time.Time) (code, bool) {
	k := s.socket
	if k == nil || k.stuck || k.linked || k.broken || now.Before(k.openedAt.Add(e.QRDelay)) {
		return code{}, false
	}
	if e.Begin != nil {
		return e.latestPushed(s)
	}
	index, generated, ok := e.codeIndex(k, now)
	if !ok {
		return code{}, false
	}
	k.used = max(k.used, index)
	return code{s.codes + index, generated, e.codeText(s, s.codes+index)}, true
}

func (e *Engine) latestPushed(s *simSession) (code, bool) {
	n := len(s.socket.pushed)
	if n == 0 {
		return code{}, false
	}
	last := s.socket.pushed[n-1]
	generated := last.at
	if ready := s.socket.openedAt.Add(e.QRDelay); generated.Before(ready) {
		generated = ready
	}
	s.socket.used = n
	return code{s.codes + n, generated, last.text}, true
}

// codeIndex returns the number of the current code within the connect, from 1, and since when it is current.
func (e *Engine) codeIndex(k *Socket, now time.Time) (int, time.Time, bool) {
	begin := k.openedAt.Add(e.QRDelay)
	if e.Rotation == nil {
		done := now.Sub(begin) / e.qrTTL()
		return int(done) + 1, begin.Add(done * e.qrTTL()), true
	}
	for i, life := range e.Rotation {
		if now.Before(begin.Add(life)) {
			return i + 1, begin, true
		}
		begin = begin.Add(life)
	}
	return 0, time.Time{}, false
}

// lastCodeEndsAt returns when the last code of the connect expires. It reports false if codes never end.
func (e *Engine) lastCodeEndsAt(k *Socket) (time.Time, bool) {
	if e.Rotation == nil || e.Begin != nil || k.stuck {
		return time.Time{}, false
	}
	end := k.openedAt.Add(e.QRDelay)
	for _, life := range e.Rotation {
		end = end.Add(life)
	}
	return end, true
}

func (e *Engine) codeText(s *simSession, sequence int) string {
	k := s.socket
	if k.textOf == sequence {
		return k.text
	}
	k.textOf = sequence
	if e.Codes != nil {
		k.text = e.Codes(s.name, sequence)
	} else {
		k.text = randomCode()
	}
	return k.text
}

// randomCode has the form of a real code: a reference and three keys of 32 bytes, in base64.
func randomCode() string {
	key := func(n int) string {
		b := make([]byte, n)
		_, _ = rand.Read(b) // never fails, see crypto/rand
		return base64.StdEncoding.EncodeToString(b)
	}
	return "https://wa.me/settings/linked_devices#2@" + key(90) + "," + key(32) + "," + key(32) + "," + key(32)
}

// qrValue returns the code in its wire form: an image, or with [Engine.RawCode] the text.
func (e *Engine) qrValue(k *Socket, text string) string {
	if e.RawCode {
		return text
	}
	if k.renderedText != text {
		k.renderedText, k.rendered = text, renderQR(text)
	}
	if e.BareBase64 {
		return k.rendered
	}
	return "data:image/png;base64," + k.rendered
}

func renderQR(text string) string {
	image, err := qr.Encode(text, qr.L)
	if err != nil {
		return "" // only a text of more than 2953 bytes has no image
	}
	return base64.StdEncoding.EncodeToString(image.PNG())
}

// qr responds at once, with or without a code: the engine never waits for it (quirk 1).
func (e *Engine) qr(s *simSession) response {
	if s.socket != nil {
		s.socket.qrRequests++
	}
	c, ok := e.current(s, e.now())
	if !ok || s.socket.qrRequests <= e.QRAfterRequests {
		return e.notYet(s)
	}
	data := object{{e.qrField(), e.qrValue(s.socket, c.text)}, {"sessionId", s.name}}
	if !e.NoExpiry {
		data = append(data, member{"expiresAt", e.date(c.generated.Add(e.qrTTL()))})
	}
	return success(http.StatusOK, "", append(data, member{"status", e.stateOf(Showing)}))
}

func (e *Engine) notYet(s *simSession) response {
	switch e.NotYet {
	case 0:
		return e.failure(http.StatusInternalServerError, "QR_GENERATION_ERROR", "Error obteniendo código QR")
	case http.StatusOK:
		if e.NotYetNull {
			return success(http.StatusOK, "", object{{e.qrField(), nil}, {"sessionId", s.name}})
		}
	case http.StatusNoContent:
		return response{status: http.StatusNoContent}
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		return html(e.NotYet)
	}
	return e.failure(e.NotYet, "QR_NOT_READY", "El código QR aún no está disponible")
}
