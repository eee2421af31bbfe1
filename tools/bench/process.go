package main

import (
	"bufio"
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
	redis  string // URL; empty: memory
	trace  string // URL of an OTLP receiver; empty: no tracing
}

// start runs this program again as a server, and waits until it is ready.
func (b *bench) start(ctx context.Context, kind string, x before) (*process, error) {
	args := []string{"front", kind, "--engine", x.engine}
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
func (b *bench) nginx(ctx context.Context, path, engine, dir string) (*process, error) {
	addr, file, err := configured(nginxConf, engine, filepath.Join(dir, "nginx.conf"))
	if err != nil {
		return nil, err
	}
	return b.program(ctx, addr, path, "-p", dir, "-e", "stderr", "-c", file)
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
	return addr, file, os.WriteFile(file, fmt.Appendf(nil, text, addr, strings.TrimPrefix(engine, "http://")), 0o600)
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
