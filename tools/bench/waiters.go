package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// waiters measures what waiting requests cost: a gateway that holds thousands of them beside one that holds none.
type waiters struct {
	Held     int           `default:"4900" help:"Requests that are held; a gateway holds 5000, and the other key needs a few."`
	Sessions int           `default:"100" help:"Sessions that they wait for; a gateway holds 200 for one."`
	Rounds   int           `default:"35" help:"How often each gate has its turn."`
	Turn     time.Duration `default:"500ms" help:"How long a turn lasts; all of it must fit into 40 s, because a hold ends after 60 s."`
}

// perTenant is less than the thousand requests that a gateway holds for one key.
const perTenant = 500

// heldMemory is the target: resident memory of a waiting request, in KiB.
const heldMemory = 25

// slots is the gauge of waiting requests.
const slots = "qrgate_waiters"

// pair are the two gates, before one engine.
type pair struct {
	crowded, empty *process
	rate, took     [2][]float64 // of every turn: requests/s; p99 in ms
	all            [2][]time.Duration
	holding        []float64 // share of one processor that the crowded gate takes while nobody asks it
}

func (w waiters) measure(ctx context.Context, b *bench) error {
	if 2*time.Duration(w.Rounds+1)*w.Turn > 40*time.Second {
		return errors.New("--rounds and --turn: two gates have a turn in each round and in one before, and 40 s is all there is")
	}
	e, err := startEngine(func(session string) time.Duration {
		if strings.HasPrefix(session, "fresh") {
			return 0
		}
		return never
	})
	if err != nil {
		return err
	}
	defer e.close()
	p := &pair{}
	for _, gate := range []**process{&p.crowded, &p.empty} {
		if *gate, err = b.start(ctx, wholeGate, before{engine: e.url()}); err != nil {
			return err
		}
		defer (*gate).stop()
		b.sayf("waiters: a gateway is at %s %s", (*gate).URL, (*gate).Admin)
	}
	return w.compare(ctx, b, p)
}

// compare fills one gate and compares the two while it is full.
func (w waiters) compare(ctx context.Context, b *bench, p *pair) error {
	if err := w.prepare(ctx, p); err != nil {
		return err
	}
	if err := w.play(ctx, p, 1); err != nil { // warms both up, and lets their memory grow to its usual size
		return err
	}
	*p = pair{crowded: p.crowded, empty: p.empty}
	idle, err := p.crowded.memory(ctx)
	if err != nil {
		return err
	}
	b.sayf("waiters: %d requests come", w.Held)
	crowd, err := w.hold(ctx, p.crowded)
	defer crowd.close()
	if err != nil {
		return err
	}
	full, err := p.crowded.memory(ctx)
	if err != nil {
		return err
	}
	b.sayf("waiters: all are held")
	if err := w.play(ctx, p, w.Rounds); err != nil {
		return err
	}
	still, err := p.crowded.gauge(ctx, slots)
	if err != nil {
		return err
	}
	full.resident = max(full.resident, float64(rss(p.crowded.cmd.Process.Pid)))
	freed, err := w.release(ctx, p.crowded, &crowd)
	if err != nil {
		return err
	}
	w.report(b, p, outcome{idle, full, int(still), freed})
	return nil
}

// prepare makes the sessions: those that are waited for, and one with a fresh QR at each gate.
func (w waiters) prepare(ctx context.Context, p *pair) error {
	user := newClient(p.crowded.URL)
	defer user.close()
	group, ctx := errgroup.WithContext(ctx)
	for i := range w.Sessions {
		group.Go(func() error {
			if err := user.begin(ctx, w.key(i), w.session(i)); err != nil {
				return err
			}
			// qrgate holds requests of a key that the engine accepted; this one finds that out.
			_, _, err := user.ask(ctx, "GET", user.base+"/api/sessions/"+w.session(i)+"/qr?wait=1", w.key(i), "")
			return err
		})
	}
	for i, gate := range []*process{p.crowded, p.empty} {
		group.Go(func() error { return freshen(ctx, gate, fmt.Sprintf("fresh-%d", i)) })
	}
	return group.Wait()
}

// freshen makes a session whose QR is there, and gets it once.
func freshen(ctx context.Context, gate *process, session string) error {
	user := newClient(gate.URL)
	defer user.close()
	if err := user.begin(ctx, "key-other", session); err != nil {
		return err
	}
	a, err := user.qr(ctx, "key-other", session)
	if err == nil && a.got.IsZero() {
		err = errors.New("the session that should have a QR has none")
	}
	return err
}

func (w waiters) session(i int) string { return fmt.Sprintf("held-%d", i) }

