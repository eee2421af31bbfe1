package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

// storing measures a stored QR: from the replica that got it, and from another replica, with the store in memory and in
// Redis.
type storing struct {
	Sessions int           `default:"50" help:"Sessions with a QR."`
	Rounds   int           `default:"40" help:"Turns of each store."`
	Turn     time.Duration `default:"250ms" help:"Length of a turn."`
	Conns    int           `default:"8" help:"Connections of the load."`
}

// subject is a gateway with one kind of store, and another replica of it.
type subject struct {
	name           string
	engine         *engine
	gate, other    *process
	rate           []float64 // requests/s
	cpu            time.Duration
	objects, bytes []float64 // allocated per request
	took           []time.Duration
	first          []time.Duration // the other replica's first responses
	polls          int             // polls for those
}

func (s storing) measure(ctx context.Context, b *bench) error {
	urls := [][2]string{{"memory", ""}}
	server, err := b.optional("redis-server", func(path string) (*process, error) { return b.redis(ctx, path) })
	if err != nil {
		return err
	}
	if server != nil {
		defer server.stop()
		urls = append(urls, [2]string{"Redis", server.URL})
	}
	var subjects []*subject
	defer func() {
		for _, x := range subjects {
			x.close()
		}
	}()
	for _, u := range urls {
		x := &subject{name: u[0]}
		subjects = append(subjects, x)
		if err := s.open(ctx, b, x, u[1]); err != nil {
			return fmt.Errorf("%s: %w", x.name, err)
		}
		b.logf("store: qrgate with %s is at %s %s", x.name, x.gate.URL, x.gate.Admin)
	}
	for round := range s.Rounds + 1 {
		for i := range subjects {
			if err := s.turn(ctx, subjects[(i+round)%len(subjects)], round > 0); err != nil {
				return err
			}
		}
		b.logf("store: round %d of %d", round, s.Rounds)
	}
	s.report(b, subjects)
	return nil
}

// cost is the processor time of one request in µs, over all turns.
func (x *subject) cost() float64 { return float64(x.cpu.Microseconds()) / float64(max(len(x.took), 1)) }

func (x *subject) close() {
	for _, p := range []*process{x.gate, x.other} {
		if p != nil {
			p.stop()
		}
	}
	if x.engine != nil {
		x.engine.close()
	}
}

// open starts an engine with two replicas in front of it, and gets every QR through the first. Then it requests them from
// the other.
func (s storing) open(ctx context.Context, b *bench, x *subject, redis string) (err error) {
	if x.engine, err = startEngine(func(string) delay { return 0 }); err != nil {
		return err
	}
	for _, gate := range []**process{&x.gate, &x.other} {
		if *gate, err = b.start(ctx, wholeGateway, before{engine: x.engine.url(), redis: redis}); err != nil {
			return err
		}
	}
	user := newClient(x.gate.URL)
	defer user.close()
	group, all := errgroup.WithContext(ctx)
	for i := range s.Sessions {
		group.Go(func() error {
			if err := user.begin(all, key(i), sessionName(i)); err != nil {
				return err
			}
			_, err := user.qr(all, key(i), sessionName(i))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return s.elsewhere(ctx, x)
}

// elsewhere requests every QR from the other replica, one after the other.
func (s storing) elsewhere(ctx context.Context, x *subject) error {
	user := newClient(x.other.URL)
	defer user.close()
	before := x.engine.polls()
	for i := range s.Sessions {
		began := time.Now()
		a, err := user.qr(ctx, key(i), sessionName(i))
		switch {
		case err != nil:
			return err
		case a.got.IsZero():
			return fmt.Errorf("the other replica has no QR for a session")
		}
		x.first = append(x.first, a.got.Sub(began))
	}
	x.polls = x.engine.polls() - before
	return nil
}

func key(i int) string         { return fmt.Sprintf("key-%d", i%5) }
func sessionName(i int) string { return fmt.Sprintf("bench-%d", i) }

// Counters of the Go runtime.
const (
	mallocs = "go_memstats_mallocs_total"
	alloced = "go_memstats_alloc_bytes_total"
)

// turn requests all QRs of one gateway repeatedly.
func (s storing) turn(ctx context.Context, x *subject, counts bool) error {
	asks := load{to: x.gate.URL, conns: s.Conns, lasts: s.Turn}
	for i := range s.Sessions {
		asks.requests = append(asks.requests, get("/api/sessions/"+sessionName(i)+"/qr", key(i)))
	}
	var before, after [2]float64
	if err := x.counters(ctx, &before); err != nil {
		return err
	}
	spent := cpu(x.gate.cmd.Process.Pid)
	t, err := asks.run(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", x.name, err)
	}
	spent = cpu(x.gate.cmd.Process.Pid) - spent
	if err := x.counters(ctx, &after); err != nil || !counts {
		return err
	}
	n := float64(len(t.took))
	x.rate, x.cpu = append(x.rate, t.rate()), x.cpu+spent
	x.objects, x.bytes = append(x.objects, (after[0]-before[0])/n), append(x.bytes, (after[1]-before[1])/n)
	x.took = append(x.took, t.took...)
	return nil
}

// counters reads the allocations of qrgate.
func (x *subject) counters(ctx context.Context, into *[2]float64) (err error) {
	for i, name := range []string{mallocs, alloced} {
		if into[i], err = x.gate.gauge(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func (s storing) report(b *bench, subjects []*subject) {
	t := table{title: fmt.Sprintf("store: a fresh QR, %d connections, %d turns of %v each; medians", s.Conns, s.Rounds, s.Turn),
		head: []string{"store", "requests/s", "p50", "p99", "CPU time", "allocations", "allocated"}}
	u := table{title: "store: the first response of a replica that has not tracked the session", head: []string{"store", "p50", "p99", "engine calls per session"}}
	for _, x := range subjects {
		t.add(x.name, fmt.Sprintf("%.0f", median(x.rate)), ms(quantile(x.took, 0.5)), ms(quantile(x.took, 0.99)),
			fmt.Sprintf("%.1f µs", x.cost()), fmt.Sprintf("%.0f", median(x.objects)), fmt.Sprintf("%.1f KiB", median(x.bytes)/1024))
		u.add(x.name, ms(quantile(x.first, 0.5)), ms(quantile(x.first, 0.99)), fmt.Sprintf("%.1f", float64(x.polls)/float64(s.Sessions)))
	}
	if len(subjects) == 2 {
		t.add("Redis / memory", spread(ratios(subjects[1].rate, subjects[0].rate)), "", "", spread(ratios([]float64{subjects[1].cost()}, []float64{subjects[0].cost()})), "", "")
	}
	b.report(t)
	b.report(u)
}
