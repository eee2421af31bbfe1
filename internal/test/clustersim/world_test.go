// Package clustersim simulates a cluster in fake time: replicas with their real proxy, acquisition and store code, one
// store that they share, an engine and clients. A seed decides what fails when, how long every message takes, and what
// the clients do. The guarantees of docs/ARCHITECTURE.md are checked over the history.
//
//	go test ./internal/test/clustersim -run TestCluster -args -seed 4711 -history
package clustersim

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"rsc.io/qr"

	"qrgate/compat/inboxhub"
	"qrgate/internal/acquire"
	"qrgate/internal/breaker"
	"qrgate/internal/seal"
	"qrgate/internal/secret"
	"qrgate/internal/store"
	"qrgate/internal/store/memory"
	"qrgate/internal/test/enginesim"
	"qrgate/proxy"
)

// world is one simulation.
type world struct {
	*scenario
	startedAt time.Time
	sealer    *seal.Sealer
	shared    *sharedStore
	upstream  *enginesim.Wire
	oracle    *oracle

	mu       sync.Mutex
	counts   map[string]int
	replicas []*replica // by number; nil while stopped
	lastCode int
}

// replica is one running qrgate.
type replica struct {
	name   string
	wire   *enginesim.Wire
	link   *storeLink
	engine *engineLink
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// run simulates a scenario. It must be called in a bubble.
func run(ctx context.Context, s *scenario) *oracle {
	sealer, _ := seal.New(secret.NewSecret("a secret of the simulation"))
	w := &world{scenario: s, startedAt: time.Now(), sealer: sealer, counts: map[string]int{},
		replicas: make([]*replica, s.replicas)}
	w.oracle = newOracle(w)
	w.shared = &sharedStore{w: w}
	w.shared.reset()
	s.engine.Codes = func(session string, sequence int) string {
		w.lastCode++ // under the engine's lock
		return fmt.Sprintf("2@%s,%d,%d", session, sequence, w.lastCode)
	}
	w.upstream = enginesim.NewWire(w.oracle.watch(s.engine))
	var background sync.WaitGroup
	background.Go(func() { _ = w.upstream.Run() })
	for n := range s.replicas {
		w.start(n)
	}
	for _, f := range s.faults {
		background.Go(func() { w.inject(f) })
	}
	var clients sync.WaitGroup
	for i, f := range s.flows {
		clients.Go(func() { (&client{w: w, ctx: ctx, n: i, flow: f}).run() })
	}
	clients.Wait()
	_ = sleep(ctx, time.Until(w.startedAt.Add(s.healedAt))+time.Second)
	background.Go(func() {
		for n := range w.replicas {
			w.kill(n)
		}
		s.engine.Close()
		w.upstream.Close()
	})
	background.Wait()
	_ = sleep(ctx, time.Second) // net/http waits before it closes a connection
	w.oracle.finish()
	return w.oracle
}

func (w *world) elapsed() time.Duration { return time.Since(w.startedAt) }

// count is how often it was called for what.
func (w *world) count(what string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[what]++
	return w.counts[what]
}

// has reports whether one of some faults concerns a replica now.
func (w *world) has(replica int, any ...faultKind) bool {
	now := w.elapsed()
	return slices.ContainsFunc(w.faults, func(f fault) bool {
		return (f.replica < 0 || f.replica == replica) && f.from <= now && now < f.until && slices.Contains(any, f.kind)
	})
}

// inject starts and ends one fault.
func (w *world) inject(f fault) {
	ctx := context.Background()
	_ = sleep(ctx, f.from)
	switch f.kind {
	case replicaKilled:
		w.kill(f.replica)
	case replicaStops:
		w.stop(f.replica)
	case engineDown, engineRestarts:
		w.engine.Restart()
		w.oracle.observeEngine()
	case engineSlow:
		w.engine.Change(func(e *enginesim.Engine) { e.Latency += 2 * time.Second })
	}
	_ = sleep(ctx, time.Until(w.startedAt.Add(f.until)))
	switch f.kind {
	case replicaKilled, replicaStops:
		w.start(f.replica)
	case engineSlow:
		w.engine.Change(func(e *enginesim.Engine) { e.Latency -= 2 * time.Second })
	case storeRestarts:
		w.shared.reset()
	case storeFailsOver:
		w.shared.failOver()
	}
}

// start starts a replica as internal/app does.
func (w *world) start(n int) {
	r := &replica{name: fmt.Sprintf("replica-%d.%d ", n, w.count(fmt.Sprint("replica", n)))}
	base, _ := url.Parse("http://engine.test")
	transport := w.upstream.Client().Transport.(*http.Transport).Clone()
	transport.DisableCompression, transport.IdleConnTimeout = true, 4*time.Second
	r.engine = &engineLink{w: w, replica: n, name: r.name, next: transport}
	var m *acquire.Manager
	circuit := breaker.New(r.engine, func(_, _ breaker.State) {})
	reported := &reportingTransport{circuit, func() { m.OnEngineUnreachable() }}
	r.link = w.shared.connect(n, r.name)
	local := memory.New(memory.Config{Records: 500})
	tiered := store.NewTiered(r.link, local, nil)
	counter := store.NewReplicaCounter(replicaTable{r.link}, r.name)
	m, err := acquire.New(acquire.Config{Engine: inboxhub.New(base, reported), Sealer: w.sealer, Store: tiered, SharesStore: true,
		Replicas: func() int {
			if tiered.Up() {
				return 1
			}
			return counter.Count()
		}})
	if err != nil {
		panic(err)
	}
	front := proxy.New(proxy.Config{Engine: base, Transport: reported, Acquirer: m, Sealer: w.sealer})
	r.wire = enginesim.NewWire(front)
	var ctx context.Context
	ctx, r.cancel = context.WithCancel(context.Background())
	for _, run := range []func(context.Context) error{m.Run, tiered.Run, counter.Run} {
		r.done.Go(func() { _ = run(ctx) })
	}
	r.done.Go(func() { _ = r.wire.Run() })
	w.mu.Lock()
	w.replicas[n] = r
	w.mu.Unlock()
}

// remove takes a replica out of service; nil if it is not running.
func (w *world) remove(n int) *replica {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.replicas[n]
	w.replicas[n] = nil
	return r
}

// kill ends a replica at once: nothing that it does from now on reaches its peers.
func (w *world) kill(n int) {
	r := w.remove(n)
	if r == nil {
		return
	}
	r.link.isClosed.Store(true)
	r.engine.isClosed.Store(true)
	r.end()
}

// stop ends a replica in order: requests that wait are answered, leases are released.
func (w *world) stop(n int) {
	r := w.remove(n)
	if r == nil {
		return
	}
	r.cancel()
	_ = sleep(context.Background(), 300*time.Millisecond)
	r.link.isClosed.Store(true)
	r.end()
}

func (r *replica) end() {
	r.wire.Close()
	r.cancel()
	r.done.Wait()
	r.engine.next.CloseIdleConnections()
}

// pick returns a running replica for a client's nth request; nil if there is none.
func (w *world) pick(what string, nth int) *replica {
	w.mu.Lock()
	defer w.mu.Unlock()
	running := slices.DeleteFunc(slices.Clone(w.replicas), func(r *replica) bool { return r == nil })
	if len(running) == 0 {
		return nil
	}
	return running[w.draw(len(running), what, nth)]
}

// reportingTransport reports calls that did not reach the engine, as internal/app does.
type reportingTransport struct {
	http.RoundTripper
	onUnreachable func()
}

// RoundTrip implements [http.RoundTripper].
func (t *reportingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := t.RoundTripper.RoundTrip(r)
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		t.onUnreachable()
	}
	return res, err
}

