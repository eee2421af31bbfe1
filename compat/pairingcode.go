package compat

import (
	"strings"
	"time"

	"qrgate/internal/session"
)

// TextBadPhone is what is wrong with the number in a request for a pairing code.
const TextBadPhone = "phoneNumber must be an international number of 7 to 15 digits, without a leading 0"

// PhoneNumber returns the digits of an international number, as a person writes it.
func PhoneNumber(text string) (digits string, ok bool) {
	digits = strings.TrimPrefix(strings.NewReplacer(" ", "", "-", "", "(", "", ")", "").Replace(text), "+")
	isNumber := len(digits) >= 7 && len(digits) <= 15 && digits[0] != '0' && strings.Trim(digits, "0123456789") == ""
	return digits, isNumber
}

// PairingCode is a code that the phone of a number accepts, under data in a response to POST …/pairing-code.
type PairingCode struct {
	ID        int64  `json:"id"`
	SessionID string `json:"sessionId"`
	Code      string `json:"pairingCode"`
	ExpiresAt string `json:"expiresAt"`
	ExpiresIn int    `json:"expiresIn"` // whole seconds
	Status    string `json:"status"`
}

// NewPairingCode is the body of a response with a code that is good until a time.
func NewPairingCode(r session.Ref, code string, until, now time.Time) Envelope {
	return Envelope{Success: true, Data: PairingCode{
		r.ID, r.Name, code, Millis(until), int(until.Sub(now) / time.Second), WireQR,
	}}
}
