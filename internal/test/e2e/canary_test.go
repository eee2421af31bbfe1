package e2e_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"qrgate/internal/app"
	"qrgate/internal/secret"
	"qrgate/internal/test/enginesim"
	"qrgate/internal/test/logtest"
	"qrgate/internal/test/otlptest"
	"qrgate/internal/test/redistest"
)

// redisTimeout is for tests in which Redis stays available, on a slow machine too.
const redisTimeout = 10 * time.Second

// Canaries: if one of them appears anywhere but in its owner's response, a secret has leaked.
const (
	canaryKey    = "canary-key-5d41402abc4b2a76"
	canaryBearer = "canary-bearer-7d793037a0760186"
	canarySecret = "canary-secret-9e107d9d372bb682"
	canaryCode   = "https://wa.me/settings/linked_devices#2@canarycode1b0fd9efa5279c4203b7c70233f86dbf,canary,canary,canary,1"
	canaryPhone  = "5550199887766"
)

// A key, a code and a phone number pass through every part of qrgate: none is in a log, a span, a metric, a
// response to another client, or Redis.
func TestSecrets_NotInOutput(t *testing.T) {
	redis := redistest.Start(t)
	receiver := new(otlptest.Receiver)
	receiver.Start()
	defer receiver.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.URL())
	t.Setenv("OTEL_TRACES_SAMPLER_ARG", "1")
	engine := &enginesim.Engine{QRDelay: time.Second, Keys: map[string]string{canaryKey: "a"}, Codes: func(string, int) string { return canaryCode }}
	upstream := httptest.NewServer(engine)
	defer upstream.Close()
	defer engine.Close()

	base, err := url.Parse(upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	logs, out := &logtest.Buffer{}, &logtest.Buffer{}
	g, err := app.New(app.Config{
		Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", EngineURL: base, RedisURL: secret.NewSecret(redis.URL()), RedisTimeout: redisTimeout, Secret: secret.NewSecret(canarySecret),
		ProbeKey: secret.NewSecret(canaryKey), DataDir: t.TempDir(), Version: "test", Out: out, Logger: slog.New(slog.NewJSONHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()

	var strange strings.Builder // what callers without the key get
	ask := func(method, path, body, key string) string {
		req, _ := http.NewRequestWithContext(t.Context(), method, g.URL()+path, strings.NewReader(body))
		req.Header.Set("X-API-Key", key)
		req.Header.Set("Authorization", "Bearer "+canaryBearer)
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		if key != canaryKey {
			fmt.Fprintf(&strange, "%s %v\n", b, res.Header)
		}
		return string(b)
	}
	walk := func(key string) {
		ask(http.MethodPost, "/api/sessions", `{"sessionId":"shop-1","sessionName":"x","phoneNumber":"`+canaryPhone+`"}`, key)
		ask(http.MethodPost, "/api/sessions/shop-1/connect", "{}", key)
		for _, path := range []string{"/qr", "/qr?wait=1", "/status", "/qr/status", "", "/nothing"} {
			ask(http.MethodGet, "/api/sessions/shop-1"+path, "", key)
		}
		ask(http.MethodGet, "/api/sessions", "", key)
		ask(http.MethodPost, "/api/messages/shop-1/send", `{"to":"`+canaryPhone+`","message":"hi"}`, key)
		ask(http.MethodPost, "/api/sessions", `{"sessionId":"../`+canaryPhone+`"}`, key)
		ask(http.MethodPost, "/api/sessions/shop-1/restart", "not json "+canaryCode, key)
	}
	walk(canaryKey)
	if qr := ask(http.MethodGet, "/api/sessions/shop-1/qr", "", canaryKey); !strings.Contains(qr, "data:image/png") {
		t.Fatalf("the owner gets no QR: %s", qr)
	}
	_, token, _ := strings.Cut(ask(http.MethodPost, "/api/sessions/shop-1/qr/link", "{}", canaryKey), `"token":"`)
	token, _, _ = strings.Cut(token, `"`)
	if page := ask(http.MethodGet, "/pair/"+token, "", canaryKey); len(token) < 20 || !strings.Contains(page, "data:image/png") {
		t.Fatalf("the page of the link %q has no code: %d bytes", token, len(page))
	}
	for _, call := range []string{"GET /events", "POST /connect", "POST /code", "GET /nothing", "PUT "} {
		method, verb, _ := strings.Cut(call, " ")
		ask(method, "/pair/"+token+verb, `{"phoneNumber":"`+canaryPhone+`"}`, canaryKey)
	}
	stored := dump(t, redis)
	walk("another-key-0123456789")
	admin := ask2(t, g.AdminURL()+"/metrics") + ask2(t, g.AdminURL()+"/readyz") + ask2(t, g.AdminURL()+"/probe?target=gate&module=create_connect_qr&debug=true")
	ask(http.MethodDelete, "/api/sessions/shop-1", "", canaryKey)
	http.DefaultClient.CloseIdleConnections()
	stop()
	if err := <-done; err != nil {
		t.Errorf("qrgate ended with %v", err)
	}
	spans := fmt.Sprintf("%v", receiver.Spans())
	if len(receiver.Spans()) == 0 || !strings.Contains(logs.String(), "acquisition") || len(stored) < 1000 {
		t.Fatalf("there is no output: %d spans, %d bytes of log, %d bytes of Redis", len(receiver.Spans()), len(logs.String()), len(stored))
	}
	for where, text := range map[string]string{"the log": logs.String(), "the output": out.String(), "a span": spans, "the operators' port": admin, "a response to another client": strange.String(), "Redis": stored} {
		for what, canary := range map[string]string{
			"the link's token": token,
			"the key":          canaryKey, "the bearer token": canaryBearer, "qrgate's secret": canarySecret, "the code": "canarycode", "the phone number": canaryPhone,
			"the code in base64": base64.StdEncoding.EncodeToString([]byte(canaryCode))[8:40], "an image": "iVBORw0KGgo",
		} {
			if i := strings.Index(text, canary); i >= 0 {
				t.Errorf("%s is in %s: …%s…", what, where, text[max(0, i-80):min(len(text), i+80)])
			}
		}
	}
}

func ask2(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	return string(b)
}

// dump reads everything that a Redis holds, keys and values, by its own protocol.
func dump(t *testing.T, r *redistest.Server) string {
	t.Helper()
	conn, err := net.Dial("tcp", r.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	script := "local o={} for _,k in ipairs(redis.call('KEYS','*')) do o[#o+1]=k o[#o+1]=redis.call('DUMP',k) if redis.call('TYPE',k).ok=='hash' then for _,v in ipairs(redis.call('HGETALL',k)) do o[#o+1]=v end end end return table.concat(o,' ')"
	fmt.Fprintf(conn, "*3\r\n$4\r\nEVAL\r\n$%d\r\n%s\r\n$1\r\n0\r\n", len(script), script)
	fmt.Fprint(conn, "*1\r\n$4\r\nQUIT\r\n")
	b, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
