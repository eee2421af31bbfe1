package compat_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	stdimage "image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"rsc.io/qr"

	"qrgate/compat"
	"qrgate/internal/secret"
)

// dot is a PNG of one pixel; image is its data URL.
const dot = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="

func image(t testing.TB) secret.Secret {
	t.Helper()
	s, err := compat.NormalizeQRImage(dot)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// pictures has one picture of each format that a browser shows.
func pictures() map[string][]byte {
	grid := code(realistic, 4, 4, untouched)
	var pngBytes, jpegBytes, gifBytes bytes.Buffer
	_ = png.Encode(&pngBytes, grid)
	_ = jpeg.Encode(&jpegBytes, grid, nil)
	_ = gif.Encode(&gifBytes, grid, nil)
	pad := strings.Repeat("\x00", 64)
	return map[string][]byte{
		"image/png":     pngBytes.Bytes(),
		"image/jpeg":    jpegBytes.Bytes(),
		"image/gif":     gifBytes.Bytes(),
		"image/webp":    []byte("RIFF\x40\x00\x00\x00WEBPVP8 " + pad),
		"image/avif":    []byte("\x00\x00\x00\x1cftypavif\x00\x00\x00\x00mif1" + pad),
		"image/heic":    []byte("\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00heic" + pad),
		"image/jxl":     []byte("\x00\x00\x00\x0cJXL \r\n\x87\n" + pad),
		"image/bmp":     []byte("BM\x7a\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00" + pad),
		"image/x-icon":  []byte("\x00\x00\x01\x00\x01\x00\x20\x20" + pad),
		"image/tiff":    []byte("II*\x00\x08\x00\x00\x00" + pad),
		"image/svg+xml": []byte(svg),
	}
}

const svg = `<?xml version="1.0" encoding="ISO-8859-1"?><!-- 100% a code --><!DOCTYPE svg>` +
	`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path d="M0,0h9v9z" fill="#000"/></svg>`

// Every picture is returned with the media type of its bytes, whatever the engine calls it and in whatever form it
// comes (faults A3, A4).
func TestNormalizeQRImage_KeepsEveryPictureOfABrowser(t *testing.T) {
	t.Parallel()
	for kind, raw := range pictures() {
		std, bare := base64.StdEncoding.EncodeToString(raw), base64.RawStdEncoding.EncodeToString(raw)
		safe := base64.URLEncoding.EncodeToString(raw)
		want := "data:" + kind + ";base64," + std
		for form, in := range map[string]string{
			"data URL":                    want,
			"upper case":                  "DATA:" + strings.ToUpper(kind) + ";BASE64," + std,
			"with a charset":              "data:" + kind + ";charset=utf-8;base64," + std,
			"blank after the semicolon":   "data:" + kind + "; base64," + std,
			"blank after the comma":       "data:" + kind + ";base64, " + std,
			"another media type":          "data:image/jpg;base64," + std,
			"no media type":               "data:;base64," + std,
			"a binary media type":         "data:application/octet-stream;base64," + std,
			"without padding":             "data:" + kind + ";base64," + bare,
			"too much padding":            "data:" + kind + ";base64," + bare + "====",
			"URL-safe":                    "data:" + kind + ";base64," + safe,
			"escaped base64":              "data:" + kind + ";base64," + url.QueryEscape(std),
			"escaped bytes":               "data:" + kind + "," + url.PathEscape(string(raw)),
			"escaped as a whole":          url.QueryEscape(want),
			"without the word base64":     "data:" + kind + "," + std,
			"without data:":               kind + ";base64," + std,
			"without media type and data": "base64," + std,
			"the prefix twice":            "data:image/png;base64," + want,
			"lines":                       "data:" + kind + ";base64," + lines(std, "\r\n"),
			"lines, escaped twice":        "data:" + kind + ";base64," + lines(std, `\n`),
			"quoted":                      `"` + want + `"`,
			"in an element":               `<img class="qr" src="` + want + `" alt="">`,
			"bare base64":                 std,
			"bare, without padding":       bare,
			"bare, URL-safe":              strings.TrimRight(safe, "="),
			"bare, in lines":              lines(std, "\n"),
			"bare, escaped":               url.QueryEscape(std),
		} {
			got, err := compat.NormalizeQRImage(in)
			if err != nil || got.Reveal() != want {
				t.Errorf("%s, %s: %v, %.60q", kind, form, err, got.Reveal())
			}
		}
	}
}

func lines(text, end string) string {
	var out strings.Builder
	for part := range slices.Chunk([]byte(text), 76) {
		out.Write(part)
		out.WriteString(end)
	}
	return out.String()
}

// Forms of SVG, and of base64 in which blanks mean two things.
func TestNormalizeQRImage_RareForms(t *testing.T) {
	t.Parallel()
	bare := svg[strings.Index(svg, "<svg"):]
	for name, c := range map[string]struct{ in, want string }{
		"SVG document":         {svg, svg},
		"SVG, byte order mark": {"\ufeff" + bare, bare},
		"SVG, utf8":            {"data:image/svg+xml;utf8," + bare, bare},
		"SVG, half escaped":    {"data:image/svg+xml," + strings.NewReplacer("<", "%3C", "#", "%23").Replace(bare), bare},
	} {
		got, err := compat.NormalizeQRImage(c.in)
		if want := "data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString([]byte(c.want)); got.Reveal() != want {
			t.Errorf("%s: %v, %.60q", name, err, got.Reveal())
		}
	}
	want := dataURL(code(realistic, 4, 4, untouched))
	for name, in := range map[string]string{
		"blanks instead of +": strings.ReplaceAll(want, "+", " "),
		"lines of blanks":     lines(want, " "),
	} {
		if got, err := compat.NormalizeQRImage(in); got.Reveal() != want {
			t.Errorf("%s: %v, %.60q", name, err, got.Reveal())
		}
	}
}

