package app_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"qrgate/compat"
	"qrgate/internal/app"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/internal/test/enginesim"
	"qrgate/internal/test/logtest"
	"qrgate/internal/test/openapitest"
)

// Each engine of another API serves clients of the documented one: create, connect, QR, state, list and delete.
func TestDialects_DocumentedFront(t *testing.T) {
	for _, d := range app.Dialects() {
		t.Run(d.Kind, func(t *testing.T) {
			t.Parallel()
			sim := &enginesim.Engine{QRDelay: time.Second, Keys: map[string]string{"key-a": "a"}}
			base := serveFace(t, sim, d.Kind)
			gateway := runGateway(t, app.Config{EngineURL: base, Dialect: d, QRWaitInitial: 9 * time.Second, QRWait: 4500 * time.Millisecond})
			public, _ := url.Parse(gateway.URL())
			client := compat.Client{BaseURL: public, Transport: http.DefaultTransport}
			caller := session.Caller{Key: secret.NewSecret("key-a")}
			ref, err := client.Create(t.Context(), caller, "shop-1", "a shop")
			if err != nil || ref.ID == 0 || ref.Name != "shop-1" {
				t.Fatalf("create: %+v %v", ref, err)
			}
			if again := createAgain(t, public, "key-a"); again != ref.ID {
				t.Errorf("the conflict of a second create names session %d, want %d", again, ref.ID)
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

// serveFace serves a simulated engine of another API on a loopback port.
func serveFace(t *testing.T, sim *enginesim.Engine, kind string) *url.URL {
	t.Helper()
	return serve(t, sim, enginesim.Faces()[kind](sim))
}

// serve serves an API over the sessions of sim, and returns its address.
func serve(t *testing.T, sim *enginesim.Engine, api http.Handler) *url.URL {
	t.Helper()
	engine := httptest.NewServer(api)
	t.Cleanup(func() { engine.CloseClientConnections(); sim.Close(); engine.Close() })
	base, _ := url.Parse(engine.URL)
	return base
}

// The probes of a gateway whose clients speak the engine's own API get their QR, and delete their sessions. A gateway in
// front of an engine of another kind than configured logs which.
func TestDialects_ProbesBehindNativeFront(t *testing.T) {
	t.Parallel()
	sims, gateways := map[string]*enginesim.Engine{}, map[string]*app.App{}
	for _, d := range app.Dialects() {
		sims[d.Kind] = &enginesim.Engine{QRDelay: 300 * time.Millisecond, Keys: map[string]string{"key-a": "a"}}
		gateways[d.Kind] = runGateway(t, app.Config{
			EngineURL: serveFace(t, sims[d.Kind], d.Kind), Dialect: d, NativeFront: true, AdminListen: "127.0.0.1:0",
			QRWaitInitial: 9 * time.Second, QRWait: 4500 * time.Millisecond,
			ProbeKey: secret.NewSecret("key-a"), ProbeInterval: 6 * time.Second,
		})
	}
	logs := &logtest.Buffer{}
	runGateway(t, app.Config{ // of the documented API
		EngineURL: serveFace(t, &enginesim.Engine{}, "evolution"), AdminListen: "127.0.0.1:0",
		Logger: slog.New(slog.NewTextHandler(logs, nil)),
	})
	defer func() {
		const warning = `msg="engine of another kind" kind=evolution`
		for deadline := time.Now().Add(time.Minute); !strings.Contains(logs.String(), warning); {
			if time.Sleep(50 * time.Millisecond); time.Now().After(deadline) {
				t.Fatalf("the log has no %s: %s", warning, logs.String())
			}
		}
	}()
	for kind, gateway := range gateways {
		for line := range strings.Lines(awaitProbe(t, gateway.AdminURL())) {
			isRun := strings.HasPrefix(line, "qrgate_probe_runs_total{")
			if isRun && strings.Contains(line, `outcome="failure"`) && !strings.HasSuffix(line, " 0\n") {
				t.Errorf("%s: %s", kind, line)
			}
		}
		begun, latest := sims[kind].Snapshot(), int64(0) // of runs that go on, of one probe or both
		for _, s := range begun {
			latest = max(latest, s.ID)
		}
		isLeft := func(s enginesim.Session) bool { return s.ID <= latest }
		for deadline := time.Now().Add(time.Minute); slices.ContainsFunc(sims[kind].Snapshot(), isLeft); {
			if time.Sleep(50 * time.Millisecond); time.Now().After(deadline) {
				t.Fatalf("%s: the probes left %+v", kind, begun)
			}
		}
	}
}

// awaitProbe waits until a probe has got its QR, and returns all metrics.
func awaitProbe(t *testing.T, admin string) string {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		res, err := http.Get(admin + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		const success = `outcome="success",probe="create_connect_qr"} `
		if _, n, ok := strings.Cut(string(text), success); ok && !strings.HasPrefix(n, "0\n") {
			return string(text)
		}
	}
	t.Fatal("no probe got a QR")
	return ""
}

// createAgain creates shop-1 once more and returns the id of the session that the 409 has.
func createAgain(t *testing.T, gateway *url.URL, key string) int64 {
	t.Helper()
	body := strings.NewReader(`{"sessionId":"shop-1","sessionName":"a shop"}`)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, gateway.String()+"/api/sessions", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Api-Key", key)
	res, err := openapitest.Checking(t, http.DefaultTransport).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var a struct{ Data struct{ ID int64 } }
	if err := json.NewDecoder(res.Body).Decode(&a); err != nil || res.StatusCode != http.StatusConflict {
		t.Fatalf("second create: %d %v", res.StatusCode, err)
	}
	return a.Data.ID
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
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
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
