package redis_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
	goredis "github.com/redis/go-redis/v9"

	"qrgate/internal/secret"
	"qrgate/internal/store"
	"qrgate/internal/store/redis"
	"qrgate/internal/test/redistest"
	"qrgate/internal/test/storetest"
)

// patient is the timeout of tests that are not about timeouts.
const patient = 10 * time.Second

// open returns a store on url that is closed when the test ends.
func open(t testing.TB, c redis.Config, url string) *redis.Store {
	t.Helper()
	c.URL = secret.NewSecret(url)
	s, err := redis.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestStore_ConformsOnMiniredis(t *testing.T) {
	t.Parallel()
	mini := miniredis.RunT(t)
	mini.ClockTTL(true)
	t.Run("", func(t *testing.T) { // returns when all of it has, before the server goes
		storetest.Store(t, func(t *testing.T) storetest.Storage {
			return open(t, redis.Config{Timeout: patient}, "redis://"+mini.Addr())
		})
	})
}

func TestStore_ConformsOnRealRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	t.Run("", func(t *testing.T) {
		storetest.Store(t, func(t *testing.T) storetest.Storage {
			return open(t, redis.Config{Timeout: patient}, server.URL())
		})
	})
}

// The suite passes with the documented permissions, as commands and as categories.
func TestStore_ConformsWithRestrictedUser(t *testing.T) {
	t.Parallel()
	for name, rules := range map[string]string{
		"minimal": "~qg:v1:* &qg:v1:* +ping +eval +evalsha +hmget +pttl +hget +hset +pexpire +publish " +
			"+subscribe +get +set +del",
		"categories": "~qg:* &qg:* +@read +@write +@scripting +@pubsub +ping -@dangerous -@admin",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			admin := goredis.NewClient(&goredis.Options{Addr: server.Addr()})
			defer func() { _ = admin.Close() }()
			args := []any{"ACL", "SETUSER", "gate", "reset", "on", ">canary-password"}
			for _, rule := range strings.Fields(rules) {
				args = append(args, rule)
			}
			if err := admin.Do(t.Context(), args...).Err(); err != nil {
				t.Fatal(err)
			}
			url := "redis://gate:canary-password@" + server.Addr()
			t.Run("", func(t *testing.T) {
				storetest.Store(t, func(t *testing.T) storetest.Storage {
					return open(t, redis.Config{Timeout: patient}, url)
				})
			})
			denied := admin.Info(t.Context(), "errorstats").Val()
			if strings.Contains(denied, "errorstat_NOPERM") {
				t.Errorf("the suite made a call that the user may not make:\n%s", denied)
			}
		})
	}
}

// Keys, fields, types and TTLs in Redis are as documented. Events carry only the key.
func TestStore_KeyLayout(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, redis.Config{Timeout: patient}, server.URL())
	raw := goredis.NewClient(&goredis.Options{Addr: server.Addr()})
	defer func() { _ = raw.Close() }()
	events := raw.Subscribe(t.Context(), "qg:v1:ev")
	defer func() { _ = events.Close() }()
	if _, err := events.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := store.Record{Version: 3, Value: []byte("sealed"), TTL: time.Minute}
	if err := s.Put(t.Context(), "{tenant.81}:qr", 2, r); err != nil {
		t.Fatal(err)
	}
	if ok, err := s.Acquire(t.Context(), "{tenant.81}:poll", "replica-1", time.Minute); !ok || err != nil {
		t.Fatal(ok, err)
	}
	event, err := events.ReceiveMessage(t.Context())
	if err != nil || event.Payload != "{tenant.81}:qr" {
		t.Errorf("event: %v, %v", event, err)
	}
	record, lease := "qg:v1:r:{tenant.81}:qr", "qg:v1:l:{tenant.81}:poll"
	if h := raw.HGetAll(t.Context(), record).Val(); len(h) != 2 || h["v"] != "3" || h["b"] != "sealed" {
		t.Errorf("the record is %v", h)
	}
	if owner := raw.Get(t.Context(), lease).Val(); owner != "replica-1" {
		t.Errorf("the lease is %q", owner)
	}
	for _, key := range []string{record, lease} {
		if left := raw.PTTL(t.Context(), key).Val(); left <= 0 || left > time.Minute {
			t.Errorf("%s lives for %v", key, left)
		}
	}
	if n := raw.DBSize(t.Context()).Val(); n != 2 {
		t.Errorf("%d keys were written, want 2", n)
	}
}

