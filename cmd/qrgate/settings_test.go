package main

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"qrgate/internal/test/logtest"
)

// readSettings parses a command line and variables.
func readSettings(t *testing.T, env []string, args ...string) settings {
	t.Helper()
	var out bytes.Buffer
	s, _, err := cli{args: args, env: env, out: &out, err: &out}.readSettings()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSettings_ValuesFromFiles(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "value")
	if err := os.WriteFile(file, []byte("the value in the file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, get := range map[string]func(settings) string{
		"QRGATE_SECRET": func(s settings) string { return s.Secret }, "QRGATE_PROBE_API_KEY": func(s settings) string { return s.ProbeAPIKey },
		"QRGATE_REDIS_URL": func(s settings) string { return s.RedisURL }, "QRGATE_DATABASE_URL": func(s settings) string { return s.DatabaseURL },
	} {
		c := cli{env: environment{name + "_FILE=" + file}, out: &bytes.Buffer{}, err: &bytes.Buffer{}}
		var cmds commands
		parser, err := c.parser(&cmds, func(int) {})
		if err == nil {
			_, err = parser.Parse(nil)
		}
		if got := get(cmds.settings); err != nil || got != "the value in the file" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestSettings_PortAlone(t *testing.T) {
	t.Parallel()
	cfg, err := readSettings(t, []string{"QRGATE_LISTEN=9000", "QRGATE_ADMIN_LISTEN=9001"}).config()
	if err != nil || cfg.Listen != ":9000" || cfg.AdminListen != "127.0.0.1:9001" {
		t.Errorf("%q %q, %v", cfg.Listen, cfg.AdminListen, err)
	}
}

func TestSettings_WithoutEffectAreNamed(t *testing.T) {
	t.Parallel()
	var cmds commands
	parser, err := cli{out: &bytes.Buffer{}, err: &bytes.Buffer{}}.parser(&cmds, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	known := variables(parser.Model.Node)
	const engine = "QRGATE_ENGINE_URL=http://127.0.0.1:1"
	for env, want := range map[string]string{
		engine: "",
		engine + " QRGATE_API_KEYS=a:long-enough-key-0123456789": "QRGATE_API_KEYS has no effect: QRGATE_ENGINE_URL is set",
		engine + " QRGATE_DATABASE_URL=postgres://x":             "QRGATE_DATABASE_URL has no effect",
		engine + " QRGATE_MAX_SESSIONS=5":                        "QRGATE_MAX_SESSIONS has no effect",
		engine + " QRGATE_MAX_DIALS=5":                           "QRGATE_MAX_DIALS has no effect",
		engine + " QRGATE_MAX_LOGINS=5":                          "QRGATE_MAX_LOGINS has no effect",
		engine + " QRGATE_DEVICE_NAME=shop":                      "QRGATE_DEVICE_NAME has no effect",
		"QRGATE_REDIS_PASSWORD=x":                                "QRGATE_REDIS_PASSWORD has no effect: QRGATE_REDIS_URL is not set",
		"QRGATE_REDIS_CA=x":                                      "QRGATE_REDIS_CA has no effect",
		"QRGATE_ADMIN_LISTEN=off QRGATE_PPROF=true":              "QRGATE_PPROF has no effect: QRGATE_ADMIN_LISTEN is off",
		"QRGATE_ADMIN_LISTEN=off QRGATE_ADMIN_HOSTS=x":           "QRGATE_ADMIN_HOSTS has no effect",
		"QRGATE_PROBE_INTERVAL=60s":                              "QRGATE_PROBE_INTERVAL has no effect: QRGATE_PROBE_API_KEY is not set",
		"ENGINE_URL=http://engine":                               "ENGINE_URL has no effect: the setting is QRGATE_ENGINE_URL",
		"ENGINE_URL=http://engine " + engine:                     "",
		"QRGATE_API_KEYS=a:long-enough-key-0123456789":           "",
	} {
		list := strings.Fields(env)
		got := environment(list).warnings(readSettings(t, list), known)
		if want == "" && len(got) > 0 || want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], want)) {
			t.Errorf("%s: %q, want %q", env, got, want)
		}
	}
	if !slices.Contains(known, "QRGATE_SECRET") {
		t.Error("the settings are not known")
	}
}

func TestIsOwnContainer(t *testing.T) {
	t.Parallel()
	container, machine := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(container, ".dockerenv"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for engine, want := range map[string]bool{
		"http://localhost:8084": true, "http://127.0.0.1:8084": true, "http://[::1]:8084": true, "http://0.0.0.0:8084": true,
		"http://engine:8084": false, "http://10.0.0.2:8084": false, "http://host.docker.internal:8084": false,
	} {
		u, _ := url.Parse(engine)
		if isOwnContainer(u, container) != want || isOwnContainer(u, machine) {
			t.Errorf("%s: in a container %t, on a machine %t", engine, !want, isOwnContainer(u, machine))
		}
	}
	if isOwnContainer(nil, container) {
		t.Error("no engine")
	}
}

// SIGHUP reads the files of keys, level and proxies again, keeps everything if one of them is wrong, and never stops the
// process. The start warns of a data directory that other users can read.
func TestServe_HangupReloadsFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(data, 0o777); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const old, young = "the-old-key-0123456789abcdef", "the-new-key-0123456789abcdef"
	listen, hangups, logs := freePort(t), make(chan os.Signal), &logtest.Buffer{}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, cli{out: &bytes.Buffer{}, err: logs, hangups: hangups, env: environment{
			"QRGATE_LISTEN=" + listen, "QRGATE_ADMIN_LISTEN=off", "QRGATE_DATA_DIR=" + data, "QRGATE_API_KEYS_FILE=" + write("keys", "shop:"+old),
			"QRGATE_LOG_LEVEL_FILE=" + write("level", "info"), "QRGATE_TRUSTED_PROXIES_FILE=" + write("proxies", "10.0.0.0/8"),
		}})
	}()
	get := func(path, key string) int {
		req, _ := http.NewRequest(http.MethodGet, "http://"+listen+path, nil)
		req.Header.Set("X-API-Key", key)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0
		}
		defer res.Body.Close()
		return res.StatusCode
	}
	status := func(key string) int { return get("/api/sessions", key) }
	until := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); !ok(); <-time.After(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: %s", what, logs)
			}
		}
	}
	until("the start", func() bool { return status(old) == http.StatusOK })
	if got := status(young); got != http.StatusUnauthorized {
		t.Errorf("the new key gets %d before the reload", got)
	}
	write("keys", "shop:"+young)
	write("level", "debug")
	hangups <- syscall.SIGHUP
	until("the reload", func() bool { return status(old) == http.StatusUnauthorized })
	if got := status(young); got != http.StatusOK {
		t.Errorf("the new key gets %d after the reload", got)
	}
	until("a log of the new level", func() bool {
		get("/api/other", young)
		return strings.Contains(logs.String(), `"level":"DEBUG"`)
	})
	write("proxies", "nonsense")
	hangups <- syscall.SIGHUP
	until("the refusal", func() bool {
		return strings.Contains(logs.String(), "cannot reload the settings, the present ones stay")
	})
	if got := status(young); got != http.StatusOK {
		t.Errorf("after a reload that failed the key gets %d", got)
	}
	http.DefaultClient.CloseIdleConnections()
	stop()
	if code := <-done; code != exitOK {
		t.Errorf("exit %d: %s", code, logs)
	}
	if text := logs.String(); !strings.Contains(text, "data directory is open to other users") || !strings.Contains(text, `/data","mode":"drwxrwxrwx"`) || strings.Contains(text, young) {
		t.Errorf("the log: %s", text)
	}
}

// A program built for the simulated WhatsApp finds its variables, which are no settings.
func TestEnvironment_UnsetKeepsOtherVariables(t *testing.T) {
	env := environment{"QRGATE_LISTEN=127.0.0.1:1", "QRGATE_WHATSAPPSIM_ADDR=127.0.0.1:2"}
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		t.Setenv(name, value)
	}
	env.unset()
	if value, isSet := os.LookupEnv("QRGATE_LISTEN"); isSet {
		t.Errorf("QRGATE_LISTEN is %q", value)
	}
	if value := os.Getenv("QRGATE_WHATSAPPSIM_ADDR"); value != "127.0.0.1:2" {
		t.Errorf("QRGATE_WHATSAPPSIM_ADDR is %q", value)
	}
}
