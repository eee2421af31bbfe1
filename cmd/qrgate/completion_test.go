package main

import (
	"os/exec"
	"strings"
	"testing"

	"qrgate/internal/test/program"
)

func TestCompletion_ScriptsNameCommandsAndFlags(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish"} {
		code, out, errs := runCLI(t, nil, "completion", shell)
		for _, want := range []string{"pair", "create", "doctor", "qr-timeout", "target"} {
			if code != exitOK || !strings.Contains(out, want) {
				t.Errorf("%s: exit %d, the script lacks %s: %s%s", shell, code, want, out, errs)
			}
		}
	}
	if code, _, _ := runCLI(t, nil, "completion", "tcsh"); code != exitUsage {
		t.Errorf("an unknown shell: exit %d", code)
	}
}

// Bash itself completes commands, and the flags of a command.
func TestCompletion_WorksInBash(t *testing.T) {
	t.Parallel()
	bash := program.Find(t, "bash", "bash")
	_, script, _ := runCLI(t, nil, "completion", "bash")
	for typed, want := range map[string]string{"qrgate pa": "pair", "qrgate pair --cr": "--create", "qrgate pair --co": "--code", "qrgate pair --listen": "", "qrgate --redis-u": "--redis-url"} {
		words := strings.Fields(typed)
		test := script + "COMP_WORDS=(" + typed + "); COMP_CWORD=" + string(rune('0'+len(words)-1)) + "; _qrgate; echo \"${COMPREPLY[*]}\""
		out, err := exec.CommandContext(t.Context(), bash, "-c", test).CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", typed, got, err, want)
		}
	}
}
