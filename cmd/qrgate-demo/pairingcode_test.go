package main

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The printed request returns a pairing code, through qrgate; the simulated phone enters it.
func TestDemo_PairingCode(t *testing.T) {
	env, err := newEnvironment(settings{Listen: "127.0.0.1:0", Delay: "0s"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- env.run(ctx) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	s := &scenario{environment: env, out: io.Discard}
	for _, path := range []string{"", "/mine/qr/link", "/mine/connect"} {
		body := `{"sessionId":"mine","sessionName":"mine"}`
		if res, err := s.call(ctx, http.MethodPost, env.gateway.URL()+"/api/sessions"+path, body); err != nil || !res.Success {
			t.Fatalf("%q: %+v, %v", path, res, err)
		} else if page := get(t, res.Data.URL); path == "/mine/qr/link" && !strings.Contains(page, `"pairsByPhone":true`) {
			t.Errorf("the page does not offer to pair by phone number: %s", page)
		}
	}
	if res, err := s.call(ctx, http.MethodGet, env.gateway.URL()+"/api/sessions/mine/qr", ""); err != nil || res.status != 200 {
		t.Fatalf("qr: %+v, %v", res, err)
	}
	const path = "/api/sessions/mine/pairing-code"
	if res, err := s.call(ctx, http.MethodPost, env.gateway.URL()+path, `{"phoneNumber":"none"}`); err != nil || res.status != 400 {
		t.Errorf("a wrong number: %+v, %v", res, err)
	}
	res, err := s.call(ctx, http.MethodPost, env.gateway.URL()+path, `{"phoneNumber":"+555 012-3456"}`)
	if err != nil || res.status != 200 || len(res.Data.PairingCode) != len("ABCD-EFGH") {
		t.Fatalf("%+v, %v", res, err)
	}
	poll := time.NewTicker(100 * time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-poll.C {
		res, err := s.call(ctx, http.MethodGet, env.gateway.URL()+"/api/sessions/mine/status", "")
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("not connected: %+v, %v", res, err)
		}
		if res.Data.IsConnected {
			return
		}
	}
}

// get reads a page; "" without an address.
func get(t *testing.T, address string) string {
	t.Helper()
	if address == "" {
		return ""
	}
	res, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	page, _ := io.ReadAll(res.Body)
	return string(page)
}
