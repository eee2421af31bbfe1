package webhook_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/internal/secret"
	"qrgate/internal/store"
	"qrgate/internal/webhook"
)

// receiver is a webhook's receiver in memory; respond decides about each attempt.
type receiver struct {
	mu       sync.Mutex
	accepted map[string][]string // events by session
	attempts int
	respond  func(attempt int, at time.Time) (status int, err error)
}

// RoundTrip implements http.RoundTripper.
func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	r.attempts++
	attempt := r.attempts
	r.mu.Unlock()
	status, err := r.respond(attempt, time.Now())
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if status == 200 {
		name := req.Header.Get("X-Webhook-Session")
		r.accepted[name] = append(r.accepted[name], strings.Split(string(body), `"n":`)[1][:1])
	}
	return &http.Response{StatusCode: status, Body: http.NoBody, Request: req}, nil
}

func (r *receiver) received() map[string][]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.accepted) // their slices only grow
}

func newReceiver(respond func(int, time.Time) (int, error)) *receiver {
	return &receiver{accepted: map[string][]string{}, respond: respond}
}

func accept(int, time.Time) (int, error) { return 200, nil }

var (
	webhookSecret = secret.NewSecret("the secret of the webhook")
	discard       = slog.New(slog.DiscardHandler)
)

// rig is a running sender.
type rig struct {
	*webhook.Sender
	*receiver
	dropped atomic.Int64
	queue   webhook.Queue
	stop    func()
}

func start(t *testing.T, table store.Table, r *receiver, options ...func(*webhook.Config)) *rig {
	t.Helper()
	queue, err := webhook.NewTableQueue(table, webhookSecret, discard)
	if err != nil {
		t.Fatal(err)
	}
	target, err := webhook.NewTarget("https://example.com", webhookSecret, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	cfg := webhook.Config{Queue: queue, Target: func(webhook.Event) *webhook.Target { return target }, Logger: discard, Transport: r}
	for _, o := range options {
		o(&cfg)
	}
	g := &rig{receiver: r, queue: queue}
	cfg.OnDropped = func() { g.dropped.Add(1) }
	g.Sender = webhook.NewSender(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := g.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	g.stop = sync.OnceFunc(func() { cancel(); <-done })
	return g
}

func files(t *testing.T) store.Table {
	return store.Files{Dir: t.TempDir(), Suffix: ".event", MaxSize: 1 << 20}
}

func event(session string, n int) webhook.Event {
	e := webhook.NewEvent(webhook.QR, session, map[string]any{"n": n}, time.Now())
	e.ID, e.Order = strconv.Itoa(n)+"-"+session, session
	return e
}

func (g *rig) emit(count int) {
	for _, session := range []string{"one", "two"} {
		for n := range count {
			g.Emit(event(session, n))
		}
	}
}

func (g *rig) stored(t *testing.T) int {
	t.Helper()
	all, err := g.queue.All(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

var inOrder = map[string][]string{"one": {"0", "1", "2"}, "two": {"0", "1", "2"}}

// A receiver that is down for a minute, slow, or answers 500 gets each event, in order per session.
func TestSender_DeliversInOrderAfterFailures(t *testing.T) {
	t.Parallel()
	for name, respond := range map[string]func(attempt int, began, at time.Time) (int, error){
		"down for a minute": func(_ int, began, at time.Time) (int, error) {
			if at.Sub(began) < time.Minute {
				return 0, errors.New("down")
			}
			return 200, nil
		},
		"500 at first": func(attempt int, _, _ time.Time) (int, error) {
			if attempt <= 2 {
				return 500, nil
			}
			return 200, nil
		},
		"slow": func(int, time.Time, time.Time) (int, error) {
			time.Sleep(5 * time.Second)
			return 200, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			table := files(t)
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				g := start(t, table, newReceiver(func(n int, at time.Time) (int, error) { return respond(n, began, at) }))
				defer g.stop()
				synctest.Wait()
				g.emit(3)
				time.Sleep(5 * time.Minute)
				synctest.Wait()
				if diff := cmp.Diff(inOrder, g.received()); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
				if dropped, stored := g.dropped.Load(), g.stored(t); dropped > 0 || stored > 0 {
					t.Errorf("%d events dropped, %d still stored", dropped, stored)
				}
			})
		})
	}
}

// Events of a process that ended before their delivery are delivered by the next one. Those that were stored under
// another secret are removed.
func TestSender_QueueSurvivesTheProcess(t *testing.T) {
	t.Parallel()
	table := files(t)
	synctest.Test(t, func(t *testing.T) {
		g := start(t, table, newReceiver(func(int, time.Time) (int, error) { return 0, errors.New("down") }))
		synctest.Wait()
		g.emit(3)
		time.Sleep(time.Second)
		g.stop()
		if err := table.Put(t.Context(), "9-other", []byte("sealed under another secret")); err != nil {
			t.Fatal(err)
		}
		again := start(t, table, newReceiver(accept))
		defer again.stop()
		time.Sleep(time.Second)
		synctest.Wait()
		if diff := cmp.Diff(inOrder, again.received()); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if n := again.stored(t); n > 0 {
			t.Errorf("%d events still stored", n)
		}
	})
}

// After three attempts an event is dropped and counted, and the next one is tried.
func TestSender_DropsAfterThreeAttempts(t *testing.T) {
	t.Parallel()
	table := files(t)
	synctest.Test(t, func(t *testing.T) {
		g := start(t, table, newReceiver(func(int, time.Time) (int, error) { return 503, nil }))
		defer g.stop()
		synctest.Wait()
		g.emit(1)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if g.attempts != 6 || g.dropped.Load() != 2 || g.stored(t) != 0 {
			t.Errorf("%d attempts, %d dropped, %d stored", g.attempts, g.dropped.Load(), g.stored(t))
		}
	})
}

// failingTable is a table that is unavailable at times.
type failingTable struct {
	store.Table
	mu     sync.Mutex
	isDown bool
}

func (f *failingTable) set(isDown bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.isDown = isDown
}

func (f *failingTable) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.isDown {
		return errors.New("unavailable")
	}
	return nil
}