// Only WhatsApp's codes are rendered: a QR of anything else would look like a good one (faults A1, A2).
func TestNormalizeQRImage_RendersOnlyWhatsAppCodes(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"2@abc,def,ghi,1", realistic, " 2@abc,def,ghi\n", "https://wa.me/settings/linked_devices#2@abc,def,ghi,1",
	} {
		image, err := compat.NormalizeQRImage(in)
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if text, err := compat.ReadQR(image); err != nil || text.Reveal() != strings.TrimSpace(in) {
			t.Errorf("%q is rendered as %q, %v", in, text.Reveal(), err)
		}
	}
	for in, what := range map[string]string{
		"": "empty", "  ": "empty", "undefined": `the word "undefined"`, "null": `the word "null"`,
		"Pending": `the word "pending"`, "QR_NOT_READY": `the word "qr_not_ready"`, "[object Object]": `the word "[object object]"`,
		"ABCD-1234": "a text that is no WhatsApp code", "34600000000@s.whatsapp.net": "a text that is no WhatsApp code",
		"2@c.us": "a text that is no WhatsApp code", "1@abc,def,ghi": "a text that is no WhatsApp code",
		"x": "a text that is no WhatsApp code", "not yet, sorry": "a text that is no WhatsApp code",
		"2@abc, not yet": "a text that is no WhatsApp code", "2@abc,\x00": "a text that is no WhatsApp code",
		"código": "a text that is no WhatsApp code", "2@" + strings.Repeat("a,", 600): "a text that is no WhatsApp code",
		"http://engine:3001/statics/qrcode/scan-qr-1.png":           "an address and not an image",
		"/statics/qrcode/scan-qr-1.png":                             "an address and not an image",
		"/workspace/qrcodes/images/current/sessionA":                "an address and not an image",
		"https://wa.me/settings/linked_devices#":                    "an address and not an image",
		"https://wa.me/34600000000":                                 "an address and not an image",
		"blob:https://engine/3f":                                    "an address and not an image",
		"<html><body>svg</body></html>":                             "an HTML page",
		"<!doctype html><p>an <svg> in a page</p>":                  "an HTML page",
		"data:text/html,<p>no</p>":                                  "a data URL of no image",
		"data:image/png;base64":                                     "a data URL of no image",
		"data:image/png;base64,":                                    "a data URL of no image",
		"data:image/png;base64,AAAA":                                "a data URL of no image",
		"data:image/png;base64,undefined":                           "a data URL of no image",
		"Qk1hcmsgdGhpcyBpcyBub3QgYSBiaXRtYXAgYXQgYWxs":              "a text that is no WhatsApp code",
		strings.Repeat("A", 512<<10+1):                              "too large",
		dataURL(code("https://example.com/login", 4, 4, untouched)): "a QR of a text that is no WhatsApp code",
		dataURL(code("https://wa.me/34600000000", 4, 4, untouched)): "a QR of a text that is no WhatsApp code",
		dataURL(code("undefined", 4, 4, untouched)):                 "a QR of a text that is no WhatsApp code",
	} {
		image, err := compat.NormalizeQRImage(in)
		if err != compat.NotQRError(what) || !image.Empty() {
			t.Errorf("%.60q: %v, want %s", in, err, what)
		}
	}
}

