//go:build whatsappsim

package embedded_test

import (
	"strings"
	"testing"

	"qrgate/compat/embedded"
	"qrgate/internal/test/whatsappsim"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
)

func TestSimulator_EnvironmentSetsClient(t *testing.T) {
	t.Setenv("QRGATE_WHATSAPPSIM_ROOT", whatsappsim.RootPublicHex)
	t.Setenv("QRGATE_WHATSAPPSIM_ADDR", whatsappsimtest.Start(t, &whatsappsim.Server{}))
	if err := embedded.Reachable(t.Context(), nil); err != nil {
		t.Error(err)
	}
	if c, err := embedded.SimulatorClient(); c == nil || err != nil || embedded.Reachable(t.Context(), c) != nil {
		t.Errorf("SimulatorClient: %v, %v", c, err)
	}
	r := start(t, embedded.Config{})
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
			_, err := embedded.New(embedded.Config{DataDir: t.TempDir(), Keys: keys(t, "a:"+keyA)})
			if err == nil || !strings.Contains(err.Error(), "QRGATE_WHATSAPPSIM_") {
				t.Errorf("%v", err)
			}
		})
	}
}
