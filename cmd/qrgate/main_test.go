package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"qrgate/internal/test/logtest"
	"qrgate/internal/test/waiting"
)

var update = flag.Bool("update", false, "rewrite testdata")

func TestMain(m *testing.M) {
	if os.Getenv(runAsCommand) != "" {
		main()
	}
	// whatsmeow: a frame that arrives while a client disconnects leaks its reader (see whatsappsimtest).
	waiting.Main(m, goleak.IgnoreAnyFunction("go.mau.fi/whatsmeow/socket.(*FrameSocket).frameComplete"))
}

// runCLI runs the command with the given variables and arguments.
func runCLI(t *testing.T, env []string, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), cli{args: args, env: env, out: &o, err: &e})
	return code, o.String(), e.String()
}

// The help is the reference of all settings.
func TestHelp_MatchesGoldenFile(t *testing.T) {
	code, out, _ := runCLI(t, nil, "--help")
	if *update {
		if err := os.WriteFile("testdata/help.txt", []byte(out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/help.txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out); code != 0 || diff != "" {
		t.Errorf("exit %d; if this is intended, run go test ./cmd/qrgate -update (-want +got):\n%s", code, diff)
	}
}

func TestHelp_AcceptedAsCommand(t *testing.T) {
	t.Parallel()
	for typed, same := range map[string][]string{"help": {"--help"}, "help doctor": {"doctor", "--help"}} {
		_, want, _ := runCLI(t, nil, same...)
		if code, got, errs := runCLI(t, nil, strings.Fields(typed)...); code != exitOK || got != want || errs != "" {
			t.Errorf("qrgate %s: exit %d %s%s", typed, code, got, errs)
		}
	}
}

// The error names the variable and does not contain its secret.
func TestServe_WrongSettingStopsStart(t *testing.T) {
	for name, c := range map[string]struct {
		env  []string
		want string
	}{
		"a misspelt name":           {[]string{"QRGATE_LISTN=:1"}, "unknown setting QRGATE_LISTN (did you mean QRGATE_LISTEN?); see qrgate --help"},
		"another program's name":    {[]string{"QRGATE_PORT=8080"}, "unknown setting QRGATE_PORT (did you mean QRGATE_LISTEN?)"},
		"nothing similar":           {[]string{"QRGATE_FROBNICATE=1"}, "unknown setting QRGATE_FROBNICATE; see qrgate --help"},
		"an unknown file":           {[]string{"QRGATE_LISTN_FILE=/x"}, "unknown setting QRGATE_LISTN_FILE"},
		"a value in quotes":         {[]string{`QRGATE_ENGINE_URL="http://engine:8084"`}, "QRGATE_ENGINE_URL is in quotes, which docker --env-file passes on: remove them"},
		"blanks around a value":     {[]string{"QRGATE_ENGINE_URL= http://u:canary@engine:8084 \n"}, "QRGATE_ENGINE_URL must have no user"},
		"an empty engine URL":       {[]string{"QRGATE_ENGINE_URL="}, "QRGATE_ENGINE_URL is empty: set it to the engine's address, or unset it"},
		"a missing file":            {[]string{"QRGATE_SECRET_FILE=/nowhere/secret"}, "QRGATE_SECRET_FILE: cannot read its value"},
		"a value and a file":        {[]string{"QRGATE_SECRET=canary", "QRGATE_SECRET_FILE=/nowhere"}, "QRGATE_SECRET and QRGATE_SECRET_FILE are both set"},
		"a short probe key":         {[]string{"QRGATE_PROBE_API_KEY=canary"}, "QRGATE_PROBE_API_KEY must have at least"},
		"a data directory of root":  {[]string{"QRGATE_LISTEN=127.0.0.1:0", "QRGATE_ADMIN_LISTEN=off", "QRGATE_DATA_DIR=/proc/nowhere"}, "set it to a directory that qrgate alone may write"},
		"no URL":                    {[]string{"QRGATE_ENGINE_URL=engine"}, "QRGATE_ENGINE_URL must be like"},
		"a URL with a key":          {[]string{"QRGATE_ENGINE_URL=http://u:canary@engine"}, "QRGATE_ENGINE_URL must have no user"},
		"a URL that ends in /api":   {[]string{"QRGATE_ENGINE_URL=http://engine/api/"}, "QRGATE_ENGINE_URL must end before /api"},
		"a URL of a route":          {[]string{"QRGATE_ENGINE_URL=http://engine/api/sessions"}, "QRGATE_ENGINE_URL must end before /api"},
		"a URL with a wrong port":   {[]string{"QRGATE_ENGINE_URL=http://engine:80844"}, "QRGATE_ENGINE_URL must have a port from 1 to 65535"},
		"a URL as a host name":      {[]string{"QRGATE_ADMIN_HOSTS=http://qrgate.internal"}, "QRGATE_ADMIN_HOSTS must be names without scheme"},
		"qrgate as its own engine":  {[]string{"QRGATE_ENGINE_URL=http://localhost:8080"}, "QRGATE_ENGINE_URL is the address that qrgate itself listens on"},
		"not a duration":            {[]string{"QRGATE_QR_WAIT=soon"}, "write it as 4.5s or 5m"},
		"too long a wait":           {[]string{"QRGATE_QR_WAIT_INITIAL=5m"}, "QRGATE_QR_WAIT_INITIAL must be between"},
		"not a network":             {[]string{"QRGATE_TRUSTED_PROXIES=10.0.0.0/99"}, "QRGATE_TRUSTED_PROXIES"},
		"Redis without a secret":    {[]string{"QRGATE_REDIS_URL=redis://:canary@127.0.0.1:1"}, "QRGATE_SECRET must be set"},
		"not a Redis URL":           {[]string{"QRGATE_LISTEN=127.0.0.1:0", "QRGATE_ADMIN_LISTEN=127.0.0.1:0", "QRGATE_ENGINE_URL=http://127.0.0.1:1", "QRGATE_SECRET=0123456789abcdef", "QRGATE_REDIS_URL=canary"}, "QRGATE_REDIS_URL"},
		"a short secret":            {[]string{"QRGATE_LISTEN=127.0.0.1:0", "QRGATE_ADMIN_LISTEN=127.0.0.1:0", "QRGATE_ENGINE_URL=http://127.0.0.1:1", "QRGATE_SECRET=canary"}, "QRGATE_SECRET"},
		"a key without a name":      {[]string{"QRGATE_API_KEYS=canary-canary-canary"}, "QRGATE_API_KEYS"},
		"unknown log level":         {[]string{"QRGATE_LOG_LEVEL=loud"}, "QRGATE_LOG_LEVEL"},
		"not an address":            {[]string{"QRGATE_ENGINE_URL=http://127.0.0.1:1", "QRGATE_LISTEN=nowhere"}, "set it to a free address, as :8080"},
		"not an operators' address": {[]string{"QRGATE_ENGINE_URL=http://127.0.0.1:1", "QRGATE_LISTEN=127.0.0.1:0", "QRGATE_ADMIN_LISTEN=nowhere"}, "QRGATE_ADMIN_LISTEN"},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"--data-dir", t.TempDir()}
			if strings.Contains(strings.Join(c.env, " "), "QRGATE_DATA_DIR") {
				args = nil
			}
			code, out, errs := runCLI(t, c.env, args...)
			if code != exitUsage || !strings.Contains(errs, c.want) {
				t.Errorf("exit %d: %s", code, errs)
			}
			if strings.Contains(out+errs, "canary") {
				t.Errorf("a secret is printed: %s%s", out, errs)
			}
		})
	}
}

