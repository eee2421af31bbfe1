package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// timeToQR starts sessions at a rate. The engine takes a log-normal time to each QR, and its /qr returns 500 until then.
// The clients are the existing ones, with and without qrgate.
type timeToQR struct {
	Sessions int           `default:"400" help:"Number of sessions."`
	Rate     int           `default:"50" help:"New sessions per second."`
	Tenants  int           `default:"40" help:"Number of API keys."`
	Fan      int           `default:"10" help:"Clients per session, in the rows for many."`
	Median   time.Duration `default:"1520ms" help:"Time to the QR at the engine."`
	P95      time.Duration `default:"5140ms" help:"Its 95th percentile."`
	Pause    time.Duration `default:"5s" help:"Pause of the existing client between two attempts."`
}

// scenario is one row: the clients and their route.
type scenario struct {
	name     string
	gate     bool
	attempts int
	fan      int
}

// results is the outcome of a scenario.
type results struct {
	clients, first, got, fives int
	took, added                []time.Duration // since the connect; since the engine had the code
	polls                      float64         // polls of the engine per session
	cpu                        time.Duration   // of qrgate; 0 without one
}

func (t timeToQR) measure(ctx context.Context, b *bench) error {
	out := table{title: fmt.Sprintf("time-to-qr: %d sessions of %d keys, %d/s; the engine takes p50 %v, p95 %v", t.Sessions, t.Tenants, t.Rate, t.Median, t.P95),
		head: []string{"path", "clients", "QR at the first request", "QR at all", "5xx", "time to QR p50 / p95 / p99", "after the code existed, p50 / p95", "engine calls per session", "qrgate's CPU time per client"}}
	for _, c := range []scenario{
		{"direct, one request", false, 1, 1}, {"direct, 3 requests", false, 3, 1}, {"through qrgate", true, 3, 1},
		{"direct, 3 requests", false, 3, t.Fan}, {"through qrgate", true, 3, t.Fan},
	} {
		b.logf("time-to-qr: %s, %d per session", c.name, c.fan)
		h, err := t.row(ctx, b, c)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		out.add(c.cells(t.Sessions, h)...)
	}
	b.report(out)
	return nil
}

// cells returns one row of the table. Without a QR it has no times.
func (c scenario) cells(sessions int, h results) []string {
	times, late, cost := "–", "–", "–"
	if h.got > 0 {
		times = sec(quantile(h.took, 0.5)) + " / " + sec(quantile(h.took, 0.95)) + " / " + sec(quantile(h.took, 0.99))
		late = sec(quantile(h.added, 0.5)) + " / " + sec(quantile(h.added, 0.95))
	}
	if c.gate {
		cost = ms(h.cpu / time.Duration(max(h.clients, 1)))
	}
	return []string{c.name, fmt.Sprintf("%d × %d", sessions, c.fan), percent(h.first, h.clients), percent(h.got, h.clients), fmt.Sprint(h.fives),
		times, late, fmt.Sprintf("%.1f", h.polls), cost}
}

func percent(of, all int) string { return fmt.Sprintf("%.1f %%", 100*float64(of)/float64(max(all, 1))) }

// row runs one scenario.
func (t timeToQR) row(ctx context.Context, b *bench, c scenario) (results, error) {
	delays := lognormal(t.Sessions, t.Median, t.P95)
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(delays), func(i, j int) { delays[i], delays[j] = delays[j], delays[i] })
	e, err := startEngine(func(session string) delay { return delays[number(session)] })
	if err != nil {
		return results{}, err
	}
	defer e.close()
	user := newClient(e.url())
	user.attempts, user.pause = c.attempts, t.Pause
	defer user.close()
	if !c.gate {
		return t.send(ctx, e, user, c.fan)
	}
	p, err := b.start(ctx, wholeGateway, before{engine: e.url()})
	if err != nil {
		return results{}, err
	}
	defer p.stop()
	b.logf("time-to-qr: qrgate is at %s %s", p.URL, p.Admin)
	user.base = p.URL
	spent := cpu(p.cmd.Process.Pid)
	h, err := t.send(ctx, e, user, c.fan)
	h.cpu = cpu(p.cmd.Process.Pid) - spent
	return h, err
}

// send starts the sessions and waits for the last client.
func (t timeToQR) send(ctx context.Context, e *engine, user client, fan int) (results, error) {
	var h results
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	arrivals := time.NewTicker(time.Second / time.Duration(max(t.Rate, 1)))
	defer arrivals.Stop()
	for i := range t.Sessions {
		group.Go(func() error {
			key, session := fmt.Sprintf("key-%d", i%max(t.Tenants, 1)), fmt.Sprintf("bench-%d", i)
			if err := user.begin(ctx, key, session); err != nil {
				return err
			}
			began := time.Now()
			for range fan {
				group.Go(func() error {
					a, err := user.qr(ctx, key, session)
					mu.Lock()
					defer mu.Unlock()
					h.take(a, began, e.readyAt(session))
					return err
				})
			}
			return nil
		})
		select {
		case <-arrivals.C:
		case <-ctx.Done():
		}
	}
	err := group.Wait()
	h.polls = float64(e.polls()) / float64(t.Sessions)
	return h, err
}

// take counts one client, whose first request was at began; the engine had the code at ready.
func (h *results) take(a asked, began, ready time.Time) {
	h.clients++
	h.fives += a.fives
	if a.got.IsZero() {
		return
	}
	h.got++
	if a.tries == 1 {
		h.first++
	}
	h.took = append(h.took, a.got.Sub(began))
	h.added = append(h.added, a.got.Sub(later(began, ready)))
}

// later returns the later of two times: a code from before the first request was not late.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
