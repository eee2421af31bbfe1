package proxy

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"qrgate/internal/seal"
	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// keyServer is a handler before an engine that accepts one key, and the log of its requests.
func keyServer(t *testing.T) (h *Handler, lines *int) {
	t.Helper()
	sealer, err := seal.New(secret.NewSecret("a secret of thirty-two characters"))
	if err != nil {
		t.Fatal(err)
	}
	lines = new(int)
	engine := roundTripFunc(func(r *http.Request) (*http.Response, error) {
		rec := httptest.NewRecorder()
		rec.Code = http.StatusOK
		if r.Header.Get("X-Api-Key") != "right" {
			rec.Code = http.StatusUnauthorized
		}
		res := rec.Result()
		res.Request = r
		return res, nil
	})
	h = New(Config{
		Engine: &url.URL{Scheme: "http", Host: "engine"}, Transport: engine, Sealer: sealer, SlowWrongKeys: true,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		Observe: func(r session.RequestLog) {
			if !r.Repeated {
				*lines++
			}
		},
	})
	return h, lines
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// ask sends one request and returns its status and how long it took.
func ask(t *testing.T, h *Handler, peer, forwarded, key string) (status int, took time.Duration) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/messages", nil)
	r.RemoteAddr = peer + ":1234"
	r.Header.Set("X-Api-Key", key)
	if forwarded != "" {
		r.Header.Set("X-Forwarded-For", forwarded)
	}
	rec, start := httptest.NewRecorder(), time.Now()
	h.ServeHTTP(rec, r)
	return rec.Code, time.Since(start)
}

func TestWrongKeys_BackOffPerAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := keyServer(t)
		var total time.Duration
		for i := range 20 {
			status, took := ask(t, h, "192.0.2.1", "", fmt.Sprintf("wrong-%d", i))
			if status != http.StatusUnauthorized || i < freeRefusals && took > 0 || took > maxPenalty {
				t.Errorf("request %d: %d after %v", i, status, took)
			}
			total += took
		}
		if total < 30*time.Second {
			t.Errorf("twenty wrong keys took %v", total)
		}
		if _, took := ask(t, h, "192.0.2.2", "", "wrong"); took > 0 {
			t.Errorf("another address waits %v", took)
		}
		if _, took := ask(t, h, "192.0.2.1", "", "right"); took == 0 {
			t.Error("an unknown key of that address does not wait")
		}
		if status, took := ask(t, h, "192.0.2.1", "", "right"); status != http.StatusOK || took > 0 {
			t.Errorf("a key that was accepted there: %d after %v", status, took)
		}
		time.Sleep(forgiveAfter + time.Second)
		if _, took := ask(t, h, "192.0.2.1", "", "wrong"); took > 0 {
			t.Errorf("after ten minutes a wrong key waits %v", took)
		}
	})
}

func TestWrongKeys_LogLinesCollapse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, lines := keyServer(t)
		for range 120 { // about ten minutes, at five seconds each
			ask(t, h, "192.0.2.1", "", "wrong")
		}
		if *lines > freeRefusals+12 || *lines < freeRefusals+5 {
			t.Errorf("%d lines in ten minutes", *lines)
		}
	})
}

// Behind a trusted proxy the client's own address counts, which no client can choose.
func TestWrongKeys_BehindProxy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := keyServer(t)
		for i := range 10 {
			ask(t, h, "10.0.0.1", fmt.Sprintf("203.0.113.%d, 192.0.2.1", i), "wrong")
		}
		if _, took := ask(t, h, "10.0.0.1", "203.0.113.99, 192.0.2.1", "wrong"); took == 0 {
			t.Error("a client escapes by a header of its own")
		}
		if _, took := ask(t, h, "10.0.0.1", "192.0.2.2", "wrong"); took > 0 {
			t.Errorf("another client of the proxy waits %v", took)
		}
	})
}

func TestWrongKeys_Bounded(t *testing.T) {
	k := newWrongKeys()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range maxOffenders + 20 {
		addr := netip.AddrFrom4([4]byte{192, byte(i >> 16), byte(i >> 8), byte(i)})
		k.refuse(addr, now.Add(time.Duration(i)))
	}
	first := netip.AddrFrom4([4]byte{192})
	if k.offenders.Len() != maxOffenders || k.offenders.Contains(first) {
		t.Errorf("%d addresses", k.offenders.Len())
	}
}