func TestVersion(t *testing.T) {
	for _, how := range []string{"version", "--version"} {
		if code, out, _ := runCLI(t, nil, how); code != 0 || out != "qrgate "+version+"\n" {
			t.Errorf("%s: exit %d: %q", how, code, out)
		}
	}
}

// A flag of another command would have no effect.
func TestCommand_RefusesFlagsOfOthers(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"doctor --listen :1", "probe --redis-url redis://x", "version --pprof", "pair x --engine-url http://x", "--listen :1 doctor"} {
		if code, _, errs := runCLI(t, nil, strings.Fields(line)...); code != exitUsage || !strings.Contains(errs, " does not use --") {
			t.Errorf("%s: exit %d, %s", line, code, errs)
		}
	}
	if code, _, errs := runCLI(t, []string{"QRGATE_LISTEN=:1"}, "version"); code != exitOK {
		t.Errorf("a variable of another command: exit %d, %s", code, errs)
	}
}

func TestHelp_CommandShowsOnlyItsFlags(t *testing.T) {
	if _, out, _ := runCLI(t, nil, "version", "--help"); strings.Count(out, "\n  ") > 2 {
		t.Errorf("version has flags of others:\n%s", out)
	}
	for command, own := range map[string]string{"probe": "--target=URL", "doctor": "--engine-url=URL"} {
		code, out, _ := runCLI(t, nil, command, "--help")
		for flag, want := range map[string]bool{own: true, "--data-dir": true, "--engine-kind=": command == "doctor", "--api-key=": true, "--listen=": false, "--redis-url=": false} {
			if got := strings.Contains(out, flag); code != exitOK || got != want {
				t.Errorf("%s: exit %d, help has %s: %t, want %t:\n%s", command, code, flag, got, want, out)
			}
		}
	}
}

// With only addresses set, qrgate starts the embedded engine, prints its key once, and stops when its context ends.
func TestServe_WithoutSettings(t *testing.T) {
	admin := freePort(t)
	ctx, stop := context.WithCancel(t.Context())
	var out bytes.Buffer
	logs := &logtest.Buffer{}
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, cli{args: []string{"--listen", "127.0.0.1:0", "--admin-listen", admin, "--data-dir", t.TempDir()}, out: &out, err: logs})
	}()
	var ready struct{ Status, Engine, Store string }
	for end := time.Now().Add(20 * time.Second); ready.Status == "" && time.Now().Before(end); <-time.After(20 * time.Millisecond) {
		if res, err := http.Get("http://" + admin + "/readyz"); err == nil {
			_ = json.NewDecoder(res.Body).Decode(&ready)
			_ = res.Body.Close()
		}
	}
	// It is degraded where the test has no network.
	if ready.Status != "ok" && ready.Status != "degraded" || ready.Engine != "embedded" || ready.Store != "memory" {
		t.Errorf("/readyz returned %+v", ready)
	}
	http.DefaultClient.CloseIdleConnections()
	stop()
	if code := <-done; code != exitOK {
		t.Errorf("exit %d: %s", code, logs.String())
	}
	if !strings.Contains(out.String(), "X-API-Key: ") {
		t.Errorf("no key was printed: %q", out.String())
	}
	key := strings.TrimSpace(out.String()[strings.Index(out.String(), "X-API-Key: ")+11:])
	if strings.Contains(logs.String(), key) {
		t.Error("the key is in the log")
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Nothing in a value begins a second record.
func TestLog_OneLineForEachRecord(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		const forged = "x\r\nlevel=ERROR msg=forged\n{\"msg\":\"forged\"}\x1b[2K\u2028\x00"
		newLogger(format, slog.LevelInfo, &out).Info("request", "path", forged, forged, errors.New(forged))
		if text := out.String(); strings.Count(text, "\n") != 1 || strings.ContainsAny(text, "\r\x1b\x00") {
			t.Errorf("%s: %q", format, text)
		}
	}
}
