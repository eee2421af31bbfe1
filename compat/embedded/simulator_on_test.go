//go:build whatsappsim

package embedded_test

import (
	"strings"
	"testing"

	"qrgate/compat/embedded"
	"qrgate/internal/diagnosis"
	"qrgate/internal/test/whatsappsim"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
)

func TestSimulator_EnvironmentSetsClient(t *testing.T) {
	t.Setenv("QRGATE_WHATSAPPSIM_ROOT", whatsappsim.RootPublicHex)
	t.Setenv("QRGATE_WHATSAPPSIM_ADDR", whatsappsimtest.Start(t, &whatsappsim.Server{}))
	c, err := embedded.SimulatorClient()
	if c == nil || err != nil {
		t.Fatalf("SimulatorClient: %v, %v", c, err)
	}
	if code, text := embedded.Handshake(t.Context(), c); code != diagnosis.None {
		t.Fatal(text)
	}
	r := start(t, embedded.Config{HTTPClient: c})
	r.connect("first")
	r.code("first")
}

func TestSimulator_InvalidEnvironmentIsRefused(t *testing.T) {
	for name, env := range map[string][2]string{
		"no root":         {"", "127.0.0.1:1"},
		"invalid root":    {"abc", "127.0.0.1:1"},
		"no address":      {whatsappsim.RootPublicHex, ""},
		"invalid address": {whatsappsim.RootPublicHex, "127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("QRGATE_WHATSAPPSIM_ROOT", env[0])
			t.Setenv("QRGATE_WHATSAPPSIM_ADDR", env[1])
			_, err := embedded.SimulatorClient()
			if err == nil || !strings.Contains(err.Error(), "QRGATE_WHATSAPPSIM_") {
				t.Errorf("%v", err)
			}
		})
	}
}
