package embedded

import (
	"encoding/base64"
	"fmt"

	"rsc.io/qr"

	"qrgate/internal/secret"
)

// pixels is the width of one module of the image: a code of WhatsApp has about 60, so the image is some
// 500 pixels wide, quiet zone included.
const pixels = 8

// draw renders a code as a data URL of a PNG. The lowest level of error correction is what WhatsApp's own
// page uses: on a screen nothing gets lost, and larger modules are easier to scan.
func draw(code secret.Secret) (secret.Secret, error) {
	c, err := qr.Encode(code.Reveal(), qr.L)
	if err != nil {
		return secret.Secret{}, fmt.Errorf("the code does not fit into a QR")
	}
	c.Scale = pixels
	return secret.NewSecret("data:image/png;base64," + base64.StdEncoding.EncodeToString(c.PNG())), nil
}
