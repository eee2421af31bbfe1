package probes_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/internal/test/enginesim"
	"qrgate/probes"
)

// rig is a prober for a simulated engine, in fake time.
type rig struct {
	*testing.T
	engine *enginesim.Engine
	target probes.Target
	dir    string
	seen   *tally
}

// bubble runs test in fake time.
func bubble(t *testing.T, engine *enginesim.Engine, test func(*rig)) {
	t.Helper()
	bubbleBefore(t, engine, engine, test)
}

// bubbleBefore runs test in fake time with a handler in place of the engine.
func bubbleBefore(t *testing.T, engine *enginesim.Engine, front http.Handler, test func(*rig)) {
	t.Helper()
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		wire := enginesim.NewWire(front)
		go func() { _ = wire.Run() }()
		defer wire.Close()
		defer engine.Close()
		base, _ := url.Parse(wire.URL())
		client := wire.Client()
		defer client.CloseIdleConnections()
		test(&rig{T: t, engine: engine, dir: dir, seen: newTally(), target: probes.Target{URL: base, Key: secret.NewSecret("key-probe"), Client: client}})
	})
}

// prober makes a prober for the rig's engine.
func (r *rig) prober(changes ...func(*probes.Config)) *probes.Prober {
	r.Helper()
	cfg := probes.Config{Target: r.target, Intents: probes.NewFileIntents(r.dir), Observer: r.seen, Random: func() float64 { return 0 }}
	for _, change := range changes {
		change(&cfg)
	}
	p, err := probes.New(cfg)
	if err != nil {
		r.Fatal(err)
	}
	return p
}

// only schedules one probe.
func only(name string, every time.Duration) func(*probes.Config) {
	return func(c *probes.Config) { c.Every = map[string]time.Duration{name: every} }
}

// start runs a prober until stop, which waits for its end.
func (r *rig) start(p *probes.Prober) (stop func()) {
	ctx, cancel := context.WithCancel(r.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			r.Errorf("Run ends with %v", err)
		}
	}
}

// leftovers are the sessions of probes that the engine still has.
func (r *rig) leftovers() (names []string) { return leftovers(r.engine) }

func leftovers(e *enginesim.Engine) (names []string) {
	for _, s := range e.Snapshot() {
		if strings.HasPrefix(s.Name, "syn-") {
			names = append(names, s.Name)
		}
	}
	return names
}

// clean fails the test when a session of a probe or an intent is left.
func (r *rig) clean() {
	r.Helper()
	if left := r.leftovers(); len(left) > 0 {
		r.Errorf("the engine still has %v", left)
	}
	if open, err := probes.NewFileIntents(r.dir).Open(r.Context()); err != nil || len(open) > 0 {
		r.Errorf("intents are still open: %v %v", open, err)
	}
}

// wants fails the test when a run ended otherwise.
func (r *rig) wants(run probes.Result, outcome session.Outcome, code diagnosis.Code) {
	r.Helper()
	if run.Outcome != outcome || run.Code() != code {
		r.Fatalf("%s ends in %s %s, want %s %s: %+v %+v", run.Probe, run.Outcome, run.Code(), outcome, code, run, run.Diagnosis)
	}
}

// tally counts the calls of an observer.
type tally struct {
	mu      sync.Mutex
	ran     map[string]int // :: probe and diagnosis
	missed  map[string]int // :: probe and reason
	steps   map[string]int // :: step and ok
	leads   bool
	orphans int
	at      []time.Time // of runs
}

func newTally() *tally {
	return &tally{ran: map[string]int{}, missed: map[string]int{}, steps: map[string]int{}}
}

func (c *tally) ObserveRun(probe string, why diagnosis.Code, at time.Time, _ time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ran[probe+" "+string(why)]++
	c.at = append(c.at, at)
}

func (c *tally) Step(step string, ok bool, _ time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !ok {
		step += " failed"
	}
	c.steps[step]++
}

func (c *tally) Missed(probe, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.missed[probe+" "+reason]++
}

func (c *tally) SetLeader(leader bool, orphans int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leads, c.orphans = leader, orphans
}

// read reads the counts under the lock.
func (c *tally) read(look func(*tally)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	look(c)
}