// engineLink is a replica's network to the engine.
type engineLink struct {
	w        *world
	replica  int
	name     string
	isClosed atomic.Bool // the replica was killed
	next     *http.Transport
}

// RoundTrip implements [http.RoundTripper].
func (l *engineLink) RoundTrip(r *http.Request) (*http.Response, error) {
	what := l.name + r.Method + r.URL.Path + r.Header.Get("X-API-Key")
	nth := l.w.count(what)
	isRefused := l.isClosed.Load() || l.w.has(l.replica, engineDown, engineUnlinked) ||
		l.w.has(l.replica, engineFlaps) && l.w.draw(4, what+"flap", nth) > 0
	latency := 200*time.Microsecond + time.Duration(l.w.draw(2000, what, nth))*time.Microsecond
	if !sleep(r.Context(), latency) || isRefused {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		if err := r.Context().Err(); err != nil {
			return nil, err
		}
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	res, err := l.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	isLost := l.isClosed.Load() || l.w.has(l.replica, engineDown) ||
		r.Method != http.MethodGet && l.w.has(l.replica, postsLost) && l.w.draw(2, what+"lost", nth) == 0
	if err == nil && isLost {
		err = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	}
	if err == nil && !sleep(r.Context(), latency) {
		err = r.Context().Err()
	}
	if err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(strings.NewReader(string(body)))
	return res, nil
}

// imageOf is the picture of a code as the engine sends it.
func imageOf(text string) string {
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		panic(err)
	}
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(code.PNG())
}
