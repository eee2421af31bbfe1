package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"), goleak.IgnoreTopFunction("net/http.(*persistConn).readLoop"))
}

// settingsFor are the settings that say where the committed files are, from here.
func settingsFor(t *testing.T) settings {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return settings{Rules: filepath.Join(root, "dashboards/prometheus/qrgate.rules.yml"), Routes: filepath.Join(root, "dashboards/alertmanager/alertmanager.yml")}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// cue calls once when a text is printed.
type cue struct {
	bytes.Buffer
	text string
	call func()
}

func (c *cue) Write(b []byte) (int, error) {
	if strings.Contains(string(b), c.text) {
		c.call()
	}
	return c.Buffer.Write(b)
}

// An interrupted drill prints its checks so far, and stops its programs.
func TestDrill_Interrupted(t *testing.T) {
	needPrograms(t)
	s := settingsFor(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out := &cue{text: "3  the engine is stopped", call: stop}
	code := run(ctx, []string{"--short", "--users", "0", "--rules", s.Rules, "--routes", s.Routes}, out, io.Discard)
	if want := " Checks so far\n   ✓ one failed probe pages no one: none\n"; code != exitUntried || !strings.HasSuffix(out.String(), want) {
		t.Errorf("exit %d:\n%s", code, out.String())
	}
}

func needPrograms(t *testing.T) {
	t.Helper()
	if _, err := installed(); err != nil {
		if os.Getenv("QRGATE_REQUIRE_ALL") == "1" {
			t.Fatalf("%v; QRGATE_REQUIRE_ALL=1 asks for every test", err)
		}
		t.Skip(err)
	}
}

// The whole drill, ten times faster: one failed probe pages no one; a stopped engine is paged in time, by its cause and
// not by its symptoms; the end is sent too.
func TestDrill(t *testing.T) {
	needPrograms(t)
	s := settingsFor(t)
	var out, complaints bytes.Buffer
	code := run(t.Context(), []string{"--short", "--rules", s.Rules, "--routes", s.Routes}, io.MultiWriter(&out, t.Output()), &complaints)
	if code != exitOK {
		t.Errorf("the drill ends with %d: %s", code, complaints.String())
	}
	for _, want := range []string{"PAGE       QRGateEngineDown", "silenced   QRGateProbeNotSucceeding create_connect_qr  by QRGateEngineDown", "PAGE       resolved: QRGateEngineDown"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the timeline does not say %q", want)
		}
	}
}
