package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// waiters measures the cost of waiting requests: a gateway with thousands of them beside one without.
type waiters struct {
	Held     int           `default:"5000" help:"Waiting requests. The gateway's limit is higher, because the other key needs a few."`
	Sessions int           `default:"100" help:"Sessions that they wait for; the limit is 200 per session."`
	Rounds   int           `default:"35" help:"Turns of each gateway."`
	Turn     time.Duration `default:"500ms" help:"Length of a turn; all turns must fit into 40 s, because a wait ends after 60 s."`
	Wakings  int           `default:"5" help:"How often all clients disconnect, and how often all get their QRs."`
}

// perTenant is below the limit of waiting requests per key.
const perTenant = 500

// maxKiB is the target for the resident memory of a waiting request.
const maxKiB = 36

// maxWake is the target for the time from a session's first response to its last.
const maxWake = 250 * time.Millisecond

// slots is the name of the gauge of waiting requests.
const slots = `qrgate_waiters{engine="default"}`

// pair is two gateways in front of one engine.
type pair struct {
	crowded, empty *process
	rate, took     [2][]float64 // of every turn: requests/s; p99 in ms
	all            [2][]time.Duration
	holding        []float64 // share of one processor that the gateway with waiters uses while it is idle
}

func (w waiters) measure(ctx context.Context, b *bench) error {
	if 2*time.Duration(w.Rounds+1)*w.Turn > 40*time.Second {
		return errors.New("--rounds and --turn: two gates have a turn in each round and in one before, and 40 s is all there is")
	}
	e, err := startEngine(func(session string) delay {
		if strings.HasPrefix(session, "fresh") {
			return 0
		}
		return onRelease
	})
	if err != nil {
		return err
	}
	defer e.close()
	p := &pair{}
	for _, gate := range []**process{&p.crowded, &p.empty} {
		if *gate, err = b.start(ctx, wholeGateway, before{engine: e.url()}); err != nil {
			return err
		}
		defer (*gate).stop()
		b.logf("waiters: a gateway is at %s %s", (*gate).URL, (*gate).Admin)
	}
	return w.compare(ctx, b, e, p)
}

// compare fills one gateway, compares the two while it is full, and then empties and fills it repeatedly.
func (w waiters) compare(ctx context.Context, b *bench, e *engine, p *pair) error {
	for i, gate := range []*process{p.crowded, p.empty} {
		if err := freshen(ctx, gate, "key-other", fmt.Sprintf("fresh-%d", i)); err != nil {
			return err
		}
	}
	if err := w.play(ctx, p, 1); err != nil { // to warm both up, and for their usual memory
		return err
	}
	*p = pair{crowded: p.crowded, empty: p.empty}
	out, err := w.compareFull(ctx, b, p)
	if err != nil {
		return err
	}
	for round := range w.Wakings {
		freed, woken, err := w.playRound(ctx, e, p.crowded, round)
		if err != nil {
			return err
		}
		out.add(freed, woken)
		b.logf("waiters: round %d of %d: freed after %v, woken within %v", round+1, w.Wakings, freed, out.last[round])
	}
	w.report(b, p, out)
	return nil
}

// compareFull measures the memory of the full gateway, and compares it with the empty one.
func (w waiters) compareFull(ctx context.Context, b *bench, p *pair) (out outcome, err error) {
	ofComparison := w.Wakings // the other rounds have the numbers from 0 on
	if err := w.begin(ctx, p.crowded, ofComparison); err != nil {
		return out, err
	}
	if out.idle, err = p.crowded.memory(ctx); err != nil {
		return out, err
	}
	b.logf("waiters: %d requests start", w.Held)
	crowd, err := w.hold(ctx, p.crowded, ofComparison)
	defer crowd.close()
	if err != nil {
		return out, err
	}
	if out.full, err = p.crowded.memory(ctx); err != nil {
		return out, err
	}
	if err := w.play(ctx, p, w.Rounds); err != nil {
		return out, err
	}
	still, err := p.crowded.gauge(ctx, slots)
	out.still = int(still)
	out.full.resident = max(out.full.resident, float64(rss(p.crowded.cmd.Process.Pid)))
	return out, err
}

