package openapitest_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"qrgate/compat/embedded"
	"qrgate/internal/app"
	"qrgate/internal/secret"
	"qrgate/internal/test/enginesim"
	"qrgate/internal/test/openapitest"
)

// walk is a client of a gateway; it checks every response against the document.
type walk struct {
	t      *testing.T
	engine *enginesim.Engine
	key    string
	base   string
	client *http.Client
}

// gateway runs qrgate in front of a simulated engine, on loopback, until the test ends.
func gateway(t *testing.T) *walk {
	t.Helper()
	engine := &enginesim.Engine{QRDelay: 300 * time.Millisecond}
	behind := httptest.NewServer(engine)
	t.Cleanup(behind.Close)
	base, err := url.Parse(behind.URL)
	if err != nil {
		t.Fatal(err)
	}
	g, err := app.New(app.Config{Listen: "127.0.0.1:0", EngineURL: base, Logger: slog.New(slog.DiscardHandler), Out: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	w := run(t, g)
	t.Cleanup(engine.Close) // before the gateway ends, which waits for its calls
	w.engine, w.key = engine, "key-a"
	return w
}

// run runs a gateway until the test ends.
func run(t *testing.T, g *app.App) *walk {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	client := &http.Client{Transport: openapitest.Checking(t, &http.Transport{DisableKeepAlives: true})}
	return &walk{t: t, base: g.URL(), client: client}
}

// The embedded engine refuses what it does not serve as documented, after the key.
func TestOpenAPI_EmbeddedEngineNamesItsFeatures(t *testing.T) {
	t.Parallel()
	g, err := app.New(app.Config{Listen: "127.0.0.1:0", DataDir: t.TempDir(), Logger: slog.New(slog.DiscardHandler),
		APIKeys: []embedded.Key{{Name: "a", Key: secret.NewSecret("key-of-the-tests-0001")}}, Out: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	w := run(t, g)
	doc, err := openapitest.Load()
	if err != nil {
		t.Fatal(err)
	}
	w.key = "a wrong key" // once, because further ones wait
	w.step("POST /api/messages/shop-1/send", "{}", 401)
	w.key = "key-of-the-tests-0001"
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if !slices.Contains(op.Tags, "Pass-through") {
				continue
			}
			w.step(method+" "+strings.ReplaceAll(path, "{id}", "shop-1"), "{}", 501)
		}
	}
}

// step sends one request and checks its status; the transport checks the rest.
func (w *walk) step(call, body string, want int) {
	w.t.Helper()
	method, path, _ := strings.Cut(call, " ")
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.base+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("X-API-Key", w.key)
	r.Header.Set("Content-Type", "application/json")
	res, err := w.client.Do(r)
	if err != nil {
		w.t.Fatalf("%s: %v", call, err)
	}
	defer res.Body.Close()
	if text, err := io.ReadAll(res.Body); err != nil || res.StatusCode != want {
		w.t.Errorf("%s returned %d, want %d (%v): %.300s", call, res.StatusCode, want, err, text)
	}
}

// qrgate responds as documented, on every session route and in every state of a session.
func TestOpenAPI_ResponsesMatchDocument(t *testing.T) {
	t.Parallel()
	w := gateway(t)
	for _, s := range []struct {
		call, body string
		want       int
	}{
		{"POST /api/sessions", `{"sessionId":"crm-1","sessionName":"Shop"}`, 201},
		{"POST /api/sessions", `{"sessionId":"not valid","sessionName":"Shop"}`, 400},
		{"GET /api/sessions?limit=200", "", 200},
		{"GET /api/sessions/stats", "", 200},
		{"GET /api/sessions/crm-1/status", "", 200},
		{"GET /api/sessions/crm-1/qr?wait=0", "", 202},
		{"GET /api/sessions/crm-1/qr?wait=x", "", 400},
		{"POST /api/sessions/crm-1/connect", "{}", 200},
		{"GET /api/sessions/crm-1/qr/status", "", 200},
		{"GET /api/sessions/1/qr", "", 200},
		{"GET /api/sessions/1/qr/status?wait=1", "", 200},
		{"GET /api/sessions/1/status", "", 200},
		{"GET /api/sessions/1", "", 200},
		{"GET /api/sessions", "", 200},
		{"POST /api/sessions/1/restart", "", 200},
		{"GET /api/sessions/1/qr", "", 200},
		{"POST /api/sessions/1/qr/link", `{"redirectUrl":"https://crm.example/done","locale":"pt-BR","expiresIn":60}`, 201},
		{"POST /api/sessions/1/qr/link", `{"redirectUrl":"javascript:alert(1)"}`, 400},
		{"POST /api/sessions/nobody/qr/link", "{}", 404},
		{"DELETE /api/sessions/1/qr/link", "", 200},
		{"GET /pair/wrong", "", 404},
		{"GET /pair/wrong/events", "", 404},
		{"GET /api/sessions/nobody/qr", "", 404},
		{"GET /api/sessions/nobody/status", "", 404},
		{"GET /api/sessions/no.body/qr", "", 400},
		{"PATCH /api/sessions/1", "", 405},
	} {
		w.step(s.call, s.body, s.want)
	}
	if err := w.engine.Link("1"); err != nil {
		t.Fatal(err)
	}
	w.step("GET /api/sessions/1", "", 200) // any response tells qrgate the integer id
	w.step("GET /api/sessions/1/qr", "", 409)
	w.step("GET /api/sessions/1/qr/status", "", 200)
	w.step("POST /api/sessions/1/disconnect", "", 200)
	w.step("DELETE /api/sessions/1", "", 200)
	w.step("DELETE /api/sessions/1", "", 404)
	w.engine.Change(func(e *enginesim.Engine) {
		e.Faults = map[enginesim.Route]enginesim.Fault{enginesim.AnyRoute: {Kind: enginesim.HTML502}}
	})
	for _, call := range []string{"GET /api/sessions", "POST /api/sessions", "GET /api/sessions/2/status", "DELETE /api/sessions/2"} {
		w.step(call, fmt.Sprintf(`{"sessionId":"crm-%d","sessionName":"x"}`, 2), 503)
	}
}
