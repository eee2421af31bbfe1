package compat

import (
	"bytes"
	"crypto/sha256"
	"encoding/xml"
	"errors"
	"image"
	_ "image/gif" // the formats that ReadQR decodes
	_ "image/jpeg"
	_ "image/png"
	"io"
	"net/http"
	"regexp"
	"strings"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
	"github.com/makiuchi-d/gozxing/qrcode/detector"

	"qrgate/internal/secret"
)

// maxPixels bounds a side of an image that is decoded. A real one has some 500.
const maxPixels = 2048

// minImage is the least number of bytes of an image. Shorter data that begins like one is a word.
const minImage = 20

// imageType returns the media type of an image that browsers show, "" for anything else.
func imageType(raw []byte) string {
	if len(raw) < minImage {
		return ""
	}
	head, brands := string(raw[:12]), string(raw[8:min(len(raw), 64)])
	kind := http.DetectContentType(raw)
	switch {
	case kind == "image/bmp" && (raw[14] > 124 || raw[15] != 0): // two letters, and not the header of a bitmap
		return ""
	case strings.HasPrefix(kind, "image/"):
		return kind
	case head[4:8] == "ftyp" && strings.Contains(brands, "avi"): // avif, avis
		return "image/avif"
	case head[4:8] == "ftyp" && (strings.Contains(brands, "hei") || strings.Contains(brands, "mif1")):
		return "image/heic"
	case head == "\x00\x00\x00\x0cJXL \r\n\x87\n":
		return "image/jxl"
	case strings.HasPrefix(head, "II*\x00"), strings.HasPrefix(head, "MM\x00*"):
		return "image/tiff"
	case isSVG(raw):
		return "image/svg+xml"
	}
	return ""
}

// isSVG reports whether the first element of a document is svg.
func isSVG(raw []byte) bool {
	raw = bytes.TrimSpace(bytes.TrimPrefix(raw, byteOrderMark))
	if !bytes.HasPrefix(raw, []byte("<")) {
		return false
	}
	d := xml.NewDecoder(bytes.NewReader(raw))
	d.Strict = false
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	for {
		token, err := d.RawToken()
		if err != nil {
			return false
		}
		if element, ok := token.(xml.StartElement); ok {
			return strings.EqualFold(element.Name.Local, "svg")
		}
	}
}

// ErrNotDecoded reports that an image has a format that browsers show and qrgate does not decode, so that nothing is
// known about the code in it.
var ErrNotDecoded = errors.New("the image has a format that is not decoded here")

// ReadQR decodes the data URL of an image to the code's text, as a phone does. The error explains what is wrong with
// the image and never repeats any of it.
func ReadQR(dataURL secret.Secret) (secret.Secret, error) {
	head, _, found := strings.Cut(dataURL.Reveal(), ",")
	switch {
	case !found || !strings.HasPrefix(head, "data:image/"):
		return secret.Secret{}, errors.New("qrCode is not the data URL of an image")
	case len(dataURL.Reveal()) > maxImage:
		return secret.Secret{}, errors.New("the image is too large for a QR")
	}
	mediaType, raw := decodeImage(dataURL.Reveal())
	if mediaType == "" {
		return secret.Secret{}, errors.New("the data URL contains no image")
	}
	picture, err := decodePixels(raw)
	if err != nil {
		return secret.Secret{}, err
	}
	bitmap, err := gozxing.NewBinaryBitmapFromImage(picture)
	if err != nil {
		return secret.Secret{}, errors.New("the image is not a QR")
	}
	text, err := decodeQR(bitmap)
	switch {
	case err != nil || isWhatsAppCode(text.Reveal()):
		return text, err
	case futureCode.MatchString(text.Reveal()):
		return secret.Secret{}, errors.New("the QR contains a WhatsApp code of a form that is not known here")
	}
	return secret.Secret{}, errForeignQR
}

var errForeignQR = errors.New("the QR contains a text that is no WhatsApp code")

// futureCode matches forms that WhatsApp had or may have: an engine that draws such a code knows it.
var futureCode = regexp.MustCompile(`^\d@[^ ]+,|^https://wa\.me/settings/`)

// foreignQRs remembers the results of isForeignQR by the hash of the image: an engine shows one in many responses, and
// to decode it takes some milliseconds.
var foreignQRs, _ = lru.New[[sha256.Size]byte, bool](4096)

// isForeignQR reports whether the data URL of an image is a readable QR that is not WhatsApp's.
func isForeignQR(dataURL secret.Secret) bool {
	key := sha256.Sum256([]byte(dataURL.Reveal()))
	isForeign, found := foreignQRs.Get(key)
	if !found {
		_, err := ReadQR(dataURL)
		isForeign = errors.Is(err, errForeignQR)
		foreignQRs.Add(key, isForeign)
	}
	return isForeign
}

// decodePixels checks the size first: a few bytes can announce an image that fills the memory.
func decodePixels(raw []byte) (image.Image, error) {
	head, _, err := image.DecodeConfig(bytes.NewReader(raw))
	switch {
	case errors.Is(err, image.ErrFormat):
		return nil, ErrNotDecoded
	case err != nil || head.Width > maxPixels || head.Height > maxPixels:
		return nil, errors.New("the image is damaged or too large")
	}
	picture, _, err := image.Decode(bytes.NewReader(raw))
	if err != nil {
		return nil, errors.New("the image is damaged")
	}
	return picture, nil
}

// decodeQR requires the three finder patterns, which phones need, and then reads the grid. gozxing's reader of pure
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
