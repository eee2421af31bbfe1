package acquire_test

import (
	"context"
	"net/url"
	"sync"
	"testing"
	"time"

	"qrgate/compat/inboxhub"
	"qrgate/internal/acquire"
	"qrgate/internal/seal"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/internal/store"
	"qrgate/internal/store/memory"
	"qrgate/internal/store/redis"
	"qrgate/internal/test/enginesim"
	"qrgate/internal/test/redistest"
)

// replicas are gates that share an engine and a Redis.
type replicas struct {
	*rig
	redis  *redistest.Server
	gates  []*acquire.Manager
	stores []*store.Tiered
}

func startReplicas(t *testing.T, e *enginesim.Engine, n int) *replicas {
	t.Helper()
	wire := enginesim.NewWire(e)
	go wire.Run()
	base, _ := url.Parse("http://engine.test")
	vault, _ := seal.New(secret.NewSecret("a secret of the tests"))
	rs := &replicas{redis: redistest.Start(t)}
	rs.rig = &rig{t: t, engine: e, http: wire.Client(), vault: vault, hub: inboxhub.New(base, wire.Client().Transport)}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for range n {
		far, err := redis.New(redis.Config{URL: secret.NewSecret(rs.redis.URL())})
		if err != nil {
			t.Fatal(err)
		}
		store := store.NewTiered(far, memory.New(memory.Config{}), nil)
		p, err := acquire.New(acquire.Config{Engine: rs.hub, Sealer: vault, Store: store})
		if err != nil {
			t.Fatal(err)
		}
		for _, run := range []func(context.Context) error{far.Run, store.Run, p.Run} {
			wg.Go(func() { _ = run(ctx) })
		}
		rs.gates, rs.stores = append(rs.gates, p), append(rs.stores, store)
	}
	rs.manager = rs.gates[0]
	t.Cleanup(func() { stop(); wg.Wait(); wire.Close(); e.Close() })
	return rs
}

// One replica polls and all of them answer: the engine pays for one.
func TestReplicas_ShareOneAcquisition(t *testing.T) {
	t.Parallel()
	rs := startReplicas(t, &enginesim.Engine{QRDelay: 2 * time.Second}, 3)
	ref := rs.create("key-a", "crm-1")
	began := time.Now()
	rs.connect("key-a", ref)
	var wg sync.WaitGroup
	for _, p := range rs.gates {
		for range 5 {
			wg.Go(func() {
				v, err := p.WaitQR(t.Context(), rs.caller("key-a"), "crm-1", session.WaitPreference{Set: true, For: 8 * time.Second})
				if err != nil || !v.Session.QR.Present() {
					t.Errorf("no QR: %v, %s", err, v.Session.State)
				}
			})
		}
	}
	wg.Wait()
	if n := rs.polls(began); n > 12 {
		t.Errorf("%d polls for three replicas, want about those of one", n)
	}
}

// A delete on one replica ends what the others know.
func TestReplicas_DeleteReachesAll(t *testing.T) {
	t.Parallel()
	rs := startReplicas(t, &enginesim.Engine{}, 2)
	ref := rs.create("key-a", "crm-1")
	rs.connect("key-a", ref)
	for _, p := range rs.gates {
		if v, err := p.WaitQR(t.Context(), rs.caller("key-a"), "crm-1", session.WaitPreference{}); err != nil || !v.Session.QR.Present() {
			t.Fatalf("no QR: %v", err)
		}
	}
	if err := rs.gates[1].Invalidate(t.Context(), rs.caller("key-a"), ref, true); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(5 * time.Second); ; {
		v := rs.gates[0].Cached(rs.caller("key-a"), []session.Ref{ref})[0]
		if !v.Session.QR.Present() {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the other replica still believes %s", v.Session.State)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// Redis vanishes while a QR is being obtained and comes back empty: the client notices nothing, and what it was told
// stays true.
func TestReplicas_RedisMayVanish(t *testing.T) {
	t.Parallel()
	rs := startReplicas(t, &enginesim.Engine{QRDelay: 2 * time.Second}, 1)
	ref := rs.create("key-a", "crm-1")
	rs.connect("key-a", ref)
	rs.redis.Pause()
	began := time.Now()
	v, err := rs.manager.WaitQR(t.Context(), rs.caller("key-a"), "crm-1", session.WaitPreference{Set: true, For: 8 * time.Second})
	if err != nil || !v.Session.QR.Present() {
		t.Fatalf("without Redis: %v, %s", err, v.Session.State)
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("the QR took %v without Redis", took)
	}
	if rs.stores[0].Up() {
		t.Error("the store should know that Redis is away")
	}
	again, err := rs.manager.WaitQR(t.Context(), rs.caller("key-a"), "crm-1", session.WaitPreference{})
	if err != nil || !again.Session.QR.Image.Equal(v.Session.QR.Image) {
		t.Errorf("the second answer differs from the first: %v", err)
	}
	rs.redis.Resume()
	rs.redis.Restart()
	for end := time.Now().Add(15 * time.Second); !rs.stores[0].Up(); {
		if time.Now().After(end) {
			t.Fatal("the store did not heal")
		}
		<-time.After(50 * time.Millisecond)
	}
	if again, err = rs.manager.WaitQR(t.Context(), rs.caller("key-a"), "crm-1", session.WaitPreference{}); err != nil || !again.Session.QR.Present() {
		t.Errorf("after Redis came back empty: %v, %s", err, again.Session.State)
	}
}
