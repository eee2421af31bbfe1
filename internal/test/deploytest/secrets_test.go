package deploytest_test

import (
	"context"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"qrgate/internal/test/program"
)

// initialize runs deploy/compose/init.sh in a copy of the repository, and returns what is in each secret's file.
func initialize(t *testing.T, dir string) map[string]string {
	t.Helper()
	for _, name := range []string{".env.example", "deploy/compose/init.sh"} {
		to := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, []byte(read(t, name)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "sh", filepath.Join(dir, "deploy/compose/init.sh")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	secrets := map[string]string{}
	files, err := fs.Glob(os.DirFS(dir), "secrets/*")
	for _, name := range files {
		text, _ := os.ReadFile(filepath.Join(dir, name))
		secrets[name] = string(text)
	}
	if err != nil || len(secrets) == 0 {
		t.Fatalf("no secret was made: %v", err)
	}
	return secrets
}

// The first of a newcomer's two commands makes every file that the second one reads, and the next time it changes none.
func TestComposeInit_MakesEveryFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secrets := initialize(t, dir)
	declared := load(t, read(t, "docker-compose.yml")).Secrets
	for name, secret := range declared {
		if _, ok := secrets["secrets/"+name]; !ok || filepath.Base(secret.File) != name {
			t.Errorf("%s is not made: %v", name, secret.File)
		}
	}
	if len(secrets) != len(declared) {
		t.Errorf("%d files, and docker-compose.yml reads %d", len(secrets), len(declared))
	}
	seen := map[string]bool{}
	for _, name := range []string{"secrets/secret", "secrets/redis_password", "secrets/grafana_password"} {
		if !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(secrets[name]) || seen[secrets[name]] {
			t.Errorf("%s is no new random value", name)
		}
		seen[secrets[name]] = true
	}
	for name, want := range map[string]fs.FileMode{"secrets": 0o700, "secrets/secret": 0o644} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
	}
	own := "shop:a-key-of-ours"
	if err := os.WriteFile(filepath.Join(dir, "secrets/api_keys"), []byte(own), 0o600); err != nil {
		t.Fatal(err)
	}
	secrets["secrets/api_keys"] = own
	for name, text := range initialize(t, dir) {
		if text != secrets[name] {
			t.Errorf("a second run changes %s", name)
		}
	}
	for _, file := range []string{".gitignore", ".dockerignore"} {
		if !strings.Contains(read(t, file), "secrets") {
			t.Errorf("%s does not exclude the secrets", file)
		}
	}
}

// qrgate and Redis work with the files as they are made: most are empty.
func TestCompose_StartsWithNewSecrets(t *testing.T) {
	t.Parallel()
	program.Find(t, "redis-server", "redis-server")
	dir := t.TempDir()
	initialize(t, dir)
	addr := startRedis(t, filepath.Join(dir, "secrets/redis_password"))
	ctx, stop := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, built(t))
	for name, value := range environment(load(t, read(t, "docker-compose.yml")).Services[gate]) {
		switch {
		case name == "QRGATE_ADMIN_LISTEN" || strings.HasPrefix(name, "OTEL_"):
			continue
		case name == "QRGATE_REDIS_URL":
			value = strings.Replace(value, "redis:6379", addr, 1)
		}
		cmd.Env = append(cmd.Env, name+"="+strings.Replace(value, secretsDir, dir+"/secrets/", 1))
	}
	admin := freeAddress(t)
	cmd.Env = append(cmd.Env, "QRGATE_ADMIN_LISTEN="+admin, "QRGATE_LISTEN="+freeAddress(t), "QRGATE_DATA_DIR="+filepath.Join(dir, "data"))
	log := &strings.Builder{}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	isReady := false
	for tick := time.NewTicker(100 * time.Millisecond); !isReady; {
		select {
		case err := <-ended:
			t.Fatalf("qrgate ends: %v\n%s", err, log)
		case <-tick.C:
			res, err := http.Get("http://" + admin + "/readyz")
			if err == nil {
				_ = res.Body.Close()
				isReady = res.StatusCode == http.StatusOK
			}
		}
	}
	stop()
	<-ended
	if strings.Contains(log.String(), "redis unavailable") || strings.Contains(log.String(), "no effect") {
		t.Errorf("the log is %s", log)
	}
}
