package deploytest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"qrgate/internal/secret"
	"qrgate/internal/store/redis"
	"qrgate/internal/test/program"
	"qrgate/internal/test/storetest"
)

// freeAddress is an address of this host that nothing listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	return l.Addr().String()
}

// startRedis runs deploy/compose/redis.sh as the container does, on a free port, with the password in a file, and
// returns its address.
func startRedis(t *testing.T, password string) string {
	t.Helper()
	program.Find(t, "redis-server", "redis-server")
	addr := freeAddress(t)
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.CommandContext(t.Context(), "sh", root+"/deploy/compose/redis.sh")
	cmd.Env = append(os.Environ(), "REDIS_PASSWORD_FILE="+password, "REDIS_DIR="+t.TempDir(), "REDIS_PORT="+port, "REDIS_MEMORY=64mb")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "Ready to accept connections") {
			return addr
		}
	}
	t.Fatal("redis-server ended before it was ready")
	return ""
}

// The store passes its suite as the user that the script creates, and that user has no other rights.
func TestComposeRedis_PermissionsSufficeAndNoMore(t *testing.T) {
	t.Parallel()
	addr := startRedis(t, passwordFile(t, "password-b"))
	ours := goredis.NewClient(&goredis.Options{Addr: addr, Username: "qrgate", Password: "password-b"})
	anonymous := goredis.NewClient(&goredis.Options{Addr: addr})
	t.Cleanup(func() { _ = errors.Join(ours.Close(), anonymous.Close()) })
	if err := anonymous.Ping(t.Context()).Err(); err == nil || !strings.Contains(err.Error(), "NOAUTH") {
		t.Errorf("a client without a password gets: %v", err)
	}
	for _, command := range [][]any{{"CONFIG", "GET", "*"}, {"ACL", "LIST"}, {"FLUSHALL"}, {"KEYS", "*"}, {"SET", "other", "1"}, {"SUBSCRIBE", "other"}} {
		if err := ours.Do(t.Context(), command...).Err(); err == nil || !strings.Contains(err.Error(), "NOPERM") {
			t.Errorf("the user may %v: %v", command, err)
		}
	}
	if err := fill(t.Context(), ours); err == nil || !strings.Contains(err.Error(), "OOM") {
		t.Errorf("a full Redis evicts keys instead of refusing writes: %v", err)
	}
	if err := ours.Unlink(t.Context(), "qg:big").Err(); err != nil {
		t.Fatal(err)
	}
	t.Run("suite", func(t *testing.T) {
		storetest.Store(t, func(t *testing.T) storetest.Storage {
			s, err := redis.New(redis.Config{URL: secret.NewSecret("redis://qrgate:password-b@" + addr + "/0"), Timeout: 10 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Close)
			return s
		})
	})
}

// fill writes to one list until the server has no more memory, and returns its error.
func fill(ctx context.Context, c *goredis.Client) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	chunk := strings.Repeat("x", 8<<20)
	for range 64 {
		if err := c.RPush(ctx, "qg:big", chunk).Err(); err != nil {
			return err
		}
	}
	return nil
}

func passwordFile(t *testing.T, password string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestComposeRedis_RefusesPasswordsThatBreakConfiguration(t *testing.T) {
	t.Parallel()
	for _, password := range []string{"", "a b", "a@b", "a\nuser evil on nopass", "a'b", "a%b", "a>b"} {
		cmd := exec.CommandContext(t.Context(), "sh", root+"/deploy/compose/redis.sh")
		cmd.Env = append(os.Environ(), "REDIS_PASSWORD_FILE="+passwordFile(t, password))
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "redis_password must consist") {
			t.Errorf("with the password %q: %v, %s", password, err, out)
		}
		if password != "" && strings.Contains(string(out), fmt.Sprintf("%q", password)) {
			t.Error("the output contains the password")
		}
	}
}
