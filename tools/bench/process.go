package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// patience is the time limit for the start and the stop of a program.
const patience = 15 * time.Second

// process is a measured program, or one that a measured program needs.
type process struct {
	greeting
	cmd  *exec.Cmd
	stop func()
}

// before is the configuration of a server.
type before struct {
	engine string // its URL
	body   string // file with the response of bareGin
	redis  string // URL; empty: memory
	trace  string // URL of an OTLP receiver; empty: no tracing
}

// start runs this program again as a server, and waits until it is ready.
func (b *bench) start(ctx context.Context, kind string, x before) (*process, error) {
	args := []string{"front", kind}
	if x.engine != "" {
		args = append(args, "--engine", x.engine)
	}
	if x.body != "" {
		args = append(args, "--body", x.body)
	}
	if x.redis != "" {
		args = append(args, "--redis", x.redis)
	}
	cmd := exec.CommandContext(ctx, b.self, args...)
	cmd.Env, cmd.Stderr, cmd.WaitDelay = environment(b.env, x.trace), b.err, patience
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	cmd.Cancel = in.Close
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, stop: sync.OnceFunc(func() { end(cmd, in.Close) })}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &p.greeting)
	}
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("the %s did not start: %w", kind, err)
	}
	return p, nil
}

// environment returns env without OpenTelemetry settings, and with one trace in ten if requested.
func environment(env []string, trace string) []string {
	var out []string
	for _, entry := range env {
		if !strings.HasPrefix(entry, "OTEL_") {
			out = append(out, entry)
		}
	}
	if trace != "" {
		out = append(out, "OTEL_EXPORTER_OTLP_ENDPOINT="+trace, "OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.1")
	}
	return out
}

// end stops a process and waits for it, and kills it after a time.
func end(cmd *exec.Cmd, ask func() error) {
	_ = ask()
	kill := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	_ = cmd.Wait()
}

// program starts an installed program that listens on addr, and waits until it does.
func (b *bench) program(ctx context.Context, addr, name string, args ...string) (*process, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = io.Discard, &said, patience
	ask := func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Cancel = ask // a killed nginx would leave its workers
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{greeting{URL: "http://" + addr}, cmd, sync.OnceFunc(func() { end(cmd, ask) })}
	if err := listens(ctx, addr); err != nil {
		p.stop()
		return nil, fmt.Errorf("%s did not start: %w: %s", name, err, said.String())
	}
	return p, nil
}

// installed finds a program, also in the directories for root.
func installed(name string) (string, bool) {
	for _, candidate := range []string{name, "/usr/sbin/" + name, "/usr/local/sbin/" + name} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path, true
		}
	}
	return "", false
}

// freeAddr returns a free address.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// listens waits until a program listens on addr.
func listens(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return until(ctx, func() (bool, error) {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return false, nil
		}
		return true, conn.Close()
	})
}

