package whatsappsim

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// ErrQR is what ParseQR returns for a text that is no WhatsApp code.
var ErrQR = errors.New("wasim: not a WhatsApp QR code")

// ParseQR takes a code apart: the server's ref and the client's Noise key, identity key and ADV secret, 32
// bytes each. It knows both formats: the bare list "ref,noise,identity,adv" of older libraries, and
// "https://wa.me/settings/linked_devices#ref,noise,identity,adv,client" of whatsmeow since May 2026 and
// Baileys 7. It returns ErrQR for anything else.
func ParseQR(code string) (ref string, noise, identity, adv []byte, err error) {
	_, list, isURL := strings.Cut(code, "#")
	if !isURL {
		list = code
	}
	fields := strings.Split(list, ",")
	if len(fields) < 4 || fields[0] == "" {
		return "", nil, nil, nil, fmt.Errorf("%w: %d fields", ErrQR, len(fields))
	}
	var keys [3][]byte
	for i := range keys {
		key, err := base64.StdEncoding.DecodeString(fields[i+1])
		if err != nil || len(key) != 32 {
			return "", nil, nil, nil, fmt.Errorf("%w: field %d is not a key", ErrQR, i+2)
		}
		keys[i] = key
	}
	return fields[0], keys[0], keys[1], keys[2], nil
}
