package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"qrgate/internal/test/redistest"
	"qrgate/tools/faultnet"
)

// cluster is everything of one case: replicas, Redis, the engine.
type cluster struct {
	options    *options
	host       *host
	engine     *engine
	links      []*faultnet.Link // replica -> Redis
	engineLink *faultnet.Link   // replicas -> engine
	redis      *redistest.Server
	sentinel   *redistest.Sentinels
	shards     *redistest.Cluster
	replicas   []*replica
}

// host lets redistest's servers, which are made for tests, run in a program.
type host struct {
	testing.TB
	cleanups []func()
}

// errHost is the panic of a server that cannot be started.
type errHost struct{ error }

// Helper implements [testing.TB].
func (*host) Helper() {}

// Cleanup implements [testing.TB].
func (h *host) Cleanup(f func()) { h.cleanups = append(h.cleanups, f) }

// Fatalf implements [testing.TB].
func (*host) Fatalf(format string, values ...any) { panic(errHost{fmt.Errorf(format, values...)}) }

// Fatal implements [testing.TB].
func (h *host) Fatal(values ...any) { h.Fatalf("%s", fmt.Sprint(values...)) }

// Skipf implements [testing.TB].
func (h *host) Skipf(format string, values ...any) { h.Fatalf(format, values...) }

// TempDir implements [testing.TB].
func (h *host) TempDir() string {
	dir, err := os.MkdirTemp("", "chaos")
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (h *host) close() {
	for i := len(h.cleanups) - 1; i >= 0; i-- {
		h.cleanups[i]()
	}
}

// replica is one gateway in a process of its own.
type replica struct {
	path        string
	addr, admin string
	env         []string
	log         io.Writer
	cmd         *exec.Cmd
	done        chan struct{}
}

// startCluster starts everything that a case needs. The caller calls close, on an error too.
func (c chaosCase) startCluster(ctx context.Context, o *options, n int) (k *cluster, err error) {
	k = &cluster{options: o, host: &host{}}
	defer func() {
		if failed := recover(); failed != nil {
			if e, ok := failed.(errHost); ok {
				err = e
				return
			}
			panic(failed)
		}
	}()
	if k.engine, err = newEngine(); err != nil {
		return k, err
	}
	if k.engineLink, err = faultnet.New(k.engine.addr); err != nil {
		return k, err
	}
	switch c.redis {
	case oneServer:
		k.redis = redistest.Start(k.host)
	case withSentinel:
		k.sentinel = redistest.StartSentinels(k.host)
	case withShards:
		k.shards = redistest.StartCluster(k.host)
	}
	for i := range n {
		env := []string{
			"QRGATE_ENGINE_URL=http://" + k.engineLink.Addr(), "QRGATE_SECRET=a secret of the chaos run",
			"QRGATE_WHATSAPP_CHECK=false", "QRGATE_LOG_LEVEL=info",
		}
		url, err := k.redisURL(i)
		if err != nil {
			return k, err
		}
		if url != "" && !(c.firstAlone && i == 0) {
			env = append(env, "QRGATE_REDIS_URL="+url)
		} else {
			env = append(env, fmt.Sprint("QRGATE_REPLICAS=", n))
		}
		if err := k.addReplica(ctx, i, env); err != nil {
			return k, err
		}
	}
	return k, nil
}

// redisURL is the URL for a replica: over a link of its own to one server.
func (k *cluster) redisURL(int) (string, error) {
	switch {
	case k.sentinel != nil:
		return k.sentinel.URL(), nil
	case k.shards != nil:
		return k.shards.URL(), nil
	case k.redis == nil:
		return "", nil
	}
	link, err := faultnet.New(k.redis.Addr())
	if err != nil {
		return "", err
	}
	k.links = append(k.links, link)
	return "redis://" + link.Addr(), nil
}

func (k *cluster) addReplica(ctx context.Context, i int, env []string) error {
	r := &replica{path: k.options.Gateway, log: io.Discard}
	for _, addr := range []*string{&r.addr, &r.admin} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		*addr = l.Addr().String()
		_ = l.Close()
	}
	if k.options.Logs != "" {
		f, err := os.Create(filepath.Join(k.options.Logs, fmt.Sprintf("replica-%d.log", i)))
		if err != nil {
			return err
		}
		k.host.Cleanup(func() { _ = f.Close() })
		r.log = f
	}
	r.env = append(env, "PATH="+os.Getenv("PATH"), "QRGATE_LISTEN="+r.addr, "QRGATE_ADMIN_LISTEN="+r.admin)
	k.replicas = append(k.replicas, r)
	return r.start(ctx)
}

// start runs the gateway and waits until it serves.
func (r *replica) start(ctx context.Context) error {
	r.cmd = exec.Command(r.path)
	r.cmd.Env, r.cmd.Stderr, r.cmd.Stdout, r.cmd.SysProcAttr = r.env, r.log, r.log, dieWithParent()
	if err := r.cmd.Start(); err != nil {
		return err
	}
	r.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) { _ = cmd.Wait(); close(done) }(r.cmd, r.done)
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for {
		if _, err := r.get("/readyz"); err == nil {
			return nil
		}
		select {
		case <-r.done:
			return errors.New("a gateway does not start: " + strings.Join(r.env, " "))
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// stop sends a signal and waits for the end.
func (r *replica) stop(signal syscall.Signal) {
	_ = r.cmd.Process.Signal(signal)
	<-r.done
}

// get returns the body of a page for operators.
func (r *replica) get(path string) (string, error) {
	client := http.Client{Timeout: time.Second}
	res, err := client.Get("http://" + r.admin + path)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	return string(text), err
}

// isHealed reports whether every replica uses its Redis.
func (k *cluster) isHealed() bool {
	for _, r := range k.replicas {
		text, err := r.get("/readyz")
		if err != nil || !bytes.Contains([]byte(text), []byte(`"ok"`)) || strings.Contains(text, "degraded") {
			return false
		}
	}
	return true
}

// engineDown ends the engine: its port refuses connections. With loss, it forgets what it connected.
func (k *cluster) engineDown(loss bool) {
	k.engineLink.Down()
	k.engine.down(loss)
}

// engineUp starts the engine again.
func (k *cluster) engineUp() {
	if err := errors.Join(k.engine.up(), k.engineLink.Up()); err != nil {
		k.host.Fatal(err)
	}
}

func (k *cluster) close() {
	for _, r := range k.replicas {
		if r.cmd != nil && r.done != nil {
			r.stop(syscall.SIGKILL)
		}
	}
	for _, l := range append(k.links, k.engineLink) {
		if l != nil {
			l.Down()
		}
	}
	if k.engine != nil {
		k.engine.close()
	}
	k.host.close()
}
