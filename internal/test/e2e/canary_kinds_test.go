package e2e_test

import (
	"context"
	"encoding/base64"
	"errors"
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

	"github.com/alicebob/miniredis/v2"

	"qrgate/compat/dialect"
	"qrgate/internal/app"
	"qrgate/internal/secret"
	"qrgate/internal/test/enginesim"
	"qrgate/internal/test/logtest"
	"qrgate/internal/test/otlptest"
)

// canaryToken is the token of a session of its own.
const canaryToken = "canary-token-0a9c2fe41d77"

// kindCall is a request of a client of an engine's own API.
type kindCall struct {
	method, target, body string
	header               [2]string
}

// kindCalls present the key, or the session's token, in each place where the engine reads it, and in some where it does
// not.
var kindCalls = map[string][]kindCall{
	"evolution": {
		{"POST", "/instance/create", `{"instanceName":"shop-1","qrcode":true,"token":"` + canaryToken + `"}`, [2]string{"apikey", canaryKey}},
		{"GET", "/instance/connect/shop-1?apikey=" + canaryKey, "", [2]string{"apikey", canaryKey}},
		{"GET", "/instance/fetchInstances", "", [2]string{"apikey", canaryKey}},
		{"GET", "/instance/connect/shop-1?number=" + canaryPhone, "", [2]string{"apikey", canaryToken}},
	},
	"gowa": {
		{"POST", "/devices", `{"device_id":"shop-1"}`, [2]string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("user:"+canaryKey))}},
		{"GET", "/devices/shop-1/login?key=" + canaryKey, "", [2]string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("user:"+canaryKey))}},
		{"GET", "/app/login", "", [2]string{"Authorization", "Bearer " + canaryBearer}},
	},
	"waha": {
		{"POST", "/api/sessions?x-api-key=" + canaryKey, `{"name":"shop-1","start":true}`, [2]string{}},
		{"GET", "/api/shop-1/auth/qr?format=raw&x-api-key=" + canaryKey, "", [2]string{}},
		{"GET", "/api/shop-1/auth/qr?x-api-key=" + canaryBearer, "", [2]string{}},
		{"GET", "/api/sessions/shop-1", "", [2]string{"X-Api-Key", canaryKey}},
	},
	"wuzapi": {
		{"POST", "/admin/users", `{"name":"shop-1","token":"` + canaryToken + `"}`, [2]string{"Authorization", canaryKey}},
		{"POST", "/session/connect?token=" + canaryToken, `{"Subscribe":["All"],"Immediate":true}`, [2]string{}},
		{"GET", "/session/qr?token=" + canaryToken, "", [2]string{}},
		{"GET", "/session/qr", "", [2]string{"Token", canaryBearer}},
		{"GET", "/admin/users", "", [2]string{"Authorization", canaryKey}},
	},
}

// documentedCalls are those of a client of the documented API.
var documentedCalls = []kindCall{
	{"POST", "/api/sessions", `{"sessionId":"shop-1","sessionName":"x","phoneNumber":"` + canaryPhone + `"}`, [2]string{"X-Api-Key", canaryKey}},
	{"POST", "/api/sessions/shop-1/connect", "{}", [2]string{"X-Api-Key", canaryKey}},
	{"GET", "/api/sessions/shop-1/qr?key=" + canaryKey, "", [2]string{"X-Api-Key", canaryKey}},
	{"GET", "/api/sessions/shop-1/status", "", [2]string{"Authorization", "Bearer " + canaryBearer}},
	{"GET", "/api/sessions", "", [2]string{"X-Api-Key", canaryKey}},
	{"POST", "/api/sessions/shop-1/pairing-code", `{"phoneNumber":"` + canaryPhone + `"}`, [2]string{"X-Api-Key", canaryKey}},
	{"POST", "/api/messages/shop-1/send", `{"to":"` + canaryPhone + `"}`, [2]string{"X-Api-Key", canaryKey}},
	{"GET", "/api/sessions/none/qr", "", [2]string{"X-Api-Key", canaryBearer}},
}

