package redis_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"qrgate/internal/store"
	"qrgate/internal/store/redis"
	"qrgate/internal/test/redistest"
)

// late is far above DefaultTimeout, the limit of a failing operation, so that a busy machine does not fail the test.
const late = time.Second

// operations are all operations, with values that must not appear in an error.
func operations(s *redis.Store) map[string]func(context.Context) error {
	const key, owner = "{canary-key}:qr", "canary-owner"
	return map[string]func(context.Context) error{
		"get": func(ctx context.Context) error { _, err := s.Get(ctx, key, key); return err },
		"put": func(ctx context.Context) error {
			return s.Put(ctx, key, 0, store.Record{Version: 1, Value: []byte("canary-value"), TTL: time.Minute})
		},
		"acquire": func(ctx context.Context) error { _, err := s.Acquire(ctx, key, owner, time.Minute); return err },
		"release": func(ctx context.Context) error { return s.Release(ctx, key, owner) },
		"ping":    s.Ping,
	}
}

// wantDown runs every operation and checks that each fails in time with ErrStoreUnavailable and the given reason,
// without a secret.
func wantDown(t *testing.T, s *redis.Store, because string) {
	t.Helper()
	for op, do := range operations(s) {
		start := time.Now()
		err := do(t.Context())
		took := time.Since(start)
		t.Logf("%s failed after %v: %v", op, took.Round(time.Microsecond), err)
		if !errors.Is(err, store.ErrStoreUnavailable) {
			t.Errorf("%s: %v, want ErrStoreDown", op, err)
			continue
		}
		if text := err.Error(); !strings.HasSuffix(text, because) || strings.Contains(text, "canary") ||
			strings.Contains(text, "127.0.0.1") {
			t.Errorf("%s: %q, want a reason %q and nothing of the call or the address", op, text, because)
		}
		if took > late {
			t.Errorf("%s failed only after %v", op, took)
		}
	}
}

// eventually retries until it succeeds: a reconnect may take a backoff of up to 3 s.
func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	err := try()
	for deadline := time.Now().Add(patient); err != nil; err = try() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: still %v", what, err)
		}
	}
}

func TestStore_HungServerFailsInTime(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	warm := open(t, redis.Config{}, server.URL())
	eventually(t, "first contact", func() error { return warm.Ping(t.Context()) })
	server.Pause()
	t.Run("with open connections", func(t *testing.T) { wantDown(t, warm, "no answer in time") })
	t.Run("never connected", func(t *testing.T) {
		wantDown(t, open(t, redis.Config{}, server.URL()), "no answer in time")
	})
	t.Run("many at once", func(t *testing.T) { // more than the pool has connections
		var work sync.WaitGroup
		for range 100 {
			work.Go(func() {
				start := time.Now()
				_, err := warm.Get(context.Background(), "key")
				if took := time.Since(start); !errors.Is(err, store.ErrStoreUnavailable) || took > late {
					t.Errorf("%v after %v", err, took)
				}
			})
		}
		work.Wait()
	})
	server.Resume()
	eventually(t, "after the pause", func() error { return warm.Ping(t.Context()) })
}

// A retry has no timeout of its own: a hung server costs one timeout, not two.
func TestStore_RetryWithinTimeout(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, redis.Config{Timeout: time.Second}, server.URL())
	if _, err := s.Get(t.Context(), "key"); err != nil {
		t.Fatal(err)
	}
	server.Pause()
	start := time.Now()
	_, err := s.Get(t.Context(), "key")
	if took := time.Since(start); !errors.Is(err, store.ErrStoreUnavailable) || took > 1900*time.Millisecond {
		t.Errorf("%v after %v, with a time-out of 1 s", err, took)
	}
}

// The caller's own deadline applies too, with its own error.
func TestStore_CallerDeadlineApplies(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, redis.Config{Timeout: patient}, server.URL())
	server.Pause()
	defer server.Resume()
	for op, do := range operations(s) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		start := time.Now()
		err := do(ctx)
		if took := time.Since(start); !errors.Is(err, store.ErrStoreUnavailable) ||
			!errors.Is(err, context.DeadlineExceeded) || took > late {
			t.Errorf("%s: %v after %v, want ErrStoreDown and DeadlineExceeded after 50 ms", op, err, took)
		}
		cancel()
	}
}

