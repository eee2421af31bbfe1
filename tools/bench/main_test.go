package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// asFront is the variable by which a test's own binary is started again as a front.
const asFront = "TEST_AS_FRONT"

func TestMain(m *testing.M) {
	if os.Getenv(asFront) != "" {
		os.Exit(run(context.Background(), world{args: os.Args[1:], env: os.Environ(), in: os.Stdin, out: os.Stdout, err: os.Stderr}))
	}
	goleak.VerifyTestMain(m)
}

// bench runs the program and returns its exit code, its results and what it said meanwhile.
func runBench(t *testing.T, args ...string) (code int, out, said string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var o, e bytes.Buffer
	code = run(t.Context(), world{args: args, env: append(os.Environ(), asFront+"=1"), in: strings.NewReader(""), out: &o, err: &e, self: self})
	return code, o.String(), e.String()
}

// row finds the line of a table that begins with a name, and cuts it into its cells.
func row(t *testing.T, out, name string) []string {
	t.Helper()
	for line := range strings.Lines(out) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), name+"  "); ok {
			var cells []string
			for cell := range strings.SplitSeq(rest, "  ") {
				if cell = strings.TrimSpace(cell); cell != "" {
					cells = append(cells, cell)
				}
			}
			return cells
		}
	}
	t.Fatalf("there is no row %q in:\n%s", name, out)
	return nil
}

func TestPassThrough(t *testing.T) {
	t.Parallel()
	code, out, said := runBench(t, "--caddy", "none", "pass-through", "--rounds", "2", "--turn", "60ms", "--conns", "2")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, said)
	}
	names := []string{nameBare, nameFront, nameMetered, nameTraced}
	for program, name := range map[string]string{"nginx": nameNginx, "haproxy": nameHAProxy} {
		if _, ok := installed(program); ok {
			names = append(names, name, nameTraced+" / "+name)
		}
	}
	for _, name := range append(names, nameFront+" / "+nameBare) {
		if cells := row(t, out, name); len(cells) < 2 || strings.HasPrefix(cells[0], "0") && !strings.HasPrefix(cells[0], "0.") {
			t.Errorf("%s measured nothing: %v", name, cells)
		}
	}
	if cells := row(t, out, nameTraced+" / "+nameBare); !strings.HasPrefix(cells[len(cells)-1], "target ≥ 0.95: ") {
		t.Errorf("the target is not judged: %v", cells)
	}
	if strings.Contains(out, "sent 0 batches") {
		t.Error("the traced qrgate did not trace")
	}
}

func TestWarm(t *testing.T) {
	t.Parallel()
	code, out, said := runBench(t, "warm", "--rounds", "2", "--turn", "60ms", "--conns", "2")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, said)
	}
	for _, name := range []string{nameWarm, nameGin, nameWarm + " / " + nameGin} {
		row(t, out, name)
	}
	if !strings.Contains(out, "allocations per request") {
		t.Errorf("no allocations:\n%s", out)
	}
}

// qrgate turns every first request into a QR, and ten clients cost the engine what one costs.
func TestTimeToQR(t *testing.T) {
	t.Parallel()
	code, out, said := runBench(t, "time-to-qr", "--sessions", "4", "--rate", "100", "--tenants", "2", "--fan", "3",
		"--median", "300ms", "--p-95", "500ms", "--pause", "400ms")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, said)
	}
	if cells := row(t, out, "through qrgate"); cells[1] != "100.0 %" || cells[2] != "100.0 %" || cells[3] != "0" {
		t.Errorf("through qrgate: %v", cells)
	}
	if cells := row(t, out, "direct, 3 requests"); cells[0] != "4 × 1" || cells[2] == "0.0 %" {
		t.Errorf("the existing client, directly: %v", cells)
	}
}

func TestWaiters(t *testing.T) {
	t.Parallel()
	page := filepath.Join(t.TempDir(), "page.md")
	before := "before\n<!-- bench waiters -->\nold\n<!-- end -->\nafter\n"
	if err := os.WriteFile(page, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, said := runBench(t, "--write", page, "waiters", "--held", "60", "--sessions", "3", "--rounds", "2", "--turn", "50ms",
		"--wakings", "2")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, said)
	}
	if cells := row(t, out, "still waiting at the end"); cells[0] != "60" {
		t.Errorf("still held: %v", cells)
	}
	row(t, out, "memory per waiting request")
	row(t, out, "full / empty")
	row(t, out, "last waiter of a session after the first, all codes at once")
	text, err := os.ReadFile(page)
	isWritten := strings.Contains(string(text), "\n| still waiting at the end | 60 |") && !strings.Contains(string(text), "old\n")
	if err != nil || !isWritten || !strings.HasPrefix(string(text), "before\n") || !strings.HasSuffix(string(text), "<!-- end -->\nafter\n") {
		t.Errorf("the page is %q, %v", text, err)
	}
}

func TestStore(t *testing.T) {
	t.Parallel()
	code, out, said := runBench(t, "store", "--sessions", "4", "--rounds", "2", "--turn", "50ms", "--conns", "2")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, said)
	}
	row(t, out, "memory")
	if _, ok := installed("redis-server"); ok {
		row(t, out, "Redis / memory")
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"help":      {[]string{"--help"}, 0, "time-to-qr"},
		"unknown":   {[]string{"speed"}, 2, "speed"},
		"too long":  {[]string{"waiters", "--turn", "1m"}, 1, "40 s is all there is"},
		"bounded":   {[]string{"--within", "1ms", "time-to-qr"}, 1, errLate.Error()},
		"all":       {[]string{"--caddy", "none", "--within", "1ms"}, 1, "warm failed"},
		"no engine": {[]string{"front", "gate"}, 1, "--engine"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out, said := runBench(t, c.args...)
			if code != c.code || !strings.Contains(out+said, c.says) {
				t.Errorf("exit %d, want %d; it should say %q:\n%s%s", code, c.code, c.says, out, said)
			}
		})
	}
}