// A restarted server, or one after FLUSH, does not know the scripts.
func TestStore_ResendsScriptsAfterFlush(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, redis.Config{Timeout: patient}, server.URL())
	raw := goredis.NewClient(&goredis.Options{Addr: server.Addr()})
	defer func() { _ = raw.Close() }()
	for version := int64(1); version <= 3; version++ {
		if err := s.Put(t.Context(), "key", version-1, store.Record{Version: version, TTL: time.Minute}); err != nil {
			t.Fatalf("Put %d: %v", version, err)
		}
		if err := raw.ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Get(t.Context(), "key"); err != nil || got[0].Version != version {
			t.Fatalf("Get: %v, %v", got, err)
		}
	}
}

// The constructor connects to nothing and starts nothing.
func TestNew_StartsNothing(t *testing.T) {
	t.Parallel()
	server := redistest.StartDesync(t)
	s := open(t, redis.Config{}, server.URL())
	_, stop := s.Watch("key")
	stop()
	if n := server.Connections(); n != 0 {
		t.Errorf("New opened %d connections", n)
	}
	if _, err := s.Get(t.Context()); err != nil || server.Connections() != 0 {
		t.Errorf("Get of no keys: %v, %d connections", err, server.Connections())
	}
}

// Observe is called once per operation, with its error.
func TestStore_Observe(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var reported []string
	s := open(t, redis.Config{Timeout: patient, Observe: func(op string, took time.Duration, err error) {
		if took <= 0 || took > patient {
			t.Errorf("%s took %v", op, took)
		}
		reported = append(reported, fmt.Sprint(op, " ", err))
	}}, server.URL())
	r := store.Record{Version: 1, Value: []byte("sealed"), TTL: time.Minute}
	_ = s.Put(t.Context(), "key", 0, r)
	_ = s.Put(t.Context(), "key", 0, r)
	_, _ = s.Get(t.Context(), "key", "other")
	_, _ = s.Acquire(t.Context(), "key", "one", time.Minute)
	_, _ = s.Acquire(t.Context(), "key", "two", time.Minute)
	_ = s.Release(t.Context(), "key", "one")
	_ = s.Ping(t.Context())
	server.Stop()
	_ = s.Ping(t.Context())
	want := []string{
		"put <nil>", "put a newer record is stored", "get <nil>", "acquire <nil>", "acquire <nil>",
		"release <nil>", "ping <nil>", "ping the store cannot be reached: ping: connection refused",
	}
	if diff := cmp.Diff(want, reported); diff != "" {
		t.Errorf("reported (-want +got):\n%s", diff)
	}
}

// running runs s until the test ends, or until the returned function is called.
func running(t *testing.T, s *redis.Store) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
			ended <- nil
		case <-time.After(patient):
			t.Error("Run does not return")
		}
	}
	t.Cleanup(stop)
	return stop
}

func BenchmarkGet(b *testing.B) {
	server := redistest.Start(b)
	s := open(b, redis.Config{Timeout: patient}, server.URL())
	r := store.Record{Version: 1, Value: make([]byte, 240), TTL: time.Hour}
	if err := s.Put(b.Context(), "{tenant.81}:qr", 0, r); err != nil {
		b.Fatal(err)
	}
	get := func() {
		if records, err := s.Get(context.Background(), "{tenant.81}:qr"); err != nil || records[0].Version == 0 {
			b.Error(records, err)
		}
	}
	b.Run("alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			get()
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(8)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				get()
			}
		})
	})
}
