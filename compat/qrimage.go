package compat

import (
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"

	"rsc.io/qr"

	"qrgate/internal/secret"
)

// Bounds of a QR. A real image has about two kilobytes; an uncompressed bitmap has some hundred.
const (
	maxImage = 512 << 10 // bytes of the data URL
	maxCode  = 1 << 10   // bytes of the text inside
)

// moduleSize is the width of one module in pixels: a code of WhatsApp has about 60 modules, so the image is about 500
// pixels wide with its margin.
const moduleSize = 8

// NotQRError describes, in a few words of a fixed list, what an engine sent instead of a QR.
type NotQRError string

// Error never contains any of what the engine sent.
func (e NotQRError) Error() string { return "the engine's QR is " + string(e) }

// NormalizeQRImage turns what an engine sends as a QR into the data URL of an image (contract C7). Engines send a data
// URL, bare base64, an SVG, or the code's text, which is rendered here. An image that browsers show keeps its format:
// whether its form is the documented one says nothing about the code in it. An image that is a readable QR of another
// text is none. The error is a [NotQRError].
func NormalizeQRImage(text string) (secret.Secret, error) {
	text = strings.Trim(text, " \t\r\n\"'\ufeff")
	if len(text) > maxImage {
		return secret.Secret{}, NotQRError("too large")
	}
	if mediaType, raw := decodeImage(text); mediaType != "" {
		image := secret.NewSecret("data:" + mediaType + ";base64," + base64.StdEncoding.EncodeToString(raw))
		if isForeignQR(image) {
			return secret.Secret{}, NotQRError("a QR of a text that is no WhatsApp code")
		}
		return image, nil
	}
	if isWhatsAppCode(text) {
		return RenderQR(text)
	}
	return secret.Secret{}, describeNotQR(text)
}

// isWhatsAppCode reports whether text has one of the two forms of a WhatsApp code. Any other text is an error, a
// placeholder or an address, and a QR of it would look like a good one.
func isWhatsAppCode(text string) bool {
	link, isLink := strings.CutPrefix(text, "https://wa.me/settings/linked_devices#")
	isRef := strings.HasPrefix(text, "2@") && strings.Contains(text, ",")
	return (isRef || isLink && link != "") && !strings.ContainsAny(text, ` <>"`)
}

// placeholders are what programs write where they have no code yet.
var placeholders = []string{
	"undefined", "null", "nil", "none", "nan", "false", "true", "pending", "waiting", "loading", "generating", "error",
	"expired", "timeout", "qr_not_ready", "not_ready", "qr_code", "[object object]", "[object promise]",
}

func describeNotQR(text string) NotQRError {
	lower := strings.ToLower(text)
	switch {
	case text == "":
		return "empty"
	case slices.Contains(placeholders, lower):
		return NotQRError(`the word "` + lower + `"`)
	case strings.HasPrefix(lower, "<"):
		return "an HTML page"
	case strings.HasPrefix(lower, "http:"), strings.HasPrefix(lower, "https:"), strings.HasPrefix(lower, "/"),
		strings.HasPrefix(lower, "blob:"), strings.HasPrefix(lower, "file:"):
		return "an address and not an image"
	case strings.HasPrefix(lower, "data:"):
		return "a data URL of no image"
	}
	return "a text that is no WhatsApp code"
}

// RenderQR renders a code's text as the data URL of a PNG. The lowest level of error correction is what WhatsApp's own
// page uses: nothing gets lost on a screen, and larger modules are easier to scan.
func RenderQR(text string) (secret.Secret, error) {
	isControl := func(r rune) bool { return r < 0x20 || r > 0x7e }
	if text == "" || len(text) > maxCode || strings.ContainsFunc(text, isControl) {
		return secret.Secret{}, NotQRError("a text that is no WhatsApp code")
	}
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return secret.Secret{}, NotQRError("a text that is no WhatsApp code")
	}
	code.Scale = moduleSize
	return secret.NewSecret("data:image/png;base64," + base64.StdEncoding.EncodeToString(code.PNG())), nil
}

// imageTag is an HTML element around a data URL.
var imageTag = regexp.MustCompile(`(?is)<img\b[^>]*\bsrc\s*=\s*["']?(data:[^"'>]+)`)

// decodeImage reads an image from a data URL, from base64 or from the text of an SVG, in every form that engines send.
// mediaType is that of the bytes, whatever the data URL calls them; it is empty if no browser shows them.
func decodeImage(text string) (mediaType string, raw []byte) {
	text = unescape(text)
	if tag := imageTag.FindStringSubmatchIndex(text); tag != nil && tag[0] == 0 {
		text = text[tag[2]:tag[3]]
	}
	data := cutDataURL(text)
	for _, raw := range [][]byte{decodeBase64(data), []byte(data)} {
		if mediaType := imageType(raw); mediaType != "" {
			return mediaType, raw
		}
	}
	return "", nil
}

// cutDataURL returns the data of a data URL, or text itself. Engines also write the prefix twice, or leave out "data:"
// or the media type.
func cutDataURL(text string) string {
	for {
		head, data, found := strings.Cut(text, ",")
		head = strings.ToLower(strings.Join(strings.Fields(head), ""))
		isPrefix := strings.HasPrefix(head, "data:") || strings.HasPrefix(head, "image/") ||
			strings.HasSuffix(head, "base64")
		if !found || !isPrefix {
			return text
		}
		text = strings.TrimSpace(data)
	}
}

var escape = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)

// unescape decodes percent-encoding as browsers do in a data URL: other percent signs stay.
func unescape(text string) string {
	if !strings.Contains(text, "%") {
		return text
	}
	return escape.ReplaceAllStringFunc(text, func(e string) string {
		b, _ := hex.DecodeString(e[1:])
		return string(b)
	})
}

// base64Forms turns the URL-safe alphabet into the standard one and removes line breaks, also those that were escaped
// twice.
var base64Forms = strings.NewReplacer("-", "+", "_", "/", " ", "", "\t", "", "\r", "", "\n", "", `\r`, "", `\n`, "")

// decodeBase64 decodes both alphabets, with or without padding and line breaks; nil if text is no base64.
func decodeBase64(text string) []byte {
	decode := func(text string) []byte {
		raw, _ := base64.RawStdEncoding.DecodeString(strings.TrimRight(base64Forms.Replace(text), "="))
		return raw
	}
	if strings.Contains(text, " ") { // a form decoder turns "+" into a blank; others break lines with it
		raw := decode(strings.ReplaceAll(text, " ", "+"))
		if _, err := decodePixels(raw); err == nil {
			return raw
		}
	}
	return decode(text)
}
