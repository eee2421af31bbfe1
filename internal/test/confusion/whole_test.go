package confusion_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	whole "qrgate/internal/app"
)

// wholeGate is a gate as it is delivered, with its own look at WhatsApp by the given way, before the engine at base.
func wholeGate(t *testing.T, base *url.URL, whatsapp *http.Client) *gate {
	t.Helper()
	g, err := whole.New(whole.Config{Listen: "127.0.0.1:0", EngineURL: base, WhatsApp: whatsapp, WhatsAppCheck: true, QRWaitInitial: 9 * time.Second,
		QRWait: 4500 * time.Millisecond, DataDir: t.TempDir(), Logger: slog.New(slog.DiscardHandler), Out: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	there := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", strings.TrimPrefix(g.URL(), "http://"))
	}}
	return &gate{T: t, key: key, http: &http.Client{Transport: there}, stop: sync.OnceFunc(func() {
		there.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})}
}
