package app_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/internal/app"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/internal/test/enginesim"
	"qrgate/internal/test/openapitest"
	"qrgate/internal/test/redistest"
	"qrgate/internal/webhook"
)

// Two replicas in front of one engine send each event once, in order, whichever of them a client calls.
func TestWebhook_ReplicasSendEachEventOnce(t *testing.T) {
	t.Parallel()
	doc, err := openapitest.Load()
	if err != nil {
		t.Fatal(err)
	}
	schema := doc.Components.Schemas["SessionEvent"].Value
	var mu sync.Mutex
	var events []string
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		var body struct{ Data struct{ Status string } }
		_ = json.Unmarshal(raw, &body)
		var document any
		_ = json.Unmarshal(raw, &document)
		if err := schema.VisitJSON(document); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		events = append(events, r.Header.Get("X-Webhook-Session")+" "+r.Header.Get("X-Webhook-Event")+" "+body.Data.Status)
	}))
	t.Cleanup(hook.Close)
	received := func() []string { mu.Lock(); defer mu.Unlock(); return events }
	sim := &enginesim.Engine{QRDelay: 200 * time.Millisecond, Keys: map[string]string{"key-a": "a", "key-probe": "probe"}}
	upstream := httptest.NewServer(sim)
	t.Cleanup(func() { upstream.CloseClientConnections(); sim.Close(); upstream.Close() })
	base, _ := url.Parse(upstream.URL)
	target, err := webhook.NewTarget(hook.URL, secret.NewSecret("the secret of the webhook"), nil, true)
	if err != nil {
		t.Fatal(err)
	}
	cfg := app.Config{EngineURL: base, RedisURL: secret.NewSecret(redistest.Start(t).URL()), RedisTimeout: redisTimeout, Webhook: target,
		Secret: secret.NewSecret("a secret of the tests"), AllowPrivateWebhooks: true, QRWait: time.Second}
	replicas := []*app.App{runGateway(t, cfg), runGateway(t, cfg)}
	turn := 0
	call := func(key, method, path, body string) {
		t.Helper()
		turn++
		req, _ := http.NewRequest(method, replicas[turn%2].URL()+path, strings.NewReader(body))
		req.Header.Set("X-API-Key", key)
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode >= 300 {
			t.Errorf("%s %s: %d %s", method, path, res.StatusCode, b)
		}
	}
	call("key-a", "POST", "/api/sessions", `{"sessionId":"shop-1","sessionName":"Shop"}`)
	call("key-a", "POST", "/api/sessions/shop-1/connect", "{}")
	for range 4 {
		call("key-a", "GET", "/api/sessions/shop-1/qr", "")
	}
	if err := sim.Link("shop-1"); err != nil {
		t.Fatal(err)
	}
	var polls sync.WaitGroup
	for _, g := range replicas { // both see the change at the same time
		polls.Go(func() {
			for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
				req, _ := http.NewRequest("GET", g.URL()+"/api/sessions/shop-1/status", nil)
				req.Header.Set("X-API-Key", "key-a")
				res, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				b, _ := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if strings.Contains(string(b), `"status":"connected"`) {
					return
				}
			}
		})
	}
	polls.Wait()
	call("key-a", "DELETE", "/api/sessions/shop-1", "")
	want := []string{"shop-1 session.qr qr_code", "shop-1 session.connected connected", "shop-1 session.disconnected disconnected"}
	for deadline := time.Now().Add(10 * time.Second); len(received()) < len(want) && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond)
	}
	if diff := cmp.Diff(want, received()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestWebhookKind(t *testing.T) {
	t.Parallel()
	now := time.Now()
	make := func(state session.State, code string, connected bool) session.Session {
		s := session.Session{State: state, AuthorizedAt: now}
		if connected {
			s.ConnectedAt = now
		}
		if code != "" {
			s.QR.Image, s.Sequence = secret.NewSecret(code), 1
		}
		return s
	}
	unknown := make(session.Unknown, "", false)
	requested, connecting := make(session.Connecting, "", false), make(session.Connecting, "", true)
	shown, paired := make(session.AwaitingScan, "code 1", true), make(session.Connected, "", true)
	for name, c := range map[string]struct {
		before, after session.Session
		want          string
	}{
		"the first code":                 {connecting, shown, webhook.QR},
		"the next code":                  {shown, make(session.AwaitingScan, "code 2", true), webhook.QR},
		"the same code":                  {shown, shown, ""},
		"a scan":                         {shown, paired, webhook.Connected},
		"a paired session reconnects":    {connecting, paired, webhook.Connected},
		"a client connects it again":     {paired, connecting, ""},
		"its state is learned":           {unknown, paired, ""},
		"a QR is requested of it":        {requested, paired, ""},
		"the phone unlinks":              {paired, make(session.Disconnected, "", true), webhook.Disconnected},
		"the codes run out":              {shown, make(session.Disconnected, "", true), webhook.Disconnected},
		"a new session is not connected": {make(session.Created, "", false), make(session.Disconnected, "", false), ""},
		"an unknown one is not":          {unknown, make(session.Disconnected, "", false), ""},
		"no code comes":                  {connecting, make(session.Failed, "", true), webhook.Failed},
		"a key that is refused":          {requested, session.Session{State: session.Failed}, ""},
	} {
		if got := app.WebhookKind(c.before, c.after); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
