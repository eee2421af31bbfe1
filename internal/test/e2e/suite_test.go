package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"qrgate/compat/embedded"
	"qrgate/compat/inboxhub"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/internal/test/enginetest"
)

// The embedded engine, on real whatsmeow, passes the suite of all engines.
func TestEmbeddedEngine_MeetsEngineContract(t *testing.T) {
	enginetest.Engine(t, func(t *testing.T) enginetest.EngineRig {
		whatsapp, addr := startWhatsApp(t)
		engine, err := embedded.New(embedded.Config{DataDir: t.TempDir(), Keys: []embedded.Key{{Name: "tests", Key: secret.NewSecret(key)}}, HTTPClient: whatsapp.HTTPClient(addr)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- engine.Run(ctx) }()
		t.Cleanup(func() {
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
		transport := embedded.Transport(engine)
		base := &url.URL{Scheme: "http", Host: "engine.test"}
		return enginetest.EngineRig{
			Engine: inboxhub.New(base, transport), Caller: session.Caller{Key: secret.NewSecret(key)},
			Create: func(t *testing.T, name string) session.Ref {
				t.Helper()
				req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://engine.test/api/sessions", strings.NewReader(fmt.Sprintf(`{"sessionId":%q,"sessionName":"x"}`, name)))
				req.Header.Set("X-API-Key", key)
				req.Header.Set("Content-Type", "application/json")
				res, err := transport.RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				var created response
				if err := json.NewDecoder(res.Body).Decode(&created); err != nil || res.StatusCode != http.StatusCreated {
					t.Fatalf("create: %d %v", res.StatusCode, err)
				}
				return session.Ref{ID: created.Data.ID, Name: name}
			},
		}
	})
}
