package main

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"qrgate/internal/test/waiting"
)

func TestMain(m *testing.M) {
	waiting.Main(m, goleak.IgnoreAnyFunction("go.mau.fi/whatsmeow/socket.(*FrameSocket).frameComplete"))
}

// output collects what the demo prints, and calls onEnd when the demo waits for its end.
type output struct {
	bytes.Buffer
	onEnd func(text string)
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	n, err := o.Buffer.Write(p)
	if bytes.Contains(p, []byte("Ctrl-C ends the demo")) {
		o.onEnd(o.String())
	}
	return n, err
}

// The scenario passes, from the engine's 500 to a linked phone. The demo then serves its pairing page until its end.
func TestDemo_Scenario(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var errs bytes.Buffer
	out := &output{onEnd: func(text string) {
		defer stop()
		link := regexp.MustCompile(`http://\S+/pair/\S+`).FindString(text)
		res, err := http.Get(link)
		if err != nil {
			t.Error(err)
			return
		}
		if _ = res.Body.Close(); res.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", link, res.Status)
		}
	}}
	if code := run(ctx, []string{"--listen", "127.0.0.1:0"}, out, &errs); code != 0 {
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

// With --once the demo exits with 0 after the scenario, and prints no link that ends with it.
func TestDemo_Once(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	code := run(t.Context(), []string{"--once", "--listen", "127.0.0.1:0"}, &out, &errs)
	if code != 0 || !strings.Contains(out.String(), "Done:") || strings.Contains(out.String(), "/pair/") {
		t.Errorf("exit %d: %s\n%s", code, errs.String(), out.String())
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
