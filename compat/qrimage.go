package compat

import (
	"bytes"
	"encoding/base64"
	"errors"
	"image/png"
	"strings"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
	"github.com/makiuchi-d/gozxing/qrcode/detector"
	"rsc.io/qr"

	"qrgate/internal/secret"
)

// Bounds of a QR. A real image has about two kilobytes and some 500 pixels a side.
const (
	maxImage  = 64 << 10 // bytes of the data URL
	maxCode   = 1 << 10  // bytes of the text inside
	maxPixels = 2048     // of a side
)

// moduleSize is the width of one module in pixels: a code of WhatsApp has about 60 modules, so the image is about 500
// pixels wide with its margin.
const moduleSize = 8

const (
	dataURLPrefix = "data:image/png;base64,"
	pngMagic      = "\x89PNG\r\n\x1a\n"
)

// ErrNotQR reports that what an engine sent as a QR is too large, no image, or no code.
var ErrNotQR = errors.New("the engine's QR is not a readable image")

// NormalizeQRImage turns what an engine sends as a QR into the documented form, the data URL of a PNG (contract C7).
// Engines send a data URL, bare base64, or the code's text, which is rendered here.
func NormalizeQRImage(text string) (secret.Secret, error) {
	text = strings.TrimSpace(text)
	if text == "" || len(text) > maxImage {
		return secret.Secret{}, ErrNotQR
	}
	if scheme, rest, ok := strings.Cut(text, ":"); ok && strings.EqualFold(scheme, "data") {
		mediaType, b64, found := strings.Cut(rest, ",")
		if !found || !strings.EqualFold(mediaType, "image/png;base64") || !isPNG(b64) {
			return secret.Secret{}, ErrNotQR
		}
		return secret.NewSecret(dataURLPrefix + b64), nil
	}
	if isPNG(text) {
		return secret.NewSecret(dataURLPrefix + text), nil
	}
	if strings.ContainsRune(text, ' ') {
		return secret.Secret{}, ErrNotQR // an error message: a code has no space
	}
	return RenderQR(text)
}

// RenderQR renders a code's text as the data URL of a PNG. The lowest level of error correction is what WhatsApp's own
// page uses: nothing gets lost on a screen, and larger modules are easier to scan.
func RenderQR(text string) (secret.Secret, error) {
	if text == "" || len(text) > maxCode || strings.HasPrefix(text, "<") || !isPrintable(text) {
		return secret.Secret{}, ErrNotQR
	}
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return secret.Secret{}, ErrNotQR
	}
	code.Scale = moduleSize
	return secret.NewSecret(dataURLPrefix + base64.StdEncoding.EncodeToString(code.PNG())), nil
}

// ReadQR decodes the data URL of a PNG to the code's text, as a phone would. The error says what is wrong with the
// image and never repeats any of it.
func ReadQR(image secret.Secret) (secret.Secret, error) {
	b64, ok := strings.CutPrefix(image.Reveal(), dataURLPrefix)
	switch {
	case !ok:
		return secret.Secret{}, errors.New("qrCode is not the data URL of a PNG")
	case len(b64) > maxImage:
		return secret.Secret{}, errors.New("the image is too large for a QR")
	}
	raw, err := base64.StdEncoding.DecodeString(b64)
	if err != nil {
		return secret.Secret{}, errors.New("the data URL is not valid base64")
	}
	// The size is checked first: a few bytes can announce an image that fills the memory.
	head, err := png.DecodeConfig(bytes.NewReader(raw))
	if err != nil || head.Width > maxPixels || head.Height > maxPixels {
		return secret.Secret{}, errors.New("the image is not a PNG of a reasonable size")
	}
	picture, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		return secret.Secret{}, errors.New("the PNG is damaged")
	}
	bitmap, err := gozxing.NewBinaryBitmapFromImage(picture)
	if err != nil {
		return secret.Secret{}, errors.New("the image is not a QR")
	}
	return decodeQR(bitmap)
}

// decodeQR requires the three finder patterns, which phones look for, and then reads the grid. gozxing's reader of pure
// codes does without the patterns; its detector alone fails on 1 in 100 clean codes, where data resembles a pattern.
func decodeQR(bitmap *gozxing.BinaryBitmap) (secret.Secret, error) {
	matrix, err := bitmap.GetBlackMatrix()
	if err != nil {
		return secret.Secret{}, errors.New("the image is blank")
	}
	if _, err := detector.NewFinderPatternFinder(matrix, nil).Find(nil); err != nil {
		return secret.Secret{}, errors.New("the image is blank or not a QR: it has no finder patterns")
	}
	reader := qrcode.NewQRCodeReader()
	result, err := reader.Decode(bitmap, map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_PURE_BARCODE: true})
	if err != nil {
		if result, err = reader.Decode(bitmap, nil); err != nil {
			return secret.Secret{}, errors.New("the image is not a readable QR")
		}
	}
	return secret.NewSecret(result.GetText()), nil
}

func isPNG(b64 string) bool {
	raw, err := base64.StdEncoding.DecodeString(b64)
	return err == nil && strings.HasPrefix(string(raw), pngMagic)
}

func isPrintable(text string) bool {
	for i := range len(text) {
		if text[i] < 0x20 || text[i] > 0x7e {
			return false
		}
	}
	return true
}
