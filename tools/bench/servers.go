package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"time"

	"github.com/gin-gonic/gin"

	"qrgate/internal/app"
	"qrgate/internal/breaker"
	"qrgate/internal/secret"
	"qrgate/proxy"
)

// The kinds of servers.
const (
	bareProxy    = "bare"  // net/http/httputil's own proxy
	ownFront     = "front" // package proxy alone, without metrics and tracing
	wholeGateway = "gate"  // all of qrgate; OTEL_* decide whether it traces
	bareGin      = "gin"   // Gin alone, which serves one body from memory
)

// server is the command that runs a measured server, alone in its process, until its standard input ends, so that none
// outlives a killed measurement.
type server struct {
	Kind   string `arg:"" enum:"bare,front,gate,gin"`
	Engine *url.URL
	Redis  string
	Body   string
}

// greeting is the line that a server prints when it is ready.
type greeting struct {
	URL, Admin string
}

// serving is a running server.
type serving struct {
	greeting
	run func(context.Context) error
}

func (f server) run(ctx context.Context, b *bench) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s, err := f.open()
	if err != nil {
		return err
	}
	go func() {
		defer stop()
		_, _ = io.Copy(io.Discard, b.in)
	}()
	if err := json.NewEncoder(b.out).Encode(s.greeting); err != nil {
		return err
	}
	return s.run(ctx)
}

func (f server) open() (serving, error) {
	switch {
	case f.Engine == nil && f.Kind != bareGin:
		return serving{}, errNoEngine
	case f.Kind == wholeGateway:
		return f.gateway()
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return serving{}, err
	}
	s := serving{greeting: greeting{URL: "http://" + l.Addr().String()}}
	if f.Kind == bareGin {
		err := f.serveBody(&s, l)
		return s, err
	}
	transport := proxy.Transport()
	if f.Kind == ownFront { // as in qrgate, without metrics and tracing
		way := breaker.New(transport, func(breaker.State, breaker.State) {})
		server := proxy.Server("", proxy.New(proxy.Config{Engine: f.Engine, Transport: way}))
		s.run = serveOn(server, proxy.DetectSmuggling(l))
		return s, nil
	}
	bare := &httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(f.Engine); r.SetXForwarded() }}
	s.run = serveOn(&http.Server{Handler: bare, ReadHeaderTimeout: 5 * time.Second}, l)
	return s, nil
}

var errNoEngine = errors.New("--engine is required")

// serveBody serves one body by Gin.
func (f server) serveBody(s *serving, l net.Listener) error {
	body, err := os.ReadFile(f.Body)
	if err != nil {
		return err
	}
	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	router.GET("/api/sessions/:id/qr", func(c *gin.Context) { c.Data(http.StatusOK, "application/json; charset=utf-8", body) })
	s.run = serveOn(&http.Server{Handler: router, ReadHeaderTimeout: 5 * time.Second}, l)
	return nil
}

// gateway is qrgate as cmd/qrgate runs it, with a JSON log to io.Discard.
func (f server) gateway() (serving, error) {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return serving{}, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return serving{}, err
	}
	g, err := app.New(app.Config{
		Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", EngineURL: f.Engine, DataDir: dir, PProf: true, Version: "bench",
		MaxWaiters: 6000,
		RedisURL:   secret.NewSecret(f.Redis), Secret: secret.NewSecret("a secret for measurements"),
		Logger: slog.New(slog.NewJSONHandler(null, nil)), Out: io.Discard,
	})
	if err != nil {
		return serving{}, errors.Join(err, os.RemoveAll(dir))
	}
	return serving{greeting{g.URL(), g.AdminURL()}, func(ctx context.Context) error {
		err := g.Run(ctx)
		return errors.Join(err, null.Close(), os.RemoveAll(dir))
	}}, nil
}

// serveOn runs a server until the context ends.
func serveOn(server *http.Server, l net.Listener) func(context.Context) error {
	return func(ctx context.Context) error {
		defer context.AfterFunc(ctx, func() { _ = server.Close() })()
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serving: %w", err)
		}
		return nil
	}
}