func (w waiters) key(i int) string {
	return fmt.Sprintf("key-%d", i%(w.Held/perTenant+1))
}

// held are connections with a request on each, which nobody reads.
type held []net.Conn

func (h *held) close() {
	for _, conn := range *h {
		_ = conn.Close()
	}
	*h = nil
}

// hold sends the requests and waits until qrgate holds them all.
func (w waiters) hold(ctx context.Context, gate *process) (held, error) {
	var all held
	host := strings.TrimPrefix(gate.URL, "http://")
	for i := range w.Held {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", host)
		if err != nil {
			return all, err
		}
		all = append(all, conn)
		session := i % w.Sessions
		if _, err := conn.Write(get("/api/sessions/"+w.session(session)+"/qr?wait=60", w.key(session))); err != nil {
			return all, err
		}
	}
	var n float64
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := until(ctx, func() (ok bool, err error) {
		n, err = gate.gauge(ctx, slots)
		return int(n) >= w.Held, err
	})
	if err != nil {
		return all, fmt.Errorf("qrgate holds %.0f of %d requests: %w", n, w.Held, err)
	}
	return all, nil
}

// release lets all waiting clients leave at once, and tells how long qrgate takes to notice.
func (w waiters) release(ctx context.Context, gate *process, crowd *held) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	began := time.Now()
	crowd.close()
	err := until(ctx, func() (bool, error) {
		n, err := gate.gauge(ctx, slots)
		return n == 0, err
	})
	return time.Since(began), err
}

// play lets another tenant ask both gates for a QR that is there, in turns.
func (w waiters) play(ctx context.Context, p *pair, rounds int) error {
	for round := range rounds {
		for i := range 2 {
			which := (i + round) % 2
			gate := []*process{p.crowded, p.empty}[which]
			turn := load{to: gate.URL, requests: [][]byte{get(fmt.Sprintf("/api/sessions/fresh-%d/qr", which), "key-other")}, conns: 4, lasts: w.Turn}
			spent := cpu(p.crowded.cmd.Process.Pid)
			t, err := turn.run(ctx)
			if err != nil {
				return err
			}
			if which == 1 {
				p.holding = append(p.holding, (cpu(p.crowded.cmd.Process.Pid)-spent).Seconds()/t.over.Seconds())
			}
			p.rate[which] = append(p.rate[which], t.rate())
			p.took[which] = append(p.took[which], float64(quantile(t.took, 0.99))/float64(time.Millisecond))
			p.all[which] = append(p.all[which], t.took...)
		}
	}
	return nil
}

// outcome is what became of the crowded gate.
type outcome struct {
	idle, full memory
	still      int           // requests that were held at the end
	freed      time.Duration // until it noticed that all clients had left
}

func (w waiters) report(b *bench, p *pair, m outcome) {
	kib := func(full, idle float64) float64 { return (full - idle) / float64(w.Held) / 1024 }
	each := kib(m.full.resident, m.idle.resident)
	t := table{title: fmt.Sprintf("waiters: %d waiting requests for %d sessions", w.Held, w.Sessions), head: []string{"", "", ""}}
	t.add("memory per waiting request", fmt.Sprintf("%.1f KiB", each), fmt.Sprintf("target ≤ %d KiB: %s", heldMemory, verdict(each <= heldMemory)))
	t.add("  of it stacks", fmt.Sprintf("%.1f KiB", kib(m.full.stacks, m.idle.stacks)), "")
	t.add("  of it heap, what waits to be collected included", fmt.Sprintf("%.1f KiB", kib(m.full.heap, m.idle.heap)), "")
	t.add("memory of qrgate", fmt.Sprintf("%.0f MiB, %.0f MiB before", m.full.resident/(1<<20), m.idle.resident/(1<<20)), "")
	t.add("processor time of holding them", fmt.Sprintf("%.0f %% of one", 100*median(p.holding)), "")
	t.add("still held at the end", fmt.Sprint(m.still), "")
	t.add("all slots free after the clients left", ms(m.freed), "target ≤ 1 s: "+verdict(m.freed <= time.Second))
	t.write(b.out)
	u := table{title: fmt.Sprintf("waiters: another key's fresh QR, %d turns of %v each", w.Rounds, w.Turn), head: []string{"gate", "requests/s", "p50", "p99"}}
	for i, name := range []string{"full of waiters", "empty"} {
		u.add(name, fmt.Sprintf("%.0f", median(p.rate[i])), ms(quantile(p.all[i], 0.5)), ms(quantile(p.all[i], 0.99)))
	}
	u.add("full / empty", spread(ratios(p.rate[0], p.rate[1])), "", spread(ratios(p.took[0], p.took[1])))
	u.write(b.out)
}