// playRound lets all requests wait for new sessions: once until their clients disconnect, and once until they get QRs.
func (w waiters) playRound(ctx context.Context, e *engine, gate *process, round int) (freed time.Duration, woken wakings, err error) {
	if err := w.begin(ctx, gate, round); err != nil {
		return 0, woken, err
	}
	crowd, err := w.hold(ctx, gate, round)
	defer func() { crowd.close() }()
	if err != nil {
		return 0, woken, err
	}
	if freed, err = w.release(ctx, gate, &crowd); err != nil {
		return 0, woken, err
	}
	if crowd, err = w.hold(ctx, gate, round); err != nil {
		return 0, woken, err
	}
	woken, err = w.wake(ctx, e, crowd, round)
	return freed, woken, err
}

// begin creates the sessions that a round waits for.
func (w waiters) begin(ctx context.Context, gate *process, round int) error {
	user := newClient(gate.URL)
	defer user.close()
	group, ctx := errgroup.WithContext(ctx)
	for i := range w.Sessions {
		group.Go(func() error {
			if err := user.begin(ctx, w.key(i), w.session(round, i)); err != nil {
				return err
			}
			// only requests with a key that the engine has accepted wait; this request makes it known
			_, _, err := user.ask(ctx, "GET", user.base+"/api/sessions/"+w.session(round, i)+"/qr?wait=1", w.key(i), "")
			return err
		})
	}
	return group.Wait()
}

// freshen creates a session with a QR, and gets the QR once.
func freshen(ctx context.Context, gate *process, key, session string) error {
	user := newClient(gate.URL)
	defer user.close()
	if err := user.begin(ctx, key, session); err != nil {
		return err
	}
	a, err := user.qr(ctx, key, session)
	if err == nil && a.got.IsZero() {
		err = errors.New("the session that should have a QR has none")
	}
	return err
}

func (w waiters) session(round, i int) string { return fmt.Sprintf("held-%d-%d", round, i) }

func (w waiters) key(i int) string {
	return fmt.Sprintf("key-%d", i%(w.Held/perTenant+1))
}

// held is a set of connections, each with a waiting request.
type held []net.Conn

func (h *held) close() {
	for _, conn := range *h {
		_ = conn.Close()
	}
	*h = nil
}

