package compat_test

import (
	"bytes"
	"encoding/base64"
	stdimage "image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"strings"
	"testing"

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

// An engine's QR becomes the data URL of a PNG, or an error (C7).
func TestNormalizeQRImage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in string
		ok bool
	}{
		"a data URL": {"data:image/png;base64," + dot, true}, "bare": {dot, true}, "in other case": {"DATA:Image/PNG;Base64," + dot, true}, "with spaces around": {" " + dot + "\n", true},
		"the text inside": {"2@abc,def,ghi,1", true}, "a short text": {"x", true},
		"nothing": {"", false}, "blanks": {"  ", false}, "another kind of image": {"data:image/svg+xml;base64," + dot, false},
		"a page": {"<html></html>", false}, "a sentence": {"not yet, sorry", false}, "two prefixes": {"data:image/png;base64,data:image/png;base64," + dot, false},
		"base64 of no PNG": {"data:image/png;base64,AAAA", false}, "a URL without a comma": {"data:image/png;base64", false},
		"beyond the bound": {strings.Repeat("A", 64<<10+1), false}, "a text too long": {strings.Repeat("a,", 600), false},
		"what cannot be printed": {"a\x00b", false}, "another script": {"código", false},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := compat.NormalizeQRImage(c.in)
			if (err == nil) != c.ok || c.ok != strings.HasPrefix(s.Reveal(), "data:image/png;base64,iVBORw0KGgo") {
				t.Errorf("%v, %.40q", err, s.Reveal())
			}
			if err == nil && strings.Contains(c.in, dot) && s.Reveal() != "data:image/png;base64,"+dot {
				t.Errorf("the image was changed: %q", s.Reveal())
			}
		})
	}
}

func FuzzNormalizeQRImage(f *testing.F) {
	f.Add("data:image/png;base64," + dot)
	f.Add("2@abc")
	f.Fuzz(func(t *testing.T, in string) {
		s, err := compat.NormalizeQRImage(in)
		if err == nil && !strings.HasPrefix(s.Reveal(), "data:image/png;base64,iVBORw0KGgo") {
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
	if _, err := compat.QRImageOf(object(t, `{"qrCode":"<html>"}`)); err != compat.ErrNotQR {
		t.Errorf("a page: %v", err)
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
		"real, of the least size": {dataURL(code("1", 5, 4, untouched)), true},

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
		"another picture": {"data:image/gif;base64,R0lGODlhAQABAAAAACw=", false},
		"text":            {realistic, false},
		"nothing":         {"", false},
	} {
		text, err := compat.ReadQR(secret.NewSecret(test.text))
		if (err == nil) != test.good {
			t.Errorf("%s: %v, want good: %v", name, err, test.good)
		} else if err == nil && text.Reveal() != realistic && text.Reveal() != "1" {
			t.Errorf("%s: another text", name)
		} else if err != nil && (strings.Contains(err.Error(), "base64,") || len(err.Error()) > 100) {
			t.Errorf("%s: the error contains the picture: %v", name, err)
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
