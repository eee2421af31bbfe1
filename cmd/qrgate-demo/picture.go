package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"image"
	"image/png"
	"strings"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
)

// readQR decodes a data URL as a phone's camera would: picture first, then the code's text.
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
	bitmap, err := gozxing.NewBinaryBitmapFromImage(img)
	if err != nil {
		return nil, "", err
	}
	result, err := qrcode.NewQRCodeReader().Decode(bitmap, map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_PURE_BARCODE: true})
	if err != nil {
		return nil, "", errors.New("the picture is no readable QR")
	}
	return img, result.GetText(), nil
}

// draw makes a picture's modules into half blocks, two rows a line, dark on light whatever the terminal's
// colours are.
func draw(img image.Image) string {
	dark, size := modules(img)
	var b strings.Builder
	for y := -quiet; y < size+quiet; y += 2 {
		b.WriteString("   \x1b[107;30m")
		for x := -quiet; x < size+quiet; x++ {
			b.WriteString(block(dark(x, y), dark(x, y+1)))
		}
		b.WriteString("\x1b[0m\n")
	}
	return b.String()
}

// quiet is the light margin that readers need, in modules; two are enough on a screen.
const quiet = 2

func block(upper, lower bool) string {
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

// modules finds the code's grid: its first dark pixel begins a finder pattern, whose edge is seven modules.
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
