package redis_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"qrgate/internal/store"
	"qrgate/internal/store/redis"
	"qrgate/internal/test/redistest"
)

// A server whose replies are one command late may make the store return another key's bytes (therefore they are
// sealed), but must cause no panic, no reply of the wrong length, and no error of another kind.
func TestStore_UnexpectedReplies(t *testing.T) {
	t.Parallel()
	server := redistest.StartDesync(t)
	s := open(t, redis.Config{Timeout: patient}, server.URL())
	ctx := context.Background()
	for i := range 4 {
		key := fmt.Sprint("key-", i)
		if err := s.Put(ctx, key, 0, store.Record{Version: 1, Value: []byte(key), TTL: time.Minute}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Get(ctx, key); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Acquire(ctx, key, "one", time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	server.Shift()
	var work sync.WaitGroup
	var mixed sync.Map
	for w := range 4 {
		work.Go(func() {
			for i := range 200 {
				key := fmt.Sprint("key-", (w+i)%4)
				keys := []string{key, "key-1", "key-2"}[:1+i%3]
				records, err := s.Get(ctx, keys...)
				if err == nil && len(records) != len(keys) {
					t.Errorf("Get of %d keys: %d records", len(keys), len(records))
				}
				if err == nil && string(records[0].Value) != key {
					mixed.Store(key, true)
				}
				wantKnown(t, err)
				wantKnown(t, s.Put(ctx, key, int64(i), store.Record{Version: int64(i + 1), Value: []byte(key), TTL: time.Minute}))
				_, err = s.Acquire(ctx, key, "one", time.Minute)
				wantKnown(t, err)
				wantKnown(t, s.Release(ctx, key, "one"))
			}
		})
	}
	work.Wait()
	if server.Swapped() < 100 {
		t.Errorf("only %d answers were swapped; the test showed little", server.Swapped())
	}
	if _, ok := mixed.Load("key-0"); !ok {
		t.Error("no other key's bytes were ever handed out; the server was not as bad as it should be")
	}
	server.Realign()
	if got, err := s.Get(ctx, "key-0"); err != nil || string(got[0].Value) != "key-0" {
		t.Errorf("in step again: %+v, %v", got, err)
	}
}

func wantKnown(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, store.ErrStoreUnavailable) && !errors.Is(err, store.ErrVersionConflict) {
		t.Errorf("an error of another kind: %v", err)
	}
}

// The event connection survives unexpected messages; the library panics on some of them.
func TestWatch_UnexpectedMessages(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"a status":             "+OK\r\n",
		"a number":             ":1\r\n",
		"nothing":              "$-1\r\n",
		"an empty array":       "*0\r\n",
		"numbers":              "*3\r\n:1\r\n:2\r\n:3\r\n",
		"a record":             "*3\r\n$1\r\n5\r\n$6\r\nsealed\r\n:60000\r\n",
		"half a subscription":  "*1\r\n$9\r\nsubscribe\r\n",
		"a strange message":    "*3\r\n$7\r\nmessage\r\n:1\r\n:2\r\n",
		"an error with a key":  "-ERR canary-key\r\n",
		"no RESP at all":       "HTTP/1.1 400 Bad Request\r\n\r\n",
		"a push of no meaning": ">1\r\n:1\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := redistest.StartScripted(t, answer)
			tries := make(chan error, 100)
			s := open(t, redis.Config{Observe: func(op string, _ time.Duration, err error) { tries <- err }}, url)
			running(t, s)
			for range 2 {
				select {
				case err := <-tries:
					if !errors.Is(err, store.ErrStoreUnavailable) {
						t.Errorf("told as %v, want ErrStoreDown", err)
					}
				case <-time.After(patient):
					t.Fatal("the event connection neither failed nor was made anew")
				}
			}
		})
	}
}