// hold sends the requests and waits until all are waiting.
func (w waiters) hold(ctx context.Context, gate *process, round int) (held, error) {
	var all held
	host := strings.TrimPrefix(gate.URL, "http://")
	for i := range w.Held {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", host)
		if err != nil {
			return all, err
		}
		all = append(all, conn)
		session := i % w.Sessions
		if _, err := conn.Write(get("/api/sessions/"+w.session(round, session)+"/qr?wait=60", w.key(session))); err != nil {
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
		return all, fmt.Errorf("%.0f of %d requests are waiting: %w", n, w.Held, err)
	}
	return all, nil
}

// wakings is how long waiting requests took to get their QR.
type wakings struct {
	last  []time.Duration // of each session: from its first response to its last
	added []time.Duration // of each request: from the code's existence
}

// wake lets all codes exist and reads all responses.
func (w waiters) wake(ctx context.Context, e *engine, all held, round int) (wakings, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	at := make([]time.Time, len(all))
	group, _ := errgroup.WithContext(ctx)
	for i, conn := range all {
		group.Go(func() error {
			defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
			status, err := readAnswer(bufio.NewReaderSize(conn, 1024))
			if err == nil && status != 200 {
				err = fmt.Errorf("%w: a waiting request got %d", errRefused, status)
			}
			at[i] = time.Now()
			return err
		})
	}
	e.release()
	if err := group.Wait(); err != nil {
		return wakings{}, err
	}
	var t wakings
	first, last := make([]time.Time, w.Sessions), make([]time.Time, w.Sessions)
	for i, arrived := range at {
		s := i % w.Sessions
		if first[s].IsZero() || arrived.Before(first[s]) {
			first[s] = arrived
		}
		last[s] = later(last[s], arrived)
		t.added = append(t.added, arrived.Sub(e.readyAt(w.session(round, s))))
	}
	for s := range first {
		t.last = append(t.last, last[s].Sub(first[s]))
	}
	return t, nil
}

// release disconnects all waiting clients at once, and returns how long qrgate takes to notice.
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

// play requests an existing QR of another tenant from both gateways, in turns.
func (w waiters) play(ctx context.Context, p *pair, rounds int) error {
	for round := range rounds {
		for i := range 2 {
			which := (i + round) % 2
			gate := []*process{p.crowded, p.empty}[which]
			turn := load{to: gate.URL, requests: [][]byte{get(fmt.Sprintf("/api/sessions/fresh-%d/qr?wait=20", which), "key-other")}, conns: 4, lasts: w.Turn}
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

// outcome is the result of the gateway with waiters. Its times have one element for each round.
type outcome struct {
	idle, full          memory
	still               int             // requests that still waited after the comparison
	freed               []time.Duration // until it noticed that all clients had disconnected
	last, median, added []time.Duration // of the sessions' last responses; see wakings
	late                []time.Duration // the 99th percentile of added
}

func (o *outcome) add(freed time.Duration, t wakings) {
	o.freed = append(o.freed, freed)
	o.last, o.median = append(o.last, quantile(t.last, 1)), append(o.median, quantile(t.last, 0.5))
	o.added, o.late = append(o.added, quantile(t.added, 0.5)), append(o.late, quantile(t.added, 0.99))
}

// middle formats the median of the rounds and their range.
func middle(rounds []time.Duration) string {
	return fmt.Sprintf("%s  [%s … %s]", ms(quantile(slices.Clone(rounds), 0.5)), ms(slices.Min(rounds)), ms(slices.Max(rounds)))
}

func (w waiters) report(b *bench, p *pair, m outcome) {
	kib := func(full, idle float64) float64 { return (full - idle) / float64(w.Held) / 1024 }
	each := kib(m.full.resident, m.idle.resident)
	t := table{title: fmt.Sprintf("waiters: %d waiting requests for %d sessions; medians of %d rounds", w.Held, w.Sessions, w.Wakings),
		head: []string{"", "", ""}}
	t.add("memory per waiting request", fmt.Sprintf("%.1f KiB", each), fmt.Sprintf("target ≤ %d KiB: %s", maxKiB, verdict(each <= maxKiB)))
	t.add("  of it stacks", fmt.Sprintf("%.1f KiB", kib(m.full.stacks, m.idle.stacks)), "")
	t.add("  of it heap, garbage included", fmt.Sprintf("%.1f KiB", kib(m.full.heap, m.idle.heap)), "")
	t.add("memory of qrgate", fmt.Sprintf("%.0f MiB, %.0f MiB before", m.full.resident/(1<<20), m.idle.resident/(1<<20)), "")
	t.add("processor time of the waiting requests", fmt.Sprintf("%.0f %% of one", 100*median(p.holding)), "")
	t.add("still waiting at the end", fmt.Sprint(m.still), "")
	freed, last := quantile(slices.Clone(m.freed), 0.5), quantile(slices.Clone(m.last), 0.5)
	t.add("all slots free after all clients disconnect", middle(m.freed), "target ≤ 1 s: "+verdict(freed <= time.Second))
	t.add("last waiter of a session after the first, all codes at once", middle(m.last),
		fmt.Sprintf("target ≤ %v: %s", maxWake, verdict(last <= maxWake)))
	t.add("  median of the sessions", middle(m.median), "")
	t.add("a QR after its code exists at the engine, p50", middle(m.added), "")
	t.add("  p99", middle(m.late), "")
	b.report(t)
	u := table{title: fmt.Sprintf("waiters: another key's fresh QR, %d turns of %v each", w.Rounds, w.Turn), head: []string{"qrgate", "requests/s", "p50", "p99"}}
	for i, name := range []string{"full of waiters", "empty"} {
		u.add(name, fmt.Sprintf("%.0f", median(p.rate[i])), ms(quantile(p.all[i], 0.5)), ms(quantile(p.all[i], 0.99)))
	}
	u.add("full / empty", spread(ratios(p.rate[0], p.rate[1])), "", spread(ratios(p.took[0], p.took[1])))
	b.report(u)
}