// Put implements [store.Table].
func (f *failingTable) Put(ctx context.Context, row string, value []byte) error {
	if err := f.err(); err != nil {
		return err
	}
	return f.Table.Put(ctx, row, value)
}

// Drop implements [store.Table].
func (f *failingTable) Drop(ctx context.Context, row string) error {
	if err := f.err(); err != nil {
		return err
	}
	return f.Table.Drop(ctx, row)
}

// Without its queue a sender delivers from memory. An event whose removal failed is not delivered again.
func TestSender_UnavailableQueueLosesNothing(t *testing.T) {
	t.Parallel()
	table := &failingTable{Table: files(t)}
	synctest.Test(t, func(t *testing.T) {
		g := start(t, table, newReceiver(func(n int, _ time.Time) (int, error) {
			table.set(true) // between the delivery and the removal
			return 200, nil
		}), withLeases(&leases{}, "a"))
		defer g.stop()
		g.Emit(event("one", 0))
		time.Sleep(3 * time.Second)
		g.Emit(event("one", 1))
		time.Sleep(3 * time.Second)
		table.set(false)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if diff := cmp.Diff(map[string][]string{"one": {"0", "1"}}, g.received()); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if n := g.stored(t); n > 0 {
			t.Errorf("%d events still stored", n)
		}
	})
}

// leases are leases of replicas in one process.
type leases struct {
	mu    sync.Mutex
	owner string
}

// Acquire implements [store.Leases].
func (l *leases) Acquire(_ context.Context, _, owner string, _ time.Duration) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.owner == "" {
		l.owner = owner
	}
	return l.owner == owner, nil
}

// Release implements [store.Leases].
func (l *leases) Release(_ context.Context, _, owner string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.owner == owner {
		l.owner = ""
	}
	return nil
}

func withLeases(l store.Leases, owner string) func(*webhook.Config) {
	return func(c *webhook.Config) { c.Leases, c.Owner = l, owner }
}

