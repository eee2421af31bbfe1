package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"qrgate/compat/embedded"
	"qrgate/internal/app"
	"qrgate/internal/secret"
	"qrgate/internal/test/enginesim"
)

// get requests a path of the operators' port under a host name.
func (r *rig) adminGet(admin, path, host string) (int, map[string]any) {
	r.Helper()
	req, err := http.NewRequest(http.MethodGet, admin+path, nil)
	if err != nil {
		r.Fatal(err)
	}
	req.Host = host
	res, err := (&http.Client{Transport: r.checker.next}).Do(req)
	if err != nil {
		r.Fatal(err)
	}
	defer res.Body.Close()
	var body map[string]any
	_ = json.NewDecoder(res.Body).Decode(&body)
	return res.StatusCode, body
}

// Without its engine the gateway is ready, since another replica would not do better, and degraded.
func TestReadyz_DegradedWithoutEngine(t *testing.T) {
	t.Parallel()
	r, admin := observed(t, &enginesim.Engine{Faults: faulty(enginesim.AnyRoute, enginesim.CutConnection)}, "key-probe")
	if code, body := r.adminGet(admin, "/readyz", ""); code != http.StatusOK || body["status"] != "ok" {
		t.Errorf("at the start: %d %v", code, body)
	}
	r.get("/api/sessions/crm-1/qr?wait=1")
	code, body := r.adminGet(admin, "/readyz", "")
	why, _ := body["why"].(string)
	if code != http.StatusOK || body["status"] != "degraded" || !strings.Contains(why, "QRGATE_ENGINE_URL") ||
		!strings.Contains(why, "Last call: ") || !strings.Contains(why, "unreachable (") {
		t.Errorf("without an engine: %d %v", code, body)
	}
}

// Without Redis, or with a data directory that cannot be written, the reason is in the response. A data directory without
// use does not matter.
func TestReadyz_DegradedWithoutRedisOrDisk(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	noDisk := func(c *app.Config) { c.DataDir = file }
	noRedis := func(c *app.Config) {
		c.Secret, c.RedisURL = secret.NewSecret("0123456789abcdef0123"), secret.NewSecret("redis://127.0.0.1:1/0")
	}
	for name, c := range map[string]struct {
		key     string
		change  func(*app.Config)
		want    string
		without string
	}{
		"no Redis":          {"", noRedis, "Redis is unavailable", "QRGATE_DATA_DIR"},
		"no disk":           {"key-probe", noDisk, "QRGATE_DATA_DIR cannot be written", "Redis is"},
		"no use for a disk": {"key-probe", func(c *app.Config) { noRedis(c); noDisk(c) }, "Redis is unavailable", "QRGATE_DATA_DIR"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, admin := observed(t, &enginesim.Engine{}, c.key, c.change)
			why := ""
			for end := time.Now().Add(20 * time.Second); why == "" && time.Now().Before(end); <-time.After(20 * time.Millisecond) {
				code, body := r.adminGet(admin, "/readyz", "")
				if why, _ = body["why"].(string); code != http.StatusOK {
					t.Fatalf("%d %v", code, body)
				}
			}
			if !strings.Contains(why, c.want) || strings.Contains(why, c.without) {
				t.Errorf("%q, want %q without %q", why, c.want, c.without)
			}
		})
	}
}

func TestCheckWritable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, ok := range map[string]bool{dir: true, filepath.Join(dir, "missing"): true, file: false} {
		if err := app.CheckWritable(path); (err == nil) != ok {
			t.Errorf("%s: %v", path, err)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("it left %v", left)
	}
}

// A page of another site can point its own name to the operators' address; only names that the operator chose are served.
func TestAdminPort_RefusesForeignHostNames(t *testing.T) {
	t.Parallel()
	r, admin := observed(t, &enginesim.Engine{}, "")
	for host, want := range map[string]int{
		"": 200, "localhost:8081": 200, "LOCALHOST": 200, "127.0.0.1": 200, "[::1]:8081": 200, "10.1.2.3:8081": 200, "qrgate.internal:8081": 200,
		"evil.example": 421, "evil.example:8081": 421, "localhost.evil.example": 421, "127.0.0.1.evil.example": 421,
	} {
		for _, path := range []string{"/livez", "/status", "/metrics", "/probe"} {
			got, _ := r.adminGet(admin, path, host)
			if (got == http.StatusMisdirectedRequest) != (want == 421) {
				t.Errorf("%s under %q: %d, want %d", path, host, got, want)
			}
		}
	}
}

// A probe that creates sessions needs a key of its own.
func TestProbe_WithoutKeyIs503(t *testing.T) {
	t.Parallel()
	r, admin := observed(t, &enginesim.Engine{}, "")
	for module, want := range map[string]int{"create_connect_qr": 503, "create_delete": 503, "engine_health": 200} {
		if got, _ := r.adminGet(admin, "/probe?target=gate&module="+module, ""); got != want {
			t.Errorf("%s: %d, want %d", module, got, want)
		}
	}
}

// Other users of the host must not read the keys of paired phones without a warning.
func TestRun_WarnsOfAnOpenDataDirectory(t *testing.T) {
	t.Parallel()
	for mode, wants := range map[os.FileMode]bool{0o777: true, 0o755: true, 0o700: false} {
		dir := filepath.Join(t.TempDir(), "data")
		if err := os.Mkdir(dir, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, mode); err != nil { // whatever the umask is
			t.Fatal(err)
		}
		var log bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&log, nil))
		a, err := app.New(app.Config{DataDir: dir, Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", Out: io.Discard, Logger: logger})
		runOnce(t, a, err)
		if text := log.String(); strings.Contains(text, "data directory is open to other users") != wants {
			t.Errorf("mode %v: log %q", mode, text)
		}
	}
}

// runOnce runs what app.New returned until it stops at once: it closes what it opened.
func runOnce(t *testing.T, a *app.App, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Run(ended); err != nil {
		t.Error(err)
	}
}

// A new API key is printed once, and only by the process that has the data directory.
func TestNew_GeneratedKeyIsPrintedOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start := func(keys ...embedded.Key) (*app.App, string, error) {
		var out bytes.Buffer
		a, err := app.New(app.Config{DataDir: dir, APIKeys: keys, Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", Out: &out,
			Logger: slog.New(slog.DiscardHandler)})
		return a, out.String(), err
	}
	first, _, err := start(embedded.Key{Name: "shop", Key: secret.NewSecret("a-key-of-the-tests-of-the-lock")})
	if _, out, err := start(); err == nil || !strings.Contains(err.Error(), "in use by another qrgate process") || strings.Contains(out, "X-API-Key") {
		t.Errorf("a directory in use: %v %q", err, out)
	}
	runOnce(t, first, err)
	for _, printed := range []bool{true, false} {
		a, out, err := start()
		if strings.Contains(out, "X-API-Key: qrg_") != printed {
			t.Errorf("printed %q, want a key: %v", out, printed)
		}
		runOnce(t, a, err)
	}
}
