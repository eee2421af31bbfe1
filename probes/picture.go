package probes

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"image"
	"image/png"
	"math"
	"strings"

	"qrgate/compat"
	"qrgate/internal/diagnosis"
	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// fingerprint tells two codes apart without keeping either.
type fingerprint [sha256.Size]byte

// inspect looks at the answer to a request for the QR of session r: is this our session's, does it live,
// and is the picture a QR?
func inspect(a compat.Response, r session.Ref) (fingerprint, string, *failure) {
	invalid := func(code diagnosis.Code, why string) (fingerprint, string, *failure) {
		return fingerprint{}, "", &failure{code: code, evidence: []string{why}}
	}
	body, _ := compat.Parse(a.Body)
	data := compat.Data(body)
	if got := compat.RefOf(data); got.Name != "" && got.Name != r.Name && got.Name != fmt.Sprint(r.ID) {
		return invalid(diagnosis.QRInvalid, "the answer is about another session than the one asked for")
	}
	life := compat.ExpiryOf(data, compat.EngineClock(a.Header, a.At))
	if life.Known && life.In <= 0 {
		return invalid(diagnosis.QRExpired, fmt.Sprintf("the code had expired %.0f s before it was handed out", -life.In.Seconds()))
	}
	grid, err := readPicture(compat.StringOf(data["qrCode"]))
	if err != nil {
		return invalid(diagnosis.QRInvalid, err.Error())
	}
	detail := fmt.Sprintf("%d×%d modules", grid.size, grid.size)
	if life.Known {
		detail += fmt.Sprintf(", %.0f s left", life.In.Seconds())
	}
	return grid.print(), detail, nil
}

// CheckQRImage says what a data URL shows, or why it is no QR that a phone could read.
func CheckQRImage(image secret.Secret) (string, error) {
	g, err := readPicture(image.Reveal())
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d×%d modules", g.size, g.size), nil
}

// Bounds on a picture; a real one has some 300 pixels a side and two kilobytes.
const (
	maxPicture = 256 << 10 // bytes
	maxSide    = 2048      // pixels
)

const dataURL = "data:image/png;base64,"

// readPicture reads the modules out of a data URL of a PNG. The error says what is wrong with it and never
// repeats any of it.
func readPicture(text string) (grid, error) {
	b64, ok := strings.CutPrefix(text, dataURL)
	if !ok {
		return grid{}, errors.New("qrCode is no data URL of a PNG")
	}
	if len(b64) > base64.StdEncoding.EncodedLen(maxPicture) {
		return grid{}, errors.New("the picture is too large for a QR")
	}
	raw, err := base64.StdEncoding.DecodeString(b64)
	if err != nil {
		return grid{}, errors.New("the data URL is not base64")
	}
	// The head is read first: a few bytes can announce a picture that fills the memory.
	head, err := png.DecodeConfig(bytes.NewReader(raw))
	if err != nil || head.Width > maxSide || head.Height > maxSide {
		return grid{}, errors.New("the picture is no PNG of a reasonable size")
	}
	picture, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		return grid{}, errors.New("the PNG is damaged")
	}
	return readGrid(picture)
}

// grid is a QR as modules: true is dark.
type grid struct {
	size int
	dark []bool
}

func (g grid) at(x, y int) bool { return g.dark[y*g.size+x] }

func (g grid) print() fingerprint {
	b := make([]byte, len(g.dark))
	for i, dark := range g.dark {
		if dark {
			b[i] = 1
		}
	}
	return sha256.Sum256(b)
}

// readGrid finds the modules of an upright QR, dark on light, as engines draw it, and checks the patterns
// that every QR has (ISO/IEC 18004, 6.3): a finder in three corners and the timing lines between them.
func readGrid(p image.Image) (grid, error) {
	box := darkBox(p)
	if box.Empty() {
		return grid{}, errors.New("the picture is blank")
	}
	run := 0 // the upper edge of the first finder: seven modules
	for x := box.Min.X; x < box.Max.X && isDark(p, x, box.Min.Y); x++ {
		run++
	}
	module := float64(run) / 7
	size := int(math.Round(float64(box.Dx()) / module))
	if module < 1 || size < 21 || size > 177 || (size-17)%4 != 0 || abs(box.Dx()-box.Dy()) > int(math.Ceil(module/2)) {
		return grid{}, errors.New("the picture is no QR: its measures fit none")
	}
	g := grid{size: size, dark: make([]bool, 0, size*size)}
	step := float64(box.Dx()) / float64(size)
	for y := range size {
		for x := range size {
			g.dark = append(g.dark, isDark(p, box.Min.X+int((float64(x)+.5)*step), box.Min.Y+int((float64(y)+.5)*step)))
		}
	}
	if !g.finders() || !g.timing() {
		return grid{}, errors.New("the picture is no QR: its finder patterns are missing")
	}
	return g, nil
}

// finders checks the three corners: a dark ring of seven modules, a light one, and a dark heart of three.
func (g grid) finders() bool {
	far := g.size - 7
	for _, corner := range []image.Point{{0, 0}, {far, 0}, {0, far}} {
		for y := range 7 {
			for x := range 7 {
				ring := max(abs(x-3), abs(y-3))
				if g.at(corner.X+x, corner.Y+y) != (ring != 2) {
					return false
				}
			}
		}
	}
	return true
}

// timing checks the two lines on which dark and light alternate.
func (g grid) timing() bool {
	for i := 8; i < g.size-8; i++ {
		if g.at(i, 6) != (i%2 == 0) || g.at(6, i) != (i%2 == 0) {
			return false
		}
	}
	return true
}

func darkBox(p image.Image) image.Rectangle {
	var box image.Rectangle
	for y := p.Bounds().Min.Y; y < p.Bounds().Max.Y; y++ {
		for x := p.Bounds().Min.X; x < p.Bounds().Max.X; x++ {
			if isDark(p, x, y) {
				box = box.Union(image.Rect(x, y, x+1, y+1))
			}
		}
	}
	return box
}

// isDark sees a pixel as it looks on white paper.
func isDark(p image.Image, x, y int) bool {
	r, g, b, a := p.At(x, y).RGBA()
	light := (299*r+587*g+114*b)/1000 + (0xffff - a)
	return light < 0x8000
}

func abs(n int) int { return max(n, -n) }
