package main

import (
	"context"
	"fmt"
	"os"
)

// passThrough measures requests that qrgate passes through, beside other proxies in front of the same upstream.
type passThrough struct{ race }

// Names of the contenders.
const (
	nameBare    = "bare httputil.ReverseProxy"
	nameFront   = "qrgate, proxy only"
	nameMetered = "qrgate with metrics"
	nameTraced  = "qrgate with metrics, 10 % traced"
	nameCaddy   = "Caddy"
	nameNginx   = "nginx"
	nameHAProxy = "HAProxy"
)

func (p passThrough) measure(ctx context.Context, b *bench) error {
	up, err := startUpstream(ctx)
	if err != nil {
		return err
	}
	defer up.close()
	spans, err := startCollector()
	if err != nil {
		return err
	}
	defer spans.close()
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	contenders, stop, err := b.startAll(proxies(ctx, b, up.url(), spans.url(), dir))
	defer stop()
	if err != nil {
		return err
	}
	for _, c := range contenders {
		c.path = func(int) string { return "/api/messages/shop-1/chats?page=1" }
	}
	if err := p.run(ctx, b, contenders, nil); err != nil {
		return err
	}
	stop() // sends the last spans
	p.report(b, "pass-through", contenders, []comparison{
		{nameTraced, nameBare, 0.95}, {nameTraced, nameCaddy, 1}, {nameTraced, nameFront, 0.85}, {nameMetered, nameFront, 0},
		{nameFront, nameBare, 0}, {nameTraced, nameNginx, 0}, {nameTraced, nameHAProxy, 0},
	})
	fmt.Fprintf(b.out, "\n The traced qrgate sent %d batches of spans, %d KiB.\n", spans.batches.Load(), spans.bytes.Load()>>10)
	return nil
}

// proxies are the contenders of a pass-through.
func proxies(ctx context.Context, b *bench, engine, trace, dir string) []starter {
	untraced := before{engine: engine}
	own := func(name, kind string, x before) starter {
		return starter{name, func() (*process, error) { return b.start(ctx, kind, x) }}
	}
	return []starter{
		own(nameBare, bareProxy, untraced),
		own(nameFront, ownFront, untraced),
		own(nameMetered, wholeGateway, untraced),
		own(nameTraced, wholeGateway, before{engine: engine, trace: trace}),
		{nameCaddy, func() (*process, error) { return b.caddy(ctx, engine, dir) }},
		{nameNginx, func() (*process, error) {
			return b.optional("nginx", func(path string) (*process, error) { return b.nginx(ctx, path, nginxConf, engine, dir) })
		}},
		{nameHAProxy, func() (*process, error) {
			return b.optional("haproxy", func(path string) (*process, error) { return b.haproxy(ctx, path, engine, dir) })
		}},
	}
}

// optional starts a program if it is installed, and logs if it is not.
func (b *bench) optional(name string, start func(path string) (*process, error)) (*process, error) {
	path, ok := installed(name)
	if !ok {
		b.logf("%s is not installed, so it is not measured", name)
		return nil, nil
	}
	return start(path)
}
