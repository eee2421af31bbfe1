package storetest

import (
	"testing"
	"time"

	"qrgate/internal/store"
)

// wantToken fails the test if no token arrives.
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

// Each Put sends a token to the watchers of both handles. A handle that connects late may send one more token, so the
// test makes several Puts.
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

func testWakesAllWatchers(t *testing.T, b *fixture) {
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

// A watcher gets no token for other keys, and none for a refused write. A later Put that both handles notice shows that
// none is pending.
func testWakesNoOtherWatcher(t *testing.T, b *fixture) {
	quiet, busy := b.key(), b.key()
	b.put(b.a, quiet, 5, "still")
	quietTokens, stopQuiet := b.b.Watch(quiet)
	defer stopQuiet()
	busyTokens, stopBusy := b.b.Watch(busy)
	defer stopBusy()
	tokens := 0
	for version := int64(1); version <= 10; version++ {
		_ = b.a.Put(t.Context(), quiet, 1, store.Record{Version: 6, Value: []byte("stale"), TTL: ample})
		b.put(b.a, busy, version, "v")
		wantToken(t, busyTokens)
		select {
		case <-quietTokens:
			tokens++
		default:
		}
	}
	// Two may arrive: from the Put before the watch, and from the connect.
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
