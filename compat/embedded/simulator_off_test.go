//go:build !whatsappsim

package embedded

import (
	"net/http"
	"testing"

	"go.mau.fi/whatsmeow"
)

func TestWithoutSimulatorTag_EnvironmentHasNoEffect(t *testing.T) {
	before := whatsmeow.WACertPubKey
	t.Setenv("QRGATE_WHATSAPPSIM_ROOT", "00000000000000000000000000000000000000000000000000000000000000ff")
	t.Setenv("QRGATE_WHATSAPPSIM_ADDR", "127.0.0.1:1")
	c, err := whatsAppClient(nil)
	if err != nil {
		t.Fatal(err)
	}
	if whatsmeow.WACertPubKey != before {
		t.Error("the root has changed")
	}
	if tr, ok := c.Transport.(*http.Transport); !ok || tr.DialTLSContext != nil || tr.ResponseHeaderTimeout != dialTimeout {
		t.Errorf("%+v", c.Transport)
	}
}