// A picture that cannot be read here, or shows a code of another version, is the engine's to know.
func TestNormalizeQRImage_KeepsPicturesThatMayBeCodes(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"blank":        dataURL(painted(200, func(int, int) bool { return false })),
		"cut in half":  dataURL(code(realistic, 4, 4, func(x, _ int, dark bool) bool { return dark && x < 20 })),
		"version 1":    dataURL(code("1@abc,def,ghi", 4, 4, untouched)),
		"version 3":    dataURL(code("3@abc,def,ghi,1", 4, 4, untouched)),
		"another link": dataURL(code("https://wa.me/settings/companion#2@abc,def", 4, 4, untouched)),
	} {
		if image, err := compat.NormalizeQRImage(in); err != nil || image.Reveal() != in {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzNormalizeQRImage(f *testing.F) {
	f.Add("data:image/png;base64," + dot)
	f.Add("2@abc")
	f.Fuzz(func(t *testing.T, in string) {
		s, err := compat.NormalizeQRImage(in)
		if err == nil && !strings.HasPrefix(s.Reveal(), "data:image/") {
			t.Fatalf("%q → %q", in, s.Reveal())
		}
	})
}

// The QR is read from every field that engines use, the documented one first (C6).
func TestQRImageOf(t *testing.T) {
	t.Parallel()
	for body, ok := range map[string]bool{
		`{"qrCode":"` + dot + `"}`: true, `{"qr_code":"` + dot + `"}`: true, `{"qr":"` + dot + `"}`: true, `{"qr_data":"` + dot + `"}`: true,
		`{"qr_code_data_url":"` + dot + `"}`: true, `{"base64":"` + dot + `"}`: true, `{"qrcode":"` + dot + `"}`: true,
		`{"qrCode":null,"qr":"` + dot + `"}`: true, `{"qrCode":""}`: false, `{"code":"` + dot + `"}`: false, `{"qrCode":7}`: false,
	} {
		s, err := compat.QRImageOf(object(t, body))
		if err != nil || s.Empty() == ok {
			t.Errorf("%s: %v, found %t", body, err, !s.Empty())
		}
	}
	if _, err := compat.QRImageOf(object(t, `{"qrCode":"<html>"}`)); err != compat.NotQRError("an HTML page") {
		t.Errorf("a page: %v", err)
	}
}

// An image under an unknown name is read a few times, not once for each place in which a code may be. It is not
// parallel because it counts allocations.
func TestSessionOf_ReadsAnImageUnderAnUnknownNameFewTimes(t *testing.T) {
	body := object(t, `{"codes":["2@`+strings.Repeat("AbCdEfGhIj", 14)+`,noise,identity,adv,1"]}`)
	if got := testing.AllocsPerRun(1, func() { compat.SessionOf(body) }); got > 3000 {
		t.Errorf("%v allocations", got)
	}
}

// A response about one session may have its code beside the session, in another field than a placeholder, or instead of
// an object (fault A5).
func TestSessionOf_ReadsTheCodeInEveryPlace(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"in the session":              `{"data":{"session":{"id":1,"qrCode":"%s"}}}`,
		"beside the session":          `{"data":{"session":{"id":1},"qrCode":"%s"}}`,
		"beside a session with null":  `{"data":{"session":{"id":1,"qrCode":null,"qr":""},"qrCode":"%s"}}`,
		"beside a session with false": `{"data":{"session":{"id":1,"qr":false},"qr":"%s"}}`,
		"beside data":                 `{"data":{"id":1,"status":"qr_code"},"qrCode":"%s"}`,
		"beside data with a session":  `{"data":{"session":{"id":1}},"qrCode":"%s"}`,
		"instead of data":             `{"id":1,"data":"%s"}`,
		"without data":                `{"id":1,"qrcode":"%s"}`,
		"of an instance":              `{"data":{"instance":{"id":1},"qrcode":{"base64":"%s","code":"2@a,b"}}}`,
		"in an object":                `{"data":{"id":1,"qr":{"image":"%s"}}}`,
		"behind a placeholder":        `{"data":{"id":1,"qrCode":"pending","qr":"%s"}}`,
		"behind an address":           `{"data":{"id":1,"qr":{"url":"http://engine/qr.png","code":"%s"}}}`,
	} {
		s := compat.SessionOf(object(t, fmt.Sprintf(body, dot)))
		report, err := compat.ParseSession(s, now, now)
		if err != nil || report.Image.Reveal() != "data:image/png;base64,"+dot || report.Ref.ID != 1 {
			t.Errorf("%s: %v, %v", name, report.Ref, err)
		}
	}
	raw, _ := base64.StdEncoding.DecodeString(dot)
	buffer := strings.ReplaceAll(strings.Trim(fmt.Sprint(raw), "[]"), " ", ",")
	image, err := compat.QRImageOf(object(t, `{"qr":{"type":"Buffer","data":[`+buffer+`]}}`))
	if err != nil || image.Reveal() != "data:image/png;base64,"+dot {
		t.Errorf("a Buffer: %v", err)
	}
	first, _ := compat.RenderQR("2@a,b")
	if image, err := compat.QRImageOf(object(t, `{"qr":["2@a,b","2@c,d"]}`)); err != nil || !image.Equal(first) {
		t.Errorf("a list: %v", err)
	}
	body := object(t, `{"data":{"session":{"id":1,"expiresAt":"2020-01-01T00:00:00Z"},"qrCode":"`+dot+`",`+
		`"expiresAt":"`+compat.Millis(now.Add(time.Minute))+`"}}`)
	if e := compat.ExpiryOf(compat.SessionOf(body), now); e.In != time.Minute {
		t.Errorf("the expiry of another code: %v", e)
	}
}

// dataURL encodes a picture as engines send it.
func dataURL(p stdimage.Image) string {
	var b bytes.Buffer
	_ = png.Encode(&b, p)
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes())
}

