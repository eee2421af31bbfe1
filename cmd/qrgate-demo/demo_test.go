package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"qrgate/internal/test/waiting"
)

func TestMain(m *testing.M) {
	waiting.Main(m, goleak.IgnoreAnyFunction("go.mau.fi/whatsmeow/socket.(*FrameSocket).frameComplete"))
}

// The scenario passes, from the engine's 500 to a linked phone, and exits with 0.
func TestDemo_Scenario(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"--once", "--listen", "127.0.0.1:0"}, &out, &errs); code != 0 {
		t.Fatalf("exit %d: %s\n%s", code, errs.String(), out.String())
	}
	for _, want := range []string{"500  QR_GENERATION_ERROR", "200  qr_code, scannable for", "▀▀▀▀▀", "200  connected", "Done:", "/status\n", "/pair/"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("the output contains ANSI codes, but it is no terminal")
	}
}

// The scenario passes with each engine of another API: its own client gets the QR at its first request.
func TestDemo_Kinds(t *testing.T) {
	for kind := range nativeCalls {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			var out, errs bytes.Buffer
			code := run(t.Context(), []string{"--once", "--listen", "127.0.0.1:0", "--kind", kind, "--delay", "200ms"}, &out, &errs)
			if code != 0 || !strings.Contains(out.String(), "Done:") || !strings.Contains(out.String(), "▀▀▀▀▀") {
				t.Errorf("exit %d: %s\n%s", code, errs.String(), out.String())
			}
		})
	}
}

// Without a delay the engine returns a QR instead of the expected 500, so the demo exits with 1.
func TestDemo_FailedStepFails(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"--once", "--listen", "127.0.0.1:0", "--delay", "0s"}, &out, &errs); code != 1 {
		t.Errorf("exit %d, want 1", code)
	}
	if !strings.Contains(errs.String(), "expected 500") {
		t.Errorf("the reason is %q", errs.String())
	}
}

// Colors are for terminals, and NO_COLOR turns them off there too; /dev/null stands for a terminal.
func TestUseColor(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	t.Setenv("NO_COLOR", "")
	if !useColor(null) || useColor(file) || useColor(&bytes.Buffer{}) {
		t.Error("colors are for terminals only")
	}
	t.Setenv("NO_COLOR", "1")
	if useColor(null) {
		t.Error("NO_COLOR is ignored")
	}
}

func TestUsage(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"--help"}, &out, &errs); code != 0 || !strings.Contains(out.String(), "--once") {
		t.Errorf("exit %d: %s", code, out.String())
	}
	out.Reset()
	if code := run(t.Context(), []string{"--version"}, &out, &errs); code != 0 || out.String() != version+"\n" {
		t.Errorf("--version: exit %d, %q", code, out.String())
	}
	for _, args := range [][]string{{"--nonsense"}, {"--delay", "soon"}} {
		if code := run(t.Context(), args, &out, &errs); code == 0 {
			t.Errorf("%v is accepted", args)
		}
	}
}
