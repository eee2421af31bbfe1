package compat

import (
	"encoding/base64"
	"errors"
	"strings"

	"rsc.io/qr"

	"qrgate/internal/secret"
)

// Bounds on what an engine may call a QR. A real code's image has some two kilobytes.
const (
	maxImage = 64 << 10 // bytes of the data URL
	maxCode  = 1 << 10  // bytes of the text inside
)

const (
	dataURL  = "data:image/png;base64,"
	pngMagic = "\x89PNG\r\n\x1a\n"
)

// ErrNotQR says that what an engine sent as a QR is none: too large, not an image, not a code.
var ErrNotQR = errors.New("the engine's QR is not a readable image")

// NormalizeQRImage turns what an engine calls a QR into the documented form, a data URL of a PNG (contract C7).
// Engines send a data URL, bare base64, or the text inside, which is drawn here.
func NormalizeQRImage(text string) (secret.Secret, error) {
	text = strings.TrimSpace(text)
	if text == "" || len(text) > maxImage {
		return secret.Secret{}, ErrNotQR
	}
	if scheme, rest, ok := strings.Cut(text, ":"); ok && strings.EqualFold(scheme, "data") {
		kind, b64, found := strings.Cut(rest, ",")
		if !found || !strings.EqualFold(kind, "image/png;base64") || !isPNG(b64) {
			return secret.Secret{}, ErrNotQR
		}
		return secret.NewSecret(dataURL + b64), nil
	}
	if isPNG(text) {
		return secret.NewSecret(dataURL + text), nil
	}
	if strings.ContainsRune(text, ' ') {
		return secret.Secret{}, ErrNotQR // no code has a space, and every sentence has
	}
	return RenderQR(text)
}

// RenderQR makes the image of a code's text: error correction L, four pixels a module.
func RenderQR(text string) (secret.Secret, error) {
	if text == "" || len(text) > maxCode || strings.HasPrefix(text, "<") || !printable(text) {
		return secret.Secret{}, ErrNotQR
	}
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return secret.Secret{}, ErrNotQR
	}
	code.Scale = 4
	return secret.NewSecret(dataURL + base64.StdEncoding.EncodeToString(code.PNG())), nil
}

func isPNG(b64 string) bool {
	raw, err := base64.StdEncoding.DecodeString(b64)
	return err == nil && strings.HasPrefix(string(raw), pngMagic)
}

func printable(text string) bool {
	for i := range len(text) {
		if text[i] < 0x20 || text[i] > 0x7e {
			return false
		}
	}
	return true
}
