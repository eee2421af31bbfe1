package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// installed finds a program, also where only root looks.
func installed(name string) (string, bool) {
	for _, candidate := range []string{name, "/usr/sbin/" + name, "/usr/local/sbin/" + name} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path, true
		}
	}
	return "", false
}

// freeAddr is an address that nobody listens on at the moment.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// listens waits until somebody listens on addr.
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

// until asks every 20 ms until the answer is yes. Its error is that of the question, or the context's.
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

// nginxConf is nginx as a plain proxy with kept connections: what somebody sets up who wants it fast.
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

// nginx starts it before an engine's address; dir is for its files.
func (b *bench) nginx(ctx context.Context, path, engine, dir string) (*process, error) {
	addr, file, err := configured(nginxConf, engine, filepath.Join(dir, "nginx.conf"))
	if err != nil {
		return nil, err
	}
	return b.program(ctx, addr, path, "-p", dir, "-e", "stderr", "-c", file)
}

// haproxy starts it before an engine's address; dir is for its files.
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

// redis starts a server that keeps nothing on disk.
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
