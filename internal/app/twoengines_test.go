package app_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"qrgate/internal/app"
	"qrgate/internal/secret"
	"qrgate/internal/test/enginesim"
)

// Two gateways in front of two engines may share a Redis server, a secret and a caller's key: what one engine reported
// never reaches the other's clients. Two gateways in front of one engine share its codes.
func TestIsolation_TwoEnginesOnOneRedis(t *testing.T) {
	t.Parallel()
	shared := miniredis.RunT(t)
	engines := map[string]*enginesim.Engine{"a": {RawCode: true, FirstID: 61}, "b": {RawCode: true, FirstID: 61}}
	urls := map[string]*url.URL{}
	for name, engine := range engines {
		server := httptest.NewServer(engine)
		t.Cleanup(func() { engine.Close(); server.Close() })
		urls[name], _ = url.Parse(server.URL)
	}
	start := func(engine string) *rig {
		r, _ := running(t, engines[engine], app.Config{
			EngineURL: urls[engine], RedisURL: secret.NewSecret("redis://" + shared.Addr()), RedisTimeout: redisTimeout,
			Secret: secret.NewSecret("a secret of the tests"), Logger: slog.New(slog.DiscardHandler), DataDir: t.TempDir(),
		})
		return r
	}
	first, replica, other := start("a"), start("a"), start("b")
	id := first.create("crm-1")
	first.connect(id)
	code := first.qr(id).text("data.qrCode")

	if got := replica.qr("crm-1").text("data.qrCode"); got != code {
		t.Error("another replica of the same engine returns another code")
	}
	for _, session := range []string{id, "crm-1"} {
		for _, route := range []string{"/qr", "/qr?wait=0", "/qr/status"} {
			if res := other.get("/api/sessions/" + session + route); res.StatusCode != http.StatusNotFound {
				t.Errorf("%s at the other engine, which has no such session: %d %.200s", route, res.StatusCode, res.body)
			}
		}
	}
	if again := other.create("crm-1"); again != id {
		t.Fatalf("the other engine's session is %s, want %s", again, id)
	}
	other.connect(id)
	if got := other.qr(id).text("data.qrCode"); got == code {
		t.Error("the other engine's client got the first engine's code")
	}
	if got := first.qr(id).text("data.qrCode"); got != code {
		t.Error("the first engine's client got another code")
	}
}

// The identity of an engine does not depend on how its URL is written.
func TestEngineIdentity(t *testing.T) {
	t.Parallel()
	identity := func(text string) string {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return app.EngineIdentity(app.Config{EngineURL: u})
	}
	for a, b := range map[string]string{
		"http://Engine.test":        "http://engine.test:80/",
		"https://engine.test/base/": "https://engine.test:443/base",
	} {
		if identity(a) != identity(b) {
			t.Errorf("%s and %s are two engines", a, b)
		}
	}
	for a, b := range map[string]string{
		"http://engine.test:3001":  "http://engine.test:3002",
		"http://engine-a.test":     "http://engine-b.test",
		"https://engine.test/base": "https://engine.test",
	} {
		if identity(a) == identity(b) {
			t.Errorf("%s and %s are one engine", a, b)
		}
	}
	if a, b := app.EngineIdentity(app.Config{DataDir: "a"}), app.EngineIdentity(app.Config{DataDir: "b"}); a == b {
		t.Error("two embedded engines are one")
	}
}
