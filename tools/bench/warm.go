package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
)

// warm measures a QR that exists: qrgate beside Gin alone, which serves the same bytes from memory, and nginx's cache of
// them.
type warm struct{ race }

// Names of the contenders.
const (
	nameWarm  = "qrgate, /qr of a fresh code"
	nameGin   = "bare Gin, the same bytes"
	nameCache = "nginx proxy_cache, the same bytes"
)

// maxAllocations is the target for the allocations of a warm request, net/http's included.
const maxAllocations = 60

func (w warm) measure(ctx context.Context, b *bench) error {
	e, err := startEngine(func(string) delay { return 0 })
	if err != nil {
		return err
	}
	defer e.close()
	gate, err := b.start(ctx, wholeGateway, before{engine: e.url()})
	if err != nil {
		return err
	}
	defer gate.stop()
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := os.Chmod(dir, 0o755); err != nil { // nginx's workers are another user if root starts it
		return err
	}
	body := filepath.Join(dir, "body.json")
	if err := saveQR(ctx, gate, body); err != nil {
		return err
	}
	contenders, stop, err := b.startAll(w.servers(ctx, b, gate, body, dir))
	defer stop()
	if err != nil {
		return err
	}
	for _, c := range contenders {
		c.path = warmPath
	}
	allocations := counterRate{process: gate, name: mallocs}
	err = w.run(ctx, b, contenders, func(round int) error { // a code lives for a minute, so each round has its own
		if round == 1 {
			if err := allocations.start(ctx); err != nil {
				return err
			}
		}
		return freshen(ctx, gate, benchKey, warmSession(round))
	})
	if err != nil {
		return err
	}
	each, err := allocations.per(ctx, contenders[0].requests)
	if err != nil {
		return err
	}
	w.report(b, "warm", contenders, []comparison{{nameWarm, nameGin, 0.75}, {nameWarm, nameCache, 0.65}})
	fmt.Fprintf(b.out, "\n %.0f allocations per request of qrgate, net/http's included; target ≤ %d: %s\n",
		each, maxAllocations, verdict(each <= maxAllocations))
	return nil
}

func warmSession(round int) string { return fmt.Sprintf("warm-%d", round) }

func warmPath(round int) string { return "/api/sessions/" + warmSession(round) + "/qr" }

// saveQR writes the response for a fresh QR to a file.
func saveQR(ctx context.Context, gate *process, file string) error {
	if err := freshen(ctx, gate, benchKey, "sample"); err != nil {
		return err
	}
	user := newClient(gate.URL)
	defer user.close()
	status, body, err := user.ask(ctx, http.MethodGet, gate.URL+"/api/sessions/sample/qr", benchKey, "")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%w: /qr returned %d", errRefused, status)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(file, body, 0o600)
}

// servers are the contenders; nginx caches what Gin serves.
func (w warm) servers(ctx context.Context, b *bench, gate *process, body, dir string) []starter {
	var bare *process
	return []starter{
		{nameWarm, func() (*process, error) { return gate, nil }},
		{nameGin, func() (p *process, err error) {
			bare, err = b.start(ctx, bareGin, before{body: body})
			return bare, err
		}},
		{nameCache, func() (*process, error) {
			return b.optional("nginx", func(path string) (*process, error) {
				return b.nginx(ctx, path, nginxCacheConf, bare.URL, dir)
			})
		}},
	}
}

// counterRate is the increase of a counter of a gateway.
type counterRate struct {
	*process
	name string
	from float64
}

func (c *counterRate) start(ctx context.Context) (err error) {
	c.from, err = c.gauge(ctx, c.name)
	return err
}

// per returns the increase since start for each of n requests.
func (c *counterRate) per(ctx context.Context, n int) (float64, error) {
	now, err := c.gauge(ctx, c.name)
	return (now - c.from) / float64(max(n, 1)), err
}
