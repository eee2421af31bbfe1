package acquire_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"qrgate/internal/acquire"
	"qrgate/internal/seal"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/internal/store"
	"qrgate/internal/store/memory"
)

// flakyStore is a store that vanishes from time to time, and whose records other replicas overwrite.
type flakyStore struct {
	*memory.Store
	away atomic.Bool
}

func (s *flakyStore) Get(ctx context.Context, keys ...string) ([]store.Record, error) {
	if s.away.Load() {
		return nil, store.ErrStoreUnavailable
	}
	return s.Store.Get(ctx, keys...)
}

func (s *flakyStore) Put(ctx context.Context, key string, prev int64, r store.Record) error {
	if s.away.Load() {
		return store.ErrStoreUnavailable
	}
	return s.Store.Put(ctx, key, prev, r)
}

func (s *flakyStore) Acquire(ctx context.Context, key, owner string, ttl time.Duration) (bool, error) {
	if s.away.Load() {
		return false, store.ErrStoreUnavailable
	}
	return s.Store.Acquire(ctx, key, owner, ttl)
}

// quickEngine gives each session a code some milliseconds after its connect, fails now and then, and knows a session by
// both its ids.
type quickEngine struct {
	mu        sync.Mutex
	connected map[string]time.Time // :: name -> when
}

func (e *quickEngine) code(r session.Ref) (session.SessionReport, error) {
	r = refOf(nameIn(r))
	e.mu.Lock()
	at, ok := e.connected[r.Name]
	e.mu.Unlock()
	switch {
	case rand.IntN(20) == 0:
		return session.SessionReport{Ref: r}, &session.EngineError{Op: session.OpQR, Kind: session.KindUnreachable}
	case !ok || time.Since(at) < 20*time.Millisecond:
		return session.SessionReport{Ref: r}, &session.EngineError{Op: session.OpQR, Kind: session.KindNotReady}
	}
	image := secret.NewSecret(fmt.Sprintf("%s-%d", r.Name, time.Since(at)/(50*time.Millisecond)))
	return session.SessionReport{Ref: r, State: session.AwaitingScan, Image: image, At: time.Now()}, nil
}

func (e *quickEngine) Connect(_ context.Context, _ session.Caller, r session.Ref, _ session.ConnectMode) (session.SessionReport, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if rand.IntN(10) == 0 {
		return session.SessionReport{Ref: r}, &session.EngineError{Op: session.OpConnect, Kind: session.KindServerError}
	}
	e.connected[nameIn(r)] = time.Now()
	return session.SessionReport{Ref: r, State: session.Connecting}, nil
}

func (e *quickEngine) QR(_ context.Context, _ session.Caller, r session.Ref) (session.SessionReport, error) {
	return e.code(r)
}

func (e *quickEngine) Status(_ context.Context, _ session.Caller, r session.Ref) (session.SessionReport, error) {
	return session.SessionReport{Ref: r, State: session.Connecting}, nil
}

func (e *quickEngine) List(context.Context, session.Caller) (session.SessionList, error) {
	e.mu.Lock()
	names := make([]string, 0, len(e.connected))
	for name := range e.connected {
		names = append(names, name)
	}
	e.mu.Unlock()
	list := session.SessionList{At: time.Now()}
	for _, name := range names[:min(len(names), 100)] {
		r, _ := e.code(refOf(name))
		list.Sessions = append(list.Sessions, r)
	}
	return list, nil
}

// nameIn is the name of a session that may be known by its integer alone.
func nameIn(r session.Ref) string {
	if r.Name == "" {
		return fmt.Sprintf("crm-%d", r.ID)
	}
	return r.Name
}

// refOf is the session of a name; its integer is the number in it.
func refOf(name string) session.Ref {
	r := session.Ref{Name: name}
	_, _ = fmt.Sscanf(name, "crm-%d", &r.ID)
	return r
}

// 1,000 sessions, 10,000 waiters, connects, deletes and the loss of the store, all at once: made for the race detector.
// Afterwards nothing is left behind.
func TestManager_StressIsFreeOfRaces(t *testing.T) {
	const sessions, waiters, tenants = 1000, 10_000, 20
	sealer, err := seal.New(secret.NewSecret("a secret of the tests"))
	if err != nil {
		t.Fatal(err)
	}
	st := &flakyStore{Store: memory.New(memory.Config{})}
	m, err := acquire.New(acquire.Config{Engine: &quickEngine{connected: map[string]time.Time{}}, Sealer: sealer, Store: st,
		WaiterLimits: acquire.WaiterLimits{Session: 100, Tenant: 2000, Replica: 20_000, Unauthenticated: 20_000}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	callerOf := func(i int) session.Caller {
		c := session.Caller{Key: secret.NewSecret(fmt.Sprintf("key-%d", i%tenants))}
		c.Tenant = sealer.Tenant(c.Credential())
		return c
	}
	nameOf := func(i int) string { return fmt.Sprintf("crm-%d", i+1) }
	var work sync.WaitGroup
	for i := range sessions {
		work.Go(func() {
			ref := session.Ref{Name: nameOf(i)}
			if i%3 == 0 {
				ref = session.Ref{ID: int64(i + 1)}
			}
			_ = m.OnConnect(ctx, callerOf(i), session.SessionReport{Ref: ref, State: session.Connecting}, session.Connect)
			if i%2 == 0 {
				m.OnSessions(ctx, callerOf(i), []session.SessionReport{{Ref: refOf(nameOf(i)), State: session.Connecting}}, false)
			}
			_, _ = m.OnConnectError(ctx, callerOf(i), refOf(nameOf(i)), &session.EngineError{Op: session.OpConnect, Kind: session.KindServerError}, 0)
		})
	}
	codes := atomic.Int64{}
	for i := range waiters {
		work.Go(func() {
			name := nameOf(i % sessions)
			if i%7 == 0 {
				name = fmt.Sprint(i%sessions + 1)
			}
			wait := session.WaitPreference{Set: true, For: time.Duration(rand.IntN(3000)) * time.Millisecond}
			switch i % 10 {
			case 0:
				if f, err := m.Follow(ctx, callerOf(i%sessions), name); err == nil {
					_, _ = f.Next(ctx, &session.Snapshot{}, wait.For)
					f.Close()
				}
			case 1:
				_, _ = m.Status(ctx, callerOf(i%sessions), name)
				_, _ = m.Get(ctx, callerOf(i%sessions), name)
				m.Cached(callerOf(i%sessions), []session.Ref{refOf(nameOf(i % sessions))})
			default:
				if snap, err := m.WaitQR(ctx, callerOf(i%sessions), name, wait); err == nil && snap.Session.QR.Present() {
					codes.Add(1)
				}
			}
		})
	}
	for i := range sessions / 4 {
		work.Go(func() {
			time.Sleep(time.Duration(rand.IntN(2000)) * time.Millisecond)
			_ = m.Invalidate(ctx, callerOf(i*4), refOf(nameOf(i*4)), i%2 == 0)
			m.OnRateLimits(callerOf(i), []session.RateLimit{{Max: 100_000, Remaining: 99_000, Reset: time.Minute}}, false, 0)
			m.Stats()
		})
	}
	work.Go(func() {
		for range 20 {
			time.Sleep(100 * time.Millisecond)
			st.away.Store(!st.away.Load())
		}
		st.away.Store(false)
	})
	work.Wait()
	if n := m.Stats().Waiters; n != 0 {
		t.Errorf("%d waiters are left", n)
	}
	if codes.Load() == 0 {
		t.Error("no waiter got a code")
	}
	t.Logf("%d of %d waiters got a code", codes.Load(), waiters)
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