// Of two replicas with one queue, one delivers the events of both, in order; a change that both saw is sent once. The
// other takes over when it ends.
func TestSender_ReplicasDeliverOnce(t *testing.T) {
	t.Parallel()
	table := files(t)
	synctest.Test(t, func(t *testing.T) {
		shared, r := &leases{}, newReceiver(accept)
		a := start(t, table, r, withLeases(shared, "a"))
		b := start(t, table, r, withLeases(shared, "b"))
		defer b.stop()
		for n, g := range []*rig{a, b, b} {
			e := event("one", n)
			e.Same = []string{"code 1", "connected", "connected"}[n]
			g.Emit(e)
			time.Sleep(2 * time.Second)
		}
		a.stop()
		b.Emit(event("one", 3))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if diff := cmp.Diff(map[string][]string{"one": {"0", "1", "3"}}, r.received()); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

// A slow receiver gets no more than 16 requests at once, and does not delay another one.
func TestSender_SlowHostDelaysNoOther(t *testing.T) {
	t.Parallel()
	table := files(t)
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		began, slow, most := time.Now(), 0, 0
		r := &receiver{accepted: map[string][]string{}}
		r.respond = func(attempt int, _ time.Time) (int, error) { return 200, nil }
		transport := roundTrip(func(req *http.Request) (*http.Response, error) {
			if req.URL.Host == "slow.example" {
				mu.Lock()
				slow++
				most = max(most, slow)
				mu.Unlock()
				time.Sleep(6 * time.Second)
				mu.Lock()
				slow--
				mu.Unlock()
			}
			return r.RoundTrip(req)
		})
		g := start(t, table, r, func(c *webhook.Config) {
			c.Transport = transport
			c.Target = func(e webhook.Event) *webhook.Target {
				if e.Session == "fast" {
					return &webhook.Target{URL: "https://fast.example"}
				}
				return &webhook.Target{URL: "https://slow.example"}
			}
		})
		defer g.stop()
		synctest.Wait()
		for n := range 40 {
			g.Emit(event("slow-"+strconv.Itoa(n), 1))
		}
		g.Emit(event("fast", 1))
		synctest.Wait()
		if len(g.received()["fast"]) != 1 || time.Since(began) > time.Second {
			t.Errorf("%v after %v", g.received(), time.Since(began))
		}
		time.Sleep(time.Minute)
		if len(g.received()) != 41 || most != 16 {
			t.Errorf("%d sessions, at most %d at once", len(g.received()), most)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestIsPublic(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"93.184.216.34": true, "2606:2800:220:1::1": true, "127.0.0.1": false, "10.1.2.3": false, "172.16.0.1": false,
		"192.168.1.1": false, "169.254.169.254": false, "100.64.0.1": false, "0.0.0.0": false, "::1": false, "fe80::1": false,
		"fc00::1": false, "::ffff:10.0.0.1": false, "64:ff9b::a00:1": false, "224.0.0.1": false, "255.255.255.255": false,
		"::7f00:1": false, "::ffff:0:a00:1": false, "fec0::1": false, "2002:a00:1::1": false, "2001:0:a00:1::1": false,
	} {
		if got := webhook.IsPublic(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// A name that resolves to a private address is not dialed, and a redirect is not followed.
func TestTarget_PrivateAddressesAndRedirectsAreRefused(t *testing.T) {
	t.Parallel()
	var requests int
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		http.Redirect(w, r, "/again", http.StatusFound)
	}))
	t.Cleanup(srv.Close)
	target := &webhook.Target{URL: strings.Replace(srv.URL, "127.0.0.1", "localhost", 1)}
	err := target.SendOnce(t.Context(), false, event("one", 0))
	if err == nil || !strings.Contains(err.Error(), "private address") || requests != 0 {
		t.Errorf("a name with a private address: %v, %d requests", err, requests)
	}
	err = target.SendOnce(t.Context(), true, event("one", 0))
	if err == nil || err.Error() != "HTTP 302" || requests != 1 {
		t.Errorf("a redirect: %v, %d requests", err, requests)
	}
}

func TestNewTarget(t *testing.T) {
	t.Parallel()
	for at, want := range map[string]string{
		"https://crm.example/hook": "", "http://crm.example": "https", "https://user@crm.example": "https", "": "https",
		"https://:443": "https", "https://crm.example:99999": "https", "ftp://crm.example": "https", "https://10.0.0.1/hook": "private",
		"https://[::ffff:127.0.0.1]": "private", "https://crm.example/" + strings.Repeat("x", 2048): "https",
	} {
		_, err := webhook.NewTarget(at, secret.Secret{}, nil, false)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v", at, err)
		}
	}
	target, err := webhook.NewTarget("http://127.0.0.1", secret.Secret{}, []string{"message.received", webhook.Connected}, true)
	if err != nil || !slices.Equal(target.Kinds, []string{webhook.Connected}) {
		t.Errorf("%+v, %v", target, err)
	}
}
