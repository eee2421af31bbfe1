//go:build wasim

package embedded_test

import (
	"strings"
	"testing"

	"qrgate/compat/embedded"
	"qrgate/internal/test/whatsappsim"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
)

// A program that is built with the tag finds the simulator by its environment.
func TestEnvironmentNamesTheSimulator(t *testing.T) {
	t.Setenv("QRGATE_WHATSAPPSIM_ROOT", whatsappsim.RootPublicHex)
	t.Setenv("QRGATE_WHATSAPPSIM_ADDR", whatsappsimtest.Start(t, &whatsappsim.Server{}))
	if err := embedded.Reachable(t.Context(), nil); err != nil {
		t.Error(err)
	}
	if way, err := embedded.SimulatorClient(); way == nil || err != nil || embedded.Reachable(t.Context(), way) != nil {
		t.Errorf("who looks beside the engine goes by %v, %v", way, err)
	}
	r := start(t, embedded.Config{})
	r.connect("first")
	r.code("first")
}

func TestEnvironmentIsChecked(t *testing.T) {
	for name, env := range map[string][2]string{
		"no root":    {"", "127.0.0.1:1"},
		"a bad root": {"abc", "127.0.0.1:1"},
		"no address": {whatsappsim.RootPublicHex, ""},
		"a bad one":  {whatsappsim.RootPublicHex, "127.0.0.1"},
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