// With each engine of another API, its own clients and those of the documented API, no key, token, code or number is in
// a log, a span, a metric, the status page, Redis or the body of an error: not in queries, not in paths, not in errors of
// a websocket that cannot be opened.
func TestSecrets_KindsNotInOutput(t *testing.T) {
	receiver := new(otlptest.Receiver)
	receiver.Start()
	defer receiver.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.URL())
	t.Setenv("OTEL_TRACES_SAMPLER_ARG", "1")
	canaries := []string{canaryKey, canaryBearer, canaryToken, canaryPhone, "canarycode", "iVBORw0KGgo",
		base64.StdEncoding.EncodeToString([]byte("user:" + canaryKey)), base64.StdEncoding.EncodeToString([]byte(canaryKey))}
	t.Run("kinds", func(t *testing.T) {
		for _, d := range app.Dialects() {
			own := canaries
			if d.SessionToken != nil {
				own = append(slices.Clone(canaries), d.SessionToken(dialect.Credential{Key: canaryKey}, "shop-1"))
			}
			for front, calls := range map[string][]kindCall{"native": kindCalls[d.Kind], "documented": documentedCalls} {
				t.Run(d.Kind+", "+front, func(t *testing.T) {
					t.Parallel()
					out := runKind(t, d, front == "native", calls)
					if !strings.Contains(out["the log"], "acquisition") || out["Redis"] == "" || out["the body of an error"] == "" {
						t.Error("no acquisition is logged, nothing is in Redis, or nothing failed")
					}
					for where, text := range out {
						findCanary(t, where, text, own)
					}
				})
			}
		}
	})
	findCanary(t, "a span", fmt.Sprintf("%v", receiver.Spans()), canaries)
	if len(receiver.Spans()) == 0 {
		t.Error("there are no spans")
	}
}

func findCanary(t *testing.T, where, text string, canaries []string) {
	t.Helper()
	for _, canary := range canaries {
		if i := strings.Index(text, canary); i >= 0 {
			t.Errorf("%s is in %s: …%s…", canary, where, text[max(0, i-80):min(len(text), i+80)])
		}
	}
}

// runKind runs a gateway in front of two engines of a kind, sends the calls, lets the engines fail, sends them again,
// and returns what the gateway logged, what its operators see, what it stored and the errors that clients got.
func runKind(t *testing.T, d *dialect.Dialect, isNative bool, calls []kindCall) map[string]string {
	t.Helper()
	shared := miniredis.RunT(t)
	cfg := app.Config{
		Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", NativeFront: isNative, DataDir: t.TempDir(),
		QRWaitInitial: time.Second, QRWait: time.Second, Out: io.Discard,
		RedisURL: secret.NewSecret("redis://" + shared.Addr()), RedisTimeout: redisTimeout, Secret: secret.NewSecret("a secret of the tests"),
	}
	var engines []*enginesim.Engine
	var upstreams []*httptest.Server
	for _, name := range []string{"a", "b"} {
		engine := &enginesim.Engine{Keys: map[string]string{canaryKey: "a"}, Codes: func(string, int) string { return canaryCode }}
		upstream := httptest.NewServer(enginesim.Faces()[d.Kind](engine))
		defer func() { upstream.CloseClientConnections(); engine.Close(); upstream.Close() }()
		base, _ := url.Parse(upstream.URL)
		engines, upstreams = append(engines, engine), append(upstreams, upstream)
		cfg.Engines = append(cfg.Engines, app.EngineConfig{Name: name, Base: base, Dialect: d, Weight: 1})
	}
	logs := &logtest.Buffer{}
	cfg.Logger = slog.New(slog.NewJSONHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	g, err := app.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	var failures strings.Builder
	sendAll := func(timeout time.Duration) {
		for _, c := range calls {
			r, _ := http.NewRequestWithContext(t.Context(), c.method, g.URL()+c.target, strings.NewReader(c.body))
			r.Header.Set("Content-Type", "application/json")
			if c.header[0] != "" {
				r.Header.Set(c.header[0], c.header[1])
			}
			client := http.Client{Timeout: timeout}
			res, err := client.Do(r)
			if timedOut, ok := errors.AsType[*url.Error](err); ok && timedOut.Timeout() {
				continue // qrgate sends a connect again until an engine that failed it responds
			}
			if err != nil {
				t.Error(err)
				continue
			}
			body, _ := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if res.StatusCode >= 400 {
				failures.Write(body)
			}
		}
	}
	sendAll(time.Minute)
	if all := append(engines[0].Snapshot(), engines[1].Snapshot()...); len(all) != 1 || all[0].Connects == 0 {
		t.Errorf("the calls began no pairing: %+v", all)
	}
	for i, engine := range engines {
		engine.Change(func(e *enginesim.Engine) {
			e.Faults = map[enginesim.Route]enginesim.Fault{enginesim.AnyRoute: {Kind: enginesim.CutConnection}}
		})
		upstreams[i].CloseClientConnections() // the websocket too: it is opened anew, and cannot be
	}
	sendAll(1500 * time.Millisecond)
	operators := ask2(t, g.AdminURL()+"/metrics") + ask2(t, g.AdminURL()+"/readyz") + ask2(t, g.AdminURL()+"/status")
	stored := shared.Dump()
	stop()
	if err := <-done; err != nil {
		t.Errorf("qrgate ended with %v", err)
	}
	return map[string]string{
		"the log": logs.String(), "the operators' port": operators, "Redis": stored, "the body of an error": failures.String(),
	}
}
