package app_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"qrgate/compat/inboxhub"
	"qrgate/internal/acquire"
	"qrgate/internal/seal"
	"qrgate/internal/secret"
	"qrgate/internal/store/memory"
	"qrgate/internal/test/enginesim"
	"qrgate/proxy"
)

// warmQR is a handler with a session whose code is there, and a function that requests it.
func warmQR(tb testing.TB) (request func() int) {
	tb.Helper()
	engine := enginesim.NewWire(&enginesim.Engine{})
	go engine.Run()
	base, _ := url.Parse("http://engine.test")
	sealer, err := seal.New(secret.NewSecret("a secret of the tests"))
	if err != nil {
		tb.Fatal(err)
	}
	transport := engine.Client().Transport
	m, err := acquire.New(acquire.Config{Engine: inboxhub.New(base, transport), Sealer: sealer, Store: memory.New(memory.Config{})})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	tb.Cleanup(func() { cancel(); <-done; engine.Close() })
	handler := proxy.New(proxy.Config{Engine: base, Transport: transport, Acquirer: m, Sealer: sealer})
	send := func(method, path, body string) int {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("X-API-Key", "key-a")
		r.Header.Set("Content-Type", "application/json")
		handler.ServeHTTP(w, r)
		return w.Code
	}
	if code := send(http.MethodPost, "/api/sessions", `{"sessionId":"crm-1","sessionName":"x"}`); code != http.StatusCreated {
		tb.Fatalf("create: %d", code)
	}
	if code := send(http.MethodPost, "/api/sessions/crm-1/connect", ""); code != http.StatusOK {
		tb.Fatalf("connect: %d", code)
	}
	if code := send(http.MethodGet, "/api/sessions/crm-1/qr", ""); code != http.StatusOK {
		tb.Fatalf("qr: %d", code)
	}
	w := &discardWriter{header: http.Header{}}
	get := httptest.NewRequest(http.MethodGet, "/api/sessions/crm-1/qr", http.NoBody)
	get.Header.Set("X-API-Key", "key-a")
	return func() int {
		w.status = 0
		clear(w.header)
		get.Method = http.MethodGet
		handler.ServeHTTP(w, get)
		return w.status
	}
}

// discardWriter keeps nothing but the status.
type discardWriter struct {
	header http.Header
	status int
}

func (w *discardWriter) Header() http.Header         { return w.header }
func (w *discardWriter) Write(b []byte) (int, error) { return len(b), nil }
func (w *discardWriter) WriteHeader(status int)      { w.status = status }

// The response with a known code is a prepared body, with at most 60 allocations from net/http's handler on.
func TestWarmQR_Allocations(t *testing.T) {
	request := warmQR(t)
	if n := testing.AllocsPerRun(500, func() { request() }); n > 60 {
		t.Errorf("%v allocations", n)
	} else {
		t.Logf("%v allocations", n)
	}
}

func BenchmarkWarmQR(b *testing.B) {
	request := warmQR(b)
	b.ReportAllocs()
	for b.Loop() {
		if status := request(); status != http.StatusOK {
			b.Fatal(status)
		}
	}
}
