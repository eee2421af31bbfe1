package main

import (
	"bytes"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("go.mau.fi/whatsmeow/socket.(*FrameSocket).frameComplete"))
}

// The rehearsal goes as it should, from the engine's 500 to a linked phone, and ends with 0.
func TestDemo_Scenario(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"--once", "--listen", "127.0.0.1:0"}, &out, &errs); code != 0 {
		t.Fatalf("exit %d: %s\n%s", code, errs.String(), out.String())
	}
	for _, want := range []string{"500  QR_GENERATION_ERROR", "200  qr_code, scannable for", "▀▀▀▀▀", "200  connected", "Done:"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the timeline lacks %q:\n%s", want, out.String())
		}
	}
}

// An engine that does not misbehave spoils the play, and the exit code says so.
func TestDemo_FailedStepFails(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"--once", "--listen", "127.0.0.1:0", "--delay", "0s"}, &out, &errs); code != 1 {
		t.Errorf("exit %d, want 1", code)
	}
	if !strings.Contains(errs.String(), "should have answered 500") {
		t.Errorf("the reason is %q", errs.String())
	}
}

func TestUsage(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"--help"}, &out, &errs); code != 0 || !strings.Contains(out.String(), "--once") {
		t.Errorf("exit %d: %s", code, out.String())
	}
	for _, args := range [][]string{{"--nonsense"}, {"--delay", "soon"}} {
		if code := run(t.Context(), args, &out, &errs); code == 0 {
			t.Errorf("%v is accepted", args)
		}
	}
}
