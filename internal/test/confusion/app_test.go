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

	"qrgate/internal/app"
)

// newApp runs the complete application, with its connectivity check by the given client, in front of the engine at base.
func newApp(t *testing.T, base *url.URL, whatsapp *http.Client) *gateway {
	t.Helper()
	g, err := app.New(app.Config{Listen: "127.0.0.1:0", EngineURL: base, WhatsApp: whatsapp, WhatsAppCheck: true, QRWaitInitial: 9 * time.Second,
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
	return &gateway{T: t, key: key, http: &http.Client{Transport: there}, stop: sync.OnceFunc(func() {
		there.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})}
}
