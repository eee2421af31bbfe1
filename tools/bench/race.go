package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// race is a measurement of several servers in alternating turns: A, B, C, B, C, A and so on.
type race struct {
	Rounds int           `default:"20" help:"Turns of each server."`
	Turn   time.Duration `default:"1s" help:"Length of a turn; wrk's are whole seconds."`
	Conns  int           `default:"8" help:"Connections of the load."`
}

// contender is one server with all its turns.
type contender struct {
	name string
	*process
	path func(round int) string // of the requests of a round

	rate     []float64 // requests/s of each turn
	p50, p99 []float64 // of each turn, in ms
	requests int       // of all turns
	cpu      time.Duration
}

// cost is the processor time of one request in µs, over all turns: the kernel counts it in steps of 10 ms.
func (c *contender) cost() float64 {
	return float64(c.cpu.Microseconds()) / float64(max(c.requests, 1))
}

// starter starts a contender. A process of nil means that it is not installed.
type starter struct {
	name  string
	start func() (*process, error)
}

// startAll starts contenders. stop ends those that were started, also after an error.
func (b *bench) startAll(starters []starter) (contenders []*contender, stop func(), err error) {
	stop = func() {
		for _, c := range contenders {
			c.stop()
		}
	}
	for _, s := range starters {
		started, err := s.start()
		if err != nil {
			return contenders, stop, err
		}
		if started != nil {
			b.logf("%s is at %s %s", s.name, started.URL, started.Admin)
			contenders = append(contenders, &contender{name: s.name, process: started})
		}
	}
	return contenders, stop, nil
}

// run runs one turn of each contender to warm up, and then the rounds. before, if not nil, prepares a round.
func (r race) run(ctx context.Context, b *bench, contenders []*contender, before func(round int) error) error {
	for round := range r.Rounds + 1 {
		if before != nil {
			if err := before(round); err != nil {
				return err
			}
		}
		for i := range contenders {
			c := contenders[(i+round)%len(contenders)]
			spent := cpu(c.cmd.Process.Pid)
			t, err := r.turn(ctx, b, c, round)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			if round == 0 {
				continue
			}
			c.cpu += cpu(c.cmd.Process.Pid) - spent
			c.requests += t.requests
			c.rate, c.p50, c.p99 = append(c.rate, t.rate), append(c.p50, t.p50), append(c.p99, t.p99)
		}
		b.logf("round %d of %d", round, r.Rounds)
	}
	return nil
}

// outcomeOfTurn is the result of one turn; the quantiles are in ms.
type outcomeOfTurn struct {
	rate, p50, p99 float64
	requests       int
}

// turn sends the load of one turn, by wrk if it is installed: it takes less processor time from the measured server.
func (r race) turn(ctx context.Context, b *bench, c *contender, round int) (outcomeOfTurn, error) {
	if path, ok := installed(b.wrkPath); ok && r.Turn >= time.Second {
		return r.wrk(ctx, path, c.URL+c.path(round))
	}
	l := load{to: c.URL, requests: [][]byte{get(c.path(round), benchKey)}, conns: r.Conns, lasts: r.Turn}
	t, err := l.run(ctx)
	slices.Sort(t.took)
	ms := func(q float64) float64 { return float64(quantile(t.took, q)) / float64(time.Millisecond) }
	return outcomeOfTurn{rate: t.rate(), p50: ms(0.5), p99: ms(0.99), requests: len(t.took)}, err
}

// benchKey is the API key of a race.
const benchKey = "key-bench"

// What wrk prints.
var (
	wrkRate     = regexp.MustCompile(`Requests/sec: +([\d.]+)`)
	wrkRequests = regexp.MustCompile(`(\d+) requests in`)
	wrkQuantile = regexp.MustCompile(`(50|99)% +([\d.]+)(us|ms|s)`)
	wrkErrors   = regexp.MustCompile(`(?:Non-2xx|Socket errors).*`)
)

// wrk sends the load of one turn by wrk.
func (r race) wrk(ctx context.Context, path, url string) (outcomeOfTurn, error) {
	cmd := exec.CommandContext(ctx, path, "-t1", fmt.Sprintf("-c%d", r.Conns), fmt.Sprintf("-d%d", int(r.Turn.Seconds())),
		"--latency", "-H", "X-API-Key: "+benchKey, "-H", "Accept: application/json", url)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return outcomeOfTurn{}, err
	}
	return readWrk(out)
}

// readWrk reads what wrk prints.
func readWrk(out []byte) (t outcomeOfTurn, err error) {
	if failed := wrkErrors.Find(out); failed != nil {
		return t, fmt.Errorf("wrk: %s", failed)
	}
	rate, requests := wrkRate.FindSubmatch(out), wrkRequests.FindSubmatch(out)
	if rate == nil || requests == nil {
		return t, fmt.Errorf("wrk printed no rate: %s", out)
	}
	t.rate, _ = strconv.ParseFloat(string(rate[1]), 64)
	t.requests, _ = strconv.Atoi(string(requests[1]))
	for _, m := range wrkQuantile.FindAllSubmatch(out, -1) {
		value, _ := strconv.ParseFloat(string(m[2]), 64)
		value *= map[string]float64{"us": 1e-3, "ms": 1, "s": 1e3}[string(m[3])]
		if string(m[1]) == "50" {
			t.p50 = value
		} else {
			t.p99 = value
		}
	}
	return t, nil
}

// comparison is a ratio of two contenders. A target of 0 is none.
type comparison struct {
	of, than string
	target   float64
}

// report prints the contenders and their ratios.
func (r race) report(b *bench, title string, contenders []*contender, comparisons []comparison) {
	by := map[string]*contender{}
	t := table{title: fmt.Sprintf("%s: %d connections, %d turns of %v each; medians", title, r.Conns, r.Rounds, r.Turn),
		head: []string{"server", "requests/s", "p50", "p99", "processor time per request"}}
	for _, c := range contenders {
		by[c.name] = c
		t.add(c.name, fmt.Sprintf("%.0f", median(c.rate)), fmt.Sprintf("%.2f ms", median(c.p50)),
			fmt.Sprintf("%.2f ms", median(c.p99)), fmt.Sprintf("%.1f µs", c.cost()))
	}
	b.report(t)
	u := table{title: title + ": ratios, each of two turns of one round; median [lowest … highest]",
		head: []string{"", "requests/s", "processor time", ""}}
	for _, p := range comparisons {
		of, than := by[p.of], by[p.than]
		if of == nil || than == nil {
			continue
		}
		rate, note := ratios(of.rate, than.rate), ""
		if p.target > 0 {
			note = fmt.Sprintf("target ≥ %.2f: %s", p.target, verdict(median(rate) >= p.target))
		}
		u.add(p.of+" / "+p.than, spread(rate), spread(ratios([]float64{of.cost()}, []float64{than.cost()})), note)
	}
	b.report(u)
}