// until polls a condition every 20 ms until it holds. Its error is that of the condition, or the context's.
func until(ctx context.Context, yes func() (bool, error)) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := yes(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// nginxConf is nginx as a plain proxy with persistent connections, tuned for speed.
const nginxConf = `daemon off; pid nginx.pid; error_log stderr crit; worker_processes 2;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 100000000;
  client_body_temp_path a; proxy_temp_path b; fastcgi_temp_path c; uwsgi_temp_path d; scgi_temp_path e;
  upstream engine { server %[2]s; keepalive 256; keepalive_requests 100000000; }
  server { listen %[1]s; location / { proxy_pass http://engine; proxy_http_version 1.1; proxy_set_header Connection "";
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; } }
}
`

// nginxCacheConf is nginx with a cache of every response of the engine.
const nginxCacheConf = `daemon off; pid nginx.pid; error_log stderr crit; worker_processes 2;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 100000000;
  client_body_temp_path a; proxy_temp_path b; fastcgi_temp_path c; uwsgi_temp_path d; scgi_temp_path e;
  proxy_cache_path cache keys_zone=qr:1m;
  server { listen %[1]s; location / { proxy_pass http://%[2]s; proxy_cache qr; proxy_cache_valid 200 10m; } }
}
`

// caddyConf is Caddy as a plain proxy.
const caddyConf = `{
	admin off
	auto_https off
	http_port %[3]s
}
http:// {
	bind 127.0.0.1
	reverse_proxy %[2]s
}
`

const haproxyConf = `global
  maxconn 8000
  nbthread 2
defaults
  mode http
  timeout connect 2s
  timeout client 30s
  timeout server 30s
  option forwardfor
  http-reuse always
frontend clients
  bind %[1]s
  default_backend engine
backend engine
  server engine %[2]s
`

// nginx starts nginx in front of an engine; dir is for its files.
func (b *bench) nginx(ctx context.Context, path, conf, engine, dir string) (*process, error) {
	addr, file, err := configured(conf, engine, filepath.Join(dir, "nginx.conf"))
	if err != nil {
		return nil, err
	}
	return b.program(ctx, addr, path, "-p", dir, "-e", "stderr", "-c", file)
}

// caddyModule is Caddy's program as a module.
const caddyModule = "github.com/caddyserver/caddy/v2/cmd/caddy@v2.11.1"

// caddy starts Caddy in front of an engine; dir is for its files. It returns nil if Caddy is not to be measured.
func (b *bench) caddy(ctx context.Context, engine, dir string) (*process, error) {
	path, err := b.findCaddy(ctx)
	if err != nil || path == "" {
		return nil, err
	}
	addr, file, err := configured(caddyConf, engine, filepath.Join(dir, "Caddyfile"))
	if err != nil {
		return nil, err
	}
	return b.program(ctx, addr, path, "run", "--config", file, "--adapter", "caddyfile")
}

// findCaddy returns the path of Caddy, "" for none. If it is not installed, it is built once, into the user's cache.
func (b *bench) findCaddy(ctx context.Context) (string, error) {
	switch path, ok := installed(cmp.Or(b.caddyPath, "caddy")); {
	case b.caddyPath == "none":
		return "", nil
	case ok:
		return path, nil
	case b.caddyPath != "":
		return "", fmt.Errorf("--caddy: there is no program %s", b.caddyPath)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "qrgate-bench")
	if path := filepath.Join(dir, "caddy"); isFile(path) {
		return path, nil
	}
	b.logf("building %s into %s, which takes some minutes", caddyModule, dir)
	cmd := exec.CommandContext(ctx, "go", "install", caddyModule)
	cmd.Env, cmd.Stderr = append(b.env, "GOBIN="+dir, "GOFLAGS=", "CGO_ENABLED=0"), b.err
	return filepath.Join(dir, "caddy"), cmd.Run()
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// haproxy starts HAProxy in front of an engine; dir is for its files.
func (b *bench) haproxy(ctx context.Context, path, engine, dir string) (*process, error) {
	addr, file, err := configured(haproxyConf, engine, filepath.Join(dir, "haproxy.cfg"))
	if err != nil {
		return nil, err
	}
	return b.program(ctx, addr, path, "-db", "-f", file)
}

// configured writes a configuration with a free address to listen on.
func configured(text, engine, file string) (addr, path string, err error) {
	if addr, err = freeAddr(); err != nil {
		return "", "", err
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", "", err
	}
	conf := fmt.Appendf(nil, text, addr, strings.TrimPrefix(engine, "http://"), port)
	return addr, file, os.WriteFile(file, conf, 0o600)
}

// redis starts a server without persistence.
func (b *bench) redis(ctx context.Context, path string) (*process, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	p, err := b.program(ctx, addr, path, "--bind", host, "--port", port, "--save", "", "--appendonly", "no")
	if err == nil {
		p.URL = "redis://" + addr
	}
	return p, err
}
