package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

// passThrough measures requests that qrgate passes through: each server in turn, in rounds of different order, all in
// front of the same upstream.
type passThrough struct {
	Rounds int           `default:"60" help:"Turns of each server."`
	Turn   time.Duration `default:"250ms" help:"Length of a turn."`
	Conns  int           `default:"16" help:"Connections of the load."`
}

// keepsRate is the target for the cost of metrics and tracing.
const keepsRate = 0.85

// contender is one server with all its turns.
type contender struct {
	name string
	*process
	rate []float64       // requests/s of each turn
	took []time.Duration // of all responses
	cpu  time.Duration   // processor time of all turns
}

// cost is the processor time of one request in µs, over all turns: the kernel counts it in steps of 10 ms.
func (r *contender) cost() float64 {
	return float64(r.cpu.Microseconds()) / float64(max(len(r.took), 1))
}

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
	contenders, stop, err := p.field(ctx, b, before{engine: up.url(), trace: spans.url()})
	defer stop()
	if err != nil {
		return err
	}
	if err := p.play(ctx, b, contenders); err != nil {
		return err
	}
	stop() // sends the last spans
	p.report(b, contenders)
	fmt.Fprintf(b.out, "\n The traced gate sent %d batches of spans, %d KiB.\n", spans.batches.Load(), spans.bytes.Load()>>10)
	return nil
}

// Names of the contenders.
const (
	nameBare    = "bare httputil.ReverseProxy"
	nameFront   = "qrgate's front, unobserved"
	nameMetered = "qrgate with metrics"
	nameTraced  = "qrgate with metrics, 10 % traced"
	nameNginx   = "nginx"
	nameHAProxy = "HAProxy"
)

// field starts the contenders. stop ends those that were started, also after an error.
func (p passThrough) field(ctx context.Context, b *bench, x before) (contenders []*contender, stop func(), err error) {
	dir, err := os.MkdirTemp("", "bench-")
	stop = func() {
		for _, r := range contenders {
			r.stop()
		}
		_ = os.RemoveAll(dir)
	}
	untraced := before{engine: x.engine}
	starters := []struct {
		name  string
		start func() (*process, error)
	}{
		{nameBare, func() (*process, error) { return b.start(ctx, bareProxy, untraced) }},
		{nameFront, func() (*process, error) { return b.start(ctx, ownFront, untraced) }},
		{nameMetered, func() (*process, error) { return b.start(ctx, wholeGateway, untraced) }},
		{nameTraced, func() (*process, error) { return b.start(ctx, wholeGateway, x) }},
		{nameNginx, func() (*process, error) {
			return b.optional("nginx", func(path string) (*process, error) { return b.nginx(ctx, path, x.engine, dir) })
		}},
		{nameHAProxy, func() (*process, error) {
			return b.optional("haproxy", func(path string) (*process, error) { return b.haproxy(ctx, path, x.engine, dir) })
		}},
	}
	for _, s := range starters {
		if err != nil {
			return contenders, stop, err
		}
		var started *process
		if started, err = s.start(); started != nil {
			b.logf("pass-through: %s is at %s %s", s.name, started.URL, started.Admin)
			contenders = append(contenders, &contender{name: s.name, process: started})
		}
	}
	return contenders, stop, err
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

// play runs one turn of each contender to warm up, and then the rounds.
func (p passThrough) play(ctx context.Context, b *bench, contenders []*contender) error {
	for round := range p.Rounds + 1 {
		for i := range contenders {
			r := contenders[(i+round)%len(contenders)]
			turn := load{to: r.URL, requests: [][]byte{get("/api/messages/shop-1/chats?page=1", "key-a")}, conns: p.Conns, lasts: p.Turn}
			spent := cpu(r.cmd.Process.Pid)
			t, err := turn.run(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			if round == 0 {
				continue
			}
			r.rate = append(r.rate, t.rate())
			r.cpu += cpu(r.cmd.Process.Pid) - spent
			r.took = append(r.took, t.took...)
		}
		b.logf("pass-through: round %d of %d", round, p.Rounds)
	}
	return nil
}

func (p passThrough) report(b *bench, contenders []*contender) {
	by := map[string]*contender{}
	t := table{title: fmt.Sprintf("pass-through: %d connections, %d turns of %v each; medians", p.Conns, p.Rounds, p.Turn),
		head: []string{"front", "requests/s", "p50", "p99", "processor time per request"}}
	for _, r := range contenders {
		by[r.name] = r
		t.add(r.name, fmt.Sprintf("%.0f", median(r.rate)), ms(quantile(r.took, 0.5)), ms(quantile(r.took, 0.99)), fmt.Sprintf("%.1f µs", r.cost()))
	}
	t.write(b.out)
	u := table{title: "pass-through: ratios, each of two turns of one round; median [least … most]", head: []string{"", "requests/s", "processor time", ""}}
	for _, pair := range [][2]string{{nameTraced, nameFront}, {nameMetered, nameFront}, {nameFront, nameBare}, {nameTraced, nameBare}, {nameTraced, nameNginx}, {nameTraced, nameHAProxy}} {
		of, than := by[pair[0]], by[pair[1]]
		if of == nil || than == nil {
			continue
		}
		rate, note := ratios(of.rate, than.rate), ""
		if pair == [2]string{nameTraced, nameFront} {
			note = fmt.Sprintf("target ≥ %.2f: %s", keepsRate, verdict(median(rate) >= keepsRate))
		}
		u.add(strings.Join(pair[:], " / "), spread(rate), spread(ratios([]float64{of.cost()}, []float64{than.cost()})), note)
	}
	u.write(b.out)
}