// painted is a square picture with some dark pixels.
func painted(side int, at func(x, y int) bool) stdimage.Image {
	p := stdimage.NewGray(stdimage.Rect(0, 0, side, side))
	for y := range side {
		for x := range side {
			p.SetGray(x, y, color.Gray{Y: 255})
			if at(x, y) {
				p.SetGray(x, y, color.Gray{})
			}
		}
	}
	return p
}

// code is a QR with s pixels per module and a margin of m modules; touch may change every module.
func code(text string, s, m int, touch func(x, y int, dark bool) bool) stdimage.Image {
	c, _ := qr.Encode(text, qr.L)
	return painted((c.Size+2*m)*s, func(x, y int) bool {
		x, y = x/s-m, y/s-m
		if x < 0 || y < 0 || x >= c.Size || y >= c.Size {
			return false
		}
		return touch(x, y, c.Black(x, y))
	})
}

func untouched(_, _ int, dark bool) bool { return dark }

const realistic = "2@AbCdEfGhIjKlMnOpQrStUvWxYz0123456789+/AbCdEfGhIjKl,MnOpQrStUvWxYz0123456789+/AbCdEfGhIjKlMnOpQr=,AbCdEfGhIjKlMnOpQrStUvWxYz0123456789="

func TestReadQR(t *testing.T) {
	t.Parallel()
	noise := rand.New(rand.NewPCG(1, 2))
	transparent := stdimage.NewNRGBA(stdimage.Rect(0, 0, 200, 200))
	for name, test := range map[string]struct {
		text string
		good bool
	}{
		"real, 4 pixels a module": {dataURL(code(realistic, 4, 4, untouched)), true},
		"real, 1 pixel a module":  {dataURL(code(realistic, 1, 4, untouched)), true},
		"real, without a margin":  {dataURL(code(realistic, 3, 0, untouched)), true},
		"real, short":             {dataURL(code("2@a,b", 5, 4, untouched)), true},
		"a word":                  {dataURL(code("undefined", 5, 4, untouched)), false},

		"blank":       {dataURL(painted(200, func(int, int) bool { return false })), false},
		"black":       {dataURL(painted(200, func(int, int) bool { return true })), false},
		"transparent": {dataURL(transparent), false},
		"noise":       {dataURL(painted(132, func(int, int) bool { return noise.IntN(2) == 0 })), false},
		"inverted":    {dataURL(code(realistic, 4, 0, func(_, _ int, dark bool) bool { return !dark })), false},
		"a corner is missing": {dataURL(code(realistic, 4, 4, func(x, y int, dark bool) bool {
			return dark && (x > 8 || y < 20)
		})), false},
		"no timing line, as phones read it": {dataURL(code(realistic, 4, 4, func(x, y int, dark bool) bool {
			return dark && (y != 6 || x < 8 || x > 30)
		})), true},
		"a finder pattern without its center": {dataURL(code(realistic, 4, 4, func(x, y int, dark bool) bool {
			return dark && (x < 2 || x > 4 || y < 14)
		})), false},
		"cut in half":     {dataURL(code(realistic, 4, 4, func(x, _ int, dark bool) bool { return dark && x < 20 })), false},
		"huge":            {"data:image/png;base64," + strings.Repeat("A", 1<<19), false},
		"too many pixels": {dataURL(code(realistic, 60, 4, untouched)), false},
		"no base64":       {"data:image/png;base64,****", false},
		"no PNG":          {"data:image/png;base64,aGVsbG8=", false},
		"a damaged PNG":   {dataURL(code(realistic, 4, 4, untouched))[:400], false},
		"no QR, a GIF":    {"data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=", false},
		"a JPEG":          {pictureURL("image/jpeg"), true},
		"a GIF":           {pictureURL("image/gif"), true},
		"text":            {realistic, false},
		"nothing":         {"", false},
	} {
		text, err := compat.ReadQR(secret.NewSecret(test.text))
		if (err == nil) != test.good {
			t.Errorf("%s: %v, want good: %v", name, err, test.good)
		} else if err == nil && text.Reveal() != realistic && text.Reveal() != "2@a,b" {
			t.Errorf("%s: another text", name)
		} else if err != nil && (strings.Contains(err.Error(), "base64,") || len(err.Error()) > 100) {
			t.Errorf("%s: the error contains the picture: %v", name, err)
		}
	}
}

func pictureURL(kind string) string {
	return "data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(pictures()[kind])
}

// A format that is not decoded here says nothing about the code in it.
func TestReadQR_FormatsThatAreNotDecoded(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"image/svg+xml", "image/webp", "image/avif", "image/bmp", "image/x-icon", "image/jxl"} {
		if _, err := compat.ReadQR(secret.NewSecret(pictureURL(kind))); !errors.Is(err, compat.ErrNotDecoded) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func FuzzReadQR(f *testing.F) {
	f.Add([]byte(dataURL(code(realistic, 1, 4, untouched))[22:]))
	f.Add([]byte(dataURL(stdimage.NewGray(stdimage.Rect(0, 0, 21, 21)))[22:]))
	f.Fuzz(func(_ *testing.T, b []byte) {
		_, _ = compat.ReadQR(secret.NewSecret("data:image/png;base64," + base64.StdEncoding.EncodeToString(b))) // must not panic
	})
}
