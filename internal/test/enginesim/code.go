package enginesim

import (
	"crypto/rand"
	"encoding/base64"
	"time"

	"rsc.io/qr"
)

// code is the QR of a session at one moment.
type code struct {
	sequence  int // within the session's life, from 1
	generated time.Time
	text      string
}

// current returns the code that the session shows now. It reports false when there is none.
func (e *Engine) current(s *simSession, now time.Time) (code, bool) {
	k := s.socket
	if k == nil || k.stuck || k.linked || k.broken || now.Before(k.opened.Add(e.QRDelay)) {
		return code{}, false
	}
	if e.Begin != nil {
		return e.pushedCode(s)
	}
	index, generated, ok := e.codeIndex(k, now)
	if !ok {
		return code{}, false
	}
	k.used = max(k.used, index)
	return code{s.codes + index, generated, e.textOf(s, s.codes+index)}, true
}

func (e *Engine) pushedCode(s *simSession) (code, bool) {
	n := len(s.socket.pushed)
	if n == 0 {
		return code{}, false
	}
	last := s.socket.pushed[n-1]
	generated := last.at
	if ready := s.socket.opened.Add(e.QRDelay); generated.Before(ready) {
		generated = ready
	}
	s.socket.used = n
	return code{s.codes + n, generated, last.text}, true
}

// codeIndex tells which code of the connect it is the turn of, counted from 1, and since when.
func (e *Engine) codeIndex(k *Socket, now time.Time) (int, time.Time, bool) {
	begin := k.opened.Add(e.QRDelay)
	if e.Rotation == nil {
		done := now.Sub(begin) / e.qrLife()
		return int(done) + 1, begin.Add(done * e.qrLife()), true
	}
	for i, life := range e.Rotation {
		if now.Before(begin.Add(life)) {
			return i + 1, begin, true
		}
		begin = begin.Add(life)
	}
	return 0, time.Time{}, false
}

// runOut tells when the last code of the connect ends. It reports false if codes never run out.
func (e *Engine) runOut(k *Socket) (time.Time, bool) {
	if e.Rotation == nil || e.Begin != nil || k.stuck {
		return time.Time{}, false
	}
	end := k.opened.Add(e.QRDelay)
	for _, life := range e.Rotation {
		end = end.Add(life)
	}
	return end, true
}

func (e *Engine) textOf(s *simSession, sequence int) string {
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

// randomCode looks like a real one: a reference and three keys of 32 bytes, in base64.
func randomCode() string {
	key := func(n int) string {
		b := make([]byte, n)
		_, _ = rand.Read(b) // never fails, see crypto/rand
		return base64.StdEncoding.EncodeToString(b)
	}
	return "https://wa.me/settings/linked_devices#2@" + key(90) + "," + key(32) + "," + key(32) + "," + key(32)
}

// value is the code as the wire carries it: an image unless [Engine.RawCode] says otherwise.
func (e *Engine) value(k *Socket, text string) string {
	if e.RawCode {
		return text
	}
	if k.renderedText != text {
		k.renderedText, k.rendered = text, render(text)
	}
	if e.BareBase64 {
		return k.rendered
	}
	return "data:image/png;base64," + k.rendered
}

func render(text string) string {
	image, err := qr.Encode(text, qr.L)
	if err != nil {
		return "" // only a text of more than 2953 bytes has no image
	}
	return base64.StdEncoding.EncodeToString(image.PNG())
}
