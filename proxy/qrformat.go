package proxy

import (
	"encoding/base64"
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"qrgate/compat"
	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// QRFormats is how QRs are written into JSON: as data URLs, or as bare base64 for clients that put their own prefix
// before it (contract C7). The zero value is data URLs for every client.
type QRFormats struct {
	isBare bool
	keys   []keyFormat
}

type keyFormat struct {
	key    secret.Secret
	isBare bool
}

// ParseQRFormats parses the format of all clients, and those of single keys: "data-url,some-key:base64". The error
// names no key.
func ParseQRFormats(text string) (f QRFormats, err error) {
	for i, part := range strings.Split(text, ",") {
		key, format := "", strings.TrimSpace(part)
		if at := strings.LastIndex(format, ":"); at >= 0 {
			key, format = format[:at], format[at+1:]
		}
		isBare := format == "base64"
		switch {
		case !isBare && format != "data-url":
			return QRFormats{}, errors.New("must be data-url or base64, and then KEY:data-url or KEY:base64 for single keys")
		case key != "":
			f.keys = append(f.keys, keyFormat{secret.NewSecret(key), isBare})
		case i > 0:
			return QRFormats{}, errors.New("has a second format without a key")
		default:
			f.isBare = isBare
		}
	}
	return f, nil
}

// isBareFor reports whether a client gets bare base64.
func (f QRFormats) isBareFor(key secret.Secret) bool {
	for _, k := range f.keys {
		if k.key.Equal(key) {
			return k.isBare
		}
	}
	return f.isBare
}

// wantsBare reports whether the client gets bare base64.
func (s *sessionRequest) wantsBare() bool { return s.handler.config.QRFormats.isBareFor(s.caller.Key) }

// withoutPrefix is the base64 of a data URL.
func withoutPrefix(dataURL string) string {
	if _, image, ok := strings.Cut(dataURL, ";base64,"); ok {
		return image
	}
	return dataURL
}

// formatItem writes the QR of a session's object in the client's format.
func (s *sessionRequest) formatItem(item compat.Object) compat.Object {
	if image, ok := item["qrCode"].(string); ok && s.wantsBare() {
		item["qrCode"] = withoutPrefix(image)
	}
	return item
}

// bareQR is the body of a QR as bare base64.
func bareQR(v *session.Snapshot, now time.Time) compat.Envelope {
	code := v.Session.QR
	code.Image = secret.NewSecret(withoutPrefix(code.Image.Reveal()))
	return compat.QR(v.Session.Ref, code, now)
}

// acceptsPicture reports whether a client asks for a picture and not for JSON.
func acceptsPicture(h http.Header) (accepts bool) {
	for _, line := range h["Accept"] {
		for part := range strings.SplitSeq(line, ",") {
			kind, parameters, _ := mime.ParseMediaType(part)
			switch {
			case parameters["q"] == "0":
			case kind == "application/json" || kind == "application/*":
				return false
			case kind == "image/png" || kind == "image/*":
				accepts = true
			}
		}
	}
	return accepts
}

// qrPicture handles GET /api/sessions/{id}/qr.png: as …/qr, with the picture itself once there is a QR.
func (s *sessionRequest) qrPicture() {
	s.isPicture = true
	s.qr()
}

// writePicture writes the picture of a QR in the format that the engine made.
func (s *sessionRequest) writePicture(v *session.Snapshot) {
	image := v.Session.QR.Image.Reveal()
	kind, _, _ := strings.Cut(strings.TrimPrefix(image, "data:"), ";")
	picture, _ := base64.StdEncoding.DecodeString(withoutPrefix(image)) // compat made it
	h := s.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(picture)))
	h["Cache-Control"], h["X-Content-Type-Options"], h["Referrer-Policy"] = headerNoStore, headerNoSniff, headerNoReferrer
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'") // an SVG must run nothing
	s.WriteHeader(http.StatusOK)
	_, _ = s.Write(picture)
}