// A canceled call does not mean that the store is unavailable.
func TestStore_CanceledCaller(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, redis.Config{}, server.URL())
	server.Pause()
	defer server.Resume()
	for op, do := range operations(s) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- do(ctx) }()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) || errors.Is(err, store.ErrStoreUnavailable) {
			t.Errorf("%s: %v, want context.Canceled alone", op, err)
		}
	}
}

func TestStore_PortClosed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Stop()
	wantDown(t, open(t, redis.Config{Timeout: patient}, server.URL()), "connection refused")
}

func TestStore_UnknownHost(t *testing.T) {
	t.Parallel()
	s := open(t, redis.Config{Timeout: patient}, "redis://canary-password@redis.invalid:6379")
	if err := s.Ping(t.Context()); !errors.Is(err, store.ErrStoreUnavailable) || strings.Contains(err.Error(), "invalid") {
		t.Errorf("Ping: %v", err)
	}
}

// A server that closes every connection.
func TestStore_ConnectionsCut(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	})
	defer work.Wait()
	defer func() { _ = listener.Close() }()
	wantDown(t, open(t, redis.Config{Timeout: patient}, "redis://"+listener.Addr().String()), "connection lost")
}

func TestStore_Closed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, redis.Config{Timeout: patient}, server.URL())
	stop := running(t, s)
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop()
	wantDown(t, s, "this store was closed")
	s.Close()
}

// Only the first word of a server's error is passed on; the rest may quote what was sent.
func TestStore_ServerErrors(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--requirepass", "canary-password")
	config := redis.Config{Timeout: patient}
	t.Run("no password", func(t *testing.T) {
		wantDown(t, open(t, config, server.URL()), "the server refused: NOAUTH: set a password")
	})
	t.Run("wrong password", func(t *testing.T) {
		wantDown(t, open(t, config, "redis://:canary-wrong@"+server.Addr()), "the server refused: WRONGPASS: correct user and password")
	})
	t.Run("right password", func(t *testing.T) {
		s := open(t, config, "redis://:canary-password@"+server.Addr())
		if err := s.Ping(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// After a restart with an empty database operations work, other replicas' writes wake watchers, and all watchers are
// woken once because events may have been lost.
func TestStore_RestartedServer(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a, b := open(t, redis.Config{}, server.URL()), open(t, redis.Config{}, server.URL())
	running(t, a)
	running(t, b)
	changed, stop := b.Watch("key")
	defer stop()
	eventually(t, "first Put", func() error { return write(t, a, "key", 1) })
	wantToken(t, changed)
	for round := range 2 {
		server.Stop()
		wantDown(t, a, "connection refused")
		drain(changed)
		server.Restart()
		wantToken(t, changed) // nobody wrote: this one comes from the new subscription
		if r, err := a.Get(t.Context(), "key"); err == nil && r[0].Version != 0 {
			t.Errorf("round %d: a server that restarted empty holds version %d", round, r[0].Version)
		}
		for version := int64(1); version <= 3; version++ {
			drain(changed)
			eventually(t, "Put after restart", func() error { return write(t, a, "key", version) })
			wantToken(t, changed)
		}
	}
}

// The event connection detects a hung server too.
func TestWatch_HungConnection(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	lost := make(chan error, 100)
	s := open(t, redis.Config{Observe: func(op string, _ time.Duration, err error) {
		if op == "subscribe" {
			lost <- err
		}
	}}, server.URL())
	running(t, s)
	if err := <-lost; err != nil {
		t.Fatalf("first subscription: %v", err)
	}
	changed, stop := s.Watch("key")
	defer stop()
	server.Pause()
	select {
	case err := <-lost:
		if !errors.Is(err, store.ErrStoreUnavailable) {
			t.Errorf("the lost subscription was told as %v", err)
		}
	case <-time.After(patient):
		t.Error("the lost subscription was not noticed")
	}
	server.Resume()
	wantToken(t, changed)
}

func write(t *testing.T, s *redis.Store, key string, version int64) error {
	err := s.Put(t.Context(), key, version-1, store.Record{Version: version, Value: []byte("v"), TTL: time.Minute})
	if errors.Is(err, store.ErrVersionConflict) {
		return nil // an earlier try landed though its answer was lost
	}
	return err
}

func wantToken(t *testing.T, changed <-chan struct{}) {
	t.Helper()
	select {
	case <-changed:
	case <-time.After(patient):
		t.Fatal("a watcher was not woken")
	}
}

func drain(changed <-chan struct{}) {
	select {
	case <-changed:
	default:
	}
}
