package app_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"qrgate/compat"
	"qrgate/internal/app"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/internal/test/enginesim"
)

// Each engine of another API serves clients of the documented one: create, connect, QR, state, list and delete.
func TestDialects_DocumentedFront(t *testing.T) {
	faces := map[string]func(*enginesim.Engine) *enginesim.Face{
		"evolution": enginesim.Evolution, "gowa": enginesim.GOWA, "waha": enginesim.WAHA, "wuzapi": enginesim.Wuzapi,
	}
	for _, d := range app.Dialects() {
		t.Run(d.Kind, func(t *testing.T) {
			t.Parallel()
			sim := &enginesim.Engine{QRDelay: time.Second, Keys: map[string]string{"key-a": "a"}}
			engine := httptest.NewServer(faces[d.Kind](sim))
			t.Cleanup(func() { engine.CloseClientConnections(); sim.Close(); engine.Close() })
			base, _ := url.Parse(engine.URL)
			gateway := runGateway(t, app.Config{EngineURL: base, Dialect: d, QRWaitInitial: 9 * time.Second, QRWait: 4500 * time.Millisecond})
			public, _ := url.Parse(gateway.URL())
			client := compat.Client{BaseURL: public, Transport: http.DefaultTransport}
			caller := session.Caller{Key: secret.NewSecret("key-a")}
			ref, err := client.Create(t.Context(), caller, "shop-1", "a shop")
			if err != nil || ref.ID == 0 || ref.Name != "shop-1" {
				t.Fatalf("create: %+v %v", ref, err)
			}
			if _, err := client.Connect(t.Context(), caller, ref, session.Connect); err != nil {
				t.Fatalf("connect: %v", err)
			}
			r, err := client.Do(t.Context(), caller, compat.SessionRequest(session.OpQR, http.MethodGet, ref, "qr"))
			report, err := r.SessionReport(session.OpQR, ref, err)
			if err != nil || report.Image.Empty() {
				t.Fatalf("qr: %v", err)
			}
			if want := sim.Snapshot()[0].Code; mustRead(t, report.Image) != want {
				t.Error("the code is not the engine's")
			}
			if found, err := client.FindSession(t.Context(), caller, "shop-1"); err != nil || found != ref {
				t.Errorf("list: %+v %v", found, err)
			}
			if absent, err := client.DeleteOnce(t.Context(), caller, ref); err != nil || absent || len(sim.Snapshot()) != 0 {
				t.Errorf("delete: %t %v", absent, err)
			}
			res, err := http.Post(public.String()+"/api/messages/send", "application/json", strings.NewReader("{}"))
			if err != nil || res.StatusCode != http.StatusNotImplemented {
				t.Errorf("another route: %v %v", res.StatusCode, err)
			}
			_ = res.Body.Close()
		})
	}
}

func mustRead(t *testing.T, image secret.Secret) string {
	t.Helper()
	text, err := compat.ReadQR(image)
	if err != nil {
		t.Fatal(err)
	}
	return text.Reveal()
}

// runGateway runs a gateway until the test ends.
func runGateway(t *testing.T, cfg app.Config) *app.App {
	t.Helper()
	cfg.Listen, cfg.Out, cfg.DataDir = "127.0.0.1:0", io.Discard, t.TempDir()
	cfg.Logger = slog.New(slog.DiscardHandler)
	a, err := app.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return a
}
