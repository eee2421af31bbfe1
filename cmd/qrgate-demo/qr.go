package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"image"
	"image/png"
	"strings"

	"qrgate/compat"
	"qrgate/internal/secret"
)

// readQR decodes a data URL as a phone does: the image, then the code's text.
func readQR(dataURL string) (image.Image, string, error) {
	_, b64, ok := strings.Cut(dataURL, "base64,")
	if !ok {
		return nil, "", errors.New("the QR is not a data URL")
	}
	raw, err := base64.StdEncoding.DecodeString(b64)
	if err != nil {
		return nil, "", err
	}
	img, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		return nil, "", err
	}
	text, err := compat.ReadQR(secret.NewSecret(dataURL))
	return img, text.Reveal(), err
}

// drawQR draws the code with half blocks, two rows of modules per line. With color it is black on white, so that a phone
// can scan it from a dark terminal too.
func drawQR(img image.Image, color bool) string {
	dark, size := modules(img)
	before, after := "", ""
	if color {
		before, after = "\x1b[107;30m", "\x1b[0m"
	}
	var b strings.Builder
	for y := -margin; y < size+margin; y += 2 {
		b.WriteString("   " + before)
		for x := -margin; x < size+margin; x++ {
			b.WriteString(halfBlock(dark(x, y), dark(x, y+1)))
		}
		b.WriteString(after + "\n")
	}
	return b.String()
}

// margin is the light border of the code, in modules. Two suffice on a screen.
const margin = 2

func halfBlock(upper, lower bool) string {
	switch {
	case upper && lower:
		return "█"
	case upper:
		return "▀"
	case lower:
		return "▄"
	}
	return " "
}

// modules returns the modules of the code: its first dark pixel starts a finder pattern, whose edge is seven modules.
func modules(img image.Image) (dark func(x, y int) bool, size int) {
	at := func(x, y int) bool {
		r, _, _, _ := img.At(x, y).RGBA()
		return r < 0x8000
	}
	b := img.Bounds()
	left, top := b.Max.X, b.Max.Y
	for y := b.Min.Y; y < b.Max.Y && top == b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			if at(x, y) {
				left, top = x, y
				break
			}
		}
	}
	run := 0
	for left+run < b.Max.X && at(left+run, top) {
		run++
	}
	scale := max(run/7, 1)
	size = (b.Max.X - 2*(left-b.Min.X) - b.Min.X) / scale
	return func(x, y int) bool {
		if x < 0 || y < 0 || x >= size || y >= size {
			return false
		}
		return at(left+x*scale+scale/2, top+y*scale+scale/2)
	}, size
}
