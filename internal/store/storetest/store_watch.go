package storetest

import (
	"testing"
	"time"

	"qrgate/internal/store"
)

// wantToken fails the test if no token comes.
func wantToken(t *testing.T, changed <-chan struct{}) {
	t.Helper()
	select {
	case _, open := <-changed:
		if !open {
			t.Fatal("the channel of a watch was closed")
		}
	case <-time.After(soon):
		t.Fatalf("no token within %v after a Put", soon)
	}
}

// Each Put brings a token to a watcher of either handle. A handle that connects late may bring one token
// more, so several Puts are looked at.
func testWakes(t *testing.T, b *fixture) {
	key := b.key()
	here, stopHere := b.a.Watch(key)
	defer stopHere()
	there, stopThere := b.b.Watch(key)
	defer stopThere()
	for version := int64(1); version <= 10; version++ {
		b.put(b.a, key, version, "v")
		wantToken(t, here)
		wantToken(t, there)
	}
	b.put(b.b, key, 11, "")
	wantToken(t, here)
	wantToken(t, there)
}

func testWakesEveryone(t *testing.T, b *fixture) {
	key := b.key()
	var channels []<-chan struct{}
	for range 20 {
		changed, stop := b.b.Watch(key)
		defer stop()
		channels = append(channels, changed)
	}
	for version := int64(1); version <= 3; version++ {
		b.put(b.a, key, version, "v")
		for _, changed := range channels {
			wantToken(t, changed)
		}
	}
}

// A watcher hears nothing of other keys, and nothing of a writer that was refused. That nothing comes can
// only be seen once something later has: a Put that both handles were told of.
func testWakesNobodyElse(t *testing.T, b *fixture) {
	quiet, busy := b.key(), b.key()
	b.put(b.a, quiet, 5, "still")
	silent, stopSilent := b.b.Watch(quiet)
	defer stopSilent()
	heard, stopHeard := b.b.Watch(busy)
	defer stopHeard()
	tokens := 0
	for version := int64(1); version <= 10; version++ {
		_ = b.a.Put(t.Context(), quiet, 1, store.Record{Version: 6, Value: []byte("stale"), TTL: ample})
		b.put(b.a, busy, version, "v")
		wantToken(t, heard)
		select {
		case <-silent:
			tokens++
		default:
		}
	}
	// Two may come: from the Put before the watch, whose event was on its way, and from connecting.
	if tokens > 2 {
		t.Errorf("a watcher got %d tokens for 10 changes of another key", tokens)
	}
}

func testStoppedWatch(t *testing.T, b *fixture) {
	key := b.key()
	stopped, stop := b.a.Watch(key)
	stop()
	stop()
	live, stopLive := b.a.Watch(key)
	defer stopLive()
	b.put(b.a, key, 1, "v")
	wantToken(t, live)
	select {
	case <-stopped:
		t.Error("a stopped watch got a token, or was closed")
	default:
	}
}
