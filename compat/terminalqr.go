package compat

import (
	"io"
	"os"
	"strings"

	"rsc.io/qr"

	"qrgate/internal/secret"
)

// terminalBorder is the light border around a code, in modules. Two suffice on a screen.
const terminalBorder = 2

// IsTerminal reports whether out is a terminal, which may show colors.
func IsTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// DrawQR draws a code's text with half blocks, two rows of modules per line. With color it is black on white, so that a
// phone can scan it from a dark terminal too.
func DrawQR(text secret.Secret, color bool) (string, error) {
	code, err := qr.Encode(text.Reveal(), qr.L)
	if err != nil {
		return "", NotQRError("a text that is no WhatsApp code")
	}
	before, after := "", ""
	if color {
		before, after = "\x1b[107;30m", "\x1b[0m"
	}
	blocks := map[[2]bool]string{{true, true}: "█", {true, false}: "▀", {false, true}: "▄", {false, false}: " "}
	var b strings.Builder
	for y := -terminalBorder; y < code.Size+terminalBorder; y += 2 {
		b.WriteString("   " + before)
		for x := -terminalBorder; x < code.Size+terminalBorder; x++ {
			b.WriteString(blocks[[2]bool{code.Black(x, y), code.Black(x, y+1)}])
		}
		b.WriteString(after + "\n")
	}
	return b.String(), nil
}
