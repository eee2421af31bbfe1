//go:build !whatsappsim

package embedded

import (
	"testing"

	"go.mau.fi/whatsmeow"
)

func TestWithoutSimulatorTag_EnvironmentHasNoEffect(t *testing.T) {
	before := whatsmeow.WACertPubKey
	t.Setenv("QRGATE_WHATSAPPSIM_ROOT", "00000000000000000000000000000000000000000000000000000000000000ff")
	t.Setenv("QRGATE_WHATSAPPSIM_ADDR", "127.0.0.1:1")
	if c, err := SimulatorClient(); c != nil || err != nil {
		t.Errorf("%v, %v", c, err)
	}
	if whatsmeow.WACertPubKey != before {
		t.Error("the root has changed")
	}
}
