package acquire_test

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

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

// Key A's code is never shown to key B: with memory, with a real Redis, and with one that mixes its answers up.
func TestIsolation_NobodySeesAnotherKeysCode(t *testing.T) {
	t.Parallel()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		// Each run has its own bubble: rapid draws the steps first, because it knows nothing of bubbles.
		rapid.Check(t, func(rt *rapid.T) {
			steps := rapid.SliceOfN(rapid.Custom(drawStep), 3, 20).Draw(rt, "steps")
			synctest.Test(t, func(t *testing.T) {
				strangers(t, steps, memory.New(memory.Config{}), func() {})
			})
		})
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		strangers(t, rapid.SliceOfN(rapid.Custom(drawStep), 24, 24).Example(1), openRedis(t, redistest.Start(t).URL()), func() {})
	})
	t.Run("a redis that answers off by one", func(t *testing.T) {
		t.Parallel()
		d := redistest.StartDesync(t)
		strangers(t, rapid.SliceOfN(rapid.Custom(drawStep), 24, 24).Example(2), bareRedis(t, d.URL()), d.Shift)
		if d.Swapped() == 0 {
			t.Error("no answer was ever mixed up")
		}
	})
}

// stranger is one step: a client asks one replica for the code of a session whose name others use too.
type stranger struct {
	replica int
	key     string
	session int
}

func drawStep(rt *rapid.T) stranger {
	return stranger{rapid.IntRange(0, 1).Draw(rt, "replica"), rapid.SampledFrom([]string{"key-a", "key-b", "key-c"}).Draw(rt, "key"),
		rapid.IntRange(1, 2).Draw(rt, "session")}
}

// strangers lets three keys work on sessions of the same names, on two replicas, and checks
// that every code that comes out was made for the key that asked. spoil is called when all codes are there.
func strangers(t *testing.T, steps []stranger, store store.LeasedStore, spoil func()) {
	engine := &enginesim.Engine{}
	wire := enginesim.NewWire(engine)
	go wire.Run()
	defer wire.Close()
	defer engine.Close()
	base, _ := url.Parse("http://engine.test")
	vault, _ := seal.New(secret.NewSecret("a secret of the tests"))
	r := &rig{t: t, engine: engine, http: wire.Client(), vault: vault, hub: inboxhub.New(base, wire.Client().Transport)}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	start := func() *acquire.Manager {
		p, err := acquire.New(acquire.Config{Engine: r.hub, Sealer: vault, Store: store})
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() { _ = p.Run(ctx) })
		return p
	}
	replicas := []*acquire.Manager{start(), start()}
	for i, key := range []string{"key-a", "key-b", "key-c"} {
		for session := 1; session <= 2; session++ {
			r.manager = replicas[i%2]
			r.connect(key, r.create(key, fmt.Sprintf("crm-%d", session)))
		}
	}
	spoil()
	replicas = []*acquire.Manager{start(), start()} // they know only what the store tells them
	for _, s := range steps {
		id := fmt.Sprintf("crm-%d", s.session)
		v, err := replicas[s.replica].WaitQR(ctx, r.caller(s.key), id, session.WaitPreference{Set: true, For: time.Second})
		if err == nil && v.Session.QR.Present() && !r.madeFor(s.key, id, v.Session.QR.Image) {
			t.Fatalf("%s was shown a code of %s that the engine did not make for it", s.key, id)
		}
	}
}

// madeFor reports whether the engine's own code of key's session is this one.
func (r *rig) madeFor(key, id string, image secret.Secret) bool {
	o, err := r.hub.QR(r.t.Context(), r.caller(key), session.Ref{Name: id})
	return err == nil && o.Image.Equal(image)
}

func openRedis(t *testing.T, redisURL string) store.LeasedStore {
	t.Helper()
	s := bareRedis(t, redisURL)
	return store.NewTiered(s, memory.New(memory.Config{}), nil)
}

// bareRedis has no store behind it that could stand in, and patience on a busy machine.
func bareRedis(t *testing.T, redisURL string) *redis.Store {
	t.Helper()
	s, err := redis.New(redis.Config{URL: secret.NewSecret(redisURL), Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return s
}

// A client without a key may be known to the engine by a cookie, which qrgate does not see as a credential: what it was
// answered must not be shown to others without a key.
func TestIsolation_CallersWithoutAKeyShareNothing(t *testing.T) {
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		nobody := r.caller("")
		now := time.Now()
		code := session.SessionReport{Ref: session.Ref{ID: 61, Name: "crm-1"}, State: session.AwaitingScan, Image: secret.NewSecret("data:image/png;base64,AAAA"), At: now}
		r.manager.OnSessions(r.t.Context(), nobody, []session.SessionReport{code}, true)
		linking := session.SessionReport{Ref: session.Ref{ID: 62, Name: "crm-2"}, State: session.AwaitingScan, Image: code.Image, At: now}
		if err := r.manager.OnConnect(r.t.Context(), nobody, linking, session.Connect); err != nil {
			t.Fatal(err)
		}
		for _, v := range r.manager.Cached(nobody, []session.Ref{code.Ref, linking.Ref}) {
			if v.Authorized {
				t.Errorf("%s is shown to a client that requests the list without a key", v.Session.Ref.Name)
			}
		}
		for _, id := range []string{"crm-1", "crm-2"} {
			v, err := r.manager.WaitQR(r.t.Context(), nobody, id, session.WaitPreference{})
			if v.Authorized || session.KindOf(err) != session.KindKeyRefused {
				t.Errorf("%s: known %t, %v; want the engine's refusal", id, v.Authorized, err)
			}
		}
	})
}
