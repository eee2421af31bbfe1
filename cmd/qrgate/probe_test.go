package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"qrgate/internal/app"
	"qrgate/internal/diagnosis"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/internal/test/enginesim"
	"qrgate/internal/test/logtest"
	"qrgate/metrics"
	"qrgate/probes"
)

// The metrics observe the probes directly.
var _ probes.Observer = (*metrics.Probes)(nil)

// startEngine serves a simulated engine on a loopback port and returns its URL.
func startEngine(t *testing.T, e *enginesim.Engine) string {
	t.Helper()
	server := httptest.NewServer(e)
	t.Cleanup(func() { server.Close(); e.Close() })
	return server.URL
}

// startGateway runs qrgate in front of an engine. Its scheduled probes are paused, because a test counts sessions.
func startGateway(t *testing.T, engine string, change ...func(*app.Config)) string {
	t.Helper()
	base, err := url.Parse(engine)
	if err != nil {
		t.Fatal(err)
	}
	cfg := app.Config{
		Listen: "127.0.0.1:0", EngineURL: base, QRWaitInitial: 9 * time.Second, QRWait: 4500 * time.Millisecond,
		ProbeKey: secret.NewSecret("key-probe"), ProbePauses: []probes.Window{{}}, Logger: slog.New(slog.DiscardHandler), Out: &logtest.Buffer{},
	}
	for _, c := range change {
		c(&cfg)
	}
	g, err := app.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return g.URL()
}

// runProbe runs qrgate probe --json and parses its result.
func runProbe(t *testing.T, args ...string) (code int, run probes.Result) {
	t.Helper()
	code, out, errs := runCLI(t, []string{"QRGATE_PROBE_API_KEY=key-probe", "QRGATE_DATA_DIR=" + t.TempDir()}, append([]string{"probe", "--once", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &run); err != nil {
		t.Fatalf("exit %d, %v: %s%s", code, err, out, errs)
	}
	return code, run
}

// At a gateway whose clients speak the engine's own API, the probe does too.
func TestProbe_NativeFrontSucceeds(t *testing.T) {
	t.Parallel()
	for _, d := range app.Dialects() {
		sim := &enginesim.Engine{Keys: map[string]string{"key-probe": "a"}}
		server := httptest.NewServer(enginesim.Faces()[d.Kind](sim))
		t.Cleanup(func() { server.CloseClientConnections(); sim.Close(); server.Close() })
		at := startGateway(t, server.URL, func(c *app.Config) { c.Dialect, c.NativeFront = d, true })
		for _, name := range []string{probes.CreateConnectQR, probes.EngineHealth} {
			code, out, errs := runCLI(t, []string{"QRGATE_PROBE_API_KEY=key-probe", "QRGATE_DATA_DIR=" + t.TempDir(),
				"QRGATE_ENGINE_KIND=" + d.Kind, "QRGATE_FRONT=native"}, "probe", "--target", at, "--probe", name)
			if code != exitOK {
				t.Errorf("%s, %s: exit %d: %s%s", d.Kind, name, code, out, errs)
			}
		}
		code, out, errs := runCLI(t, []string{"QRGATE_PROBE_API_KEY=key-probe", "QRGATE_FRONT=native",
			"QRGATE_ENGINES=a=" + d.Kind + ":" + server.URL}, "probe", "--target", at, "--probe", probes.EngineHealth)
		if code != exitOK {
			t.Errorf("%s, one of several: exit %d: %s%s", d.Kind, code, out, errs)
		}
		if n := len(sim.Snapshot()); n != 0 {
			t.Errorf("%s: the probe left %d sessions", d.Kind, n)
		}
	}
}

// The incident's engine fails clients that ask at once. Through qrgate, the probe gets its QR.
func TestProbe_ThroughGatewaySucceeds(t *testing.T) {
	t.Parallel()
	engine := enginesim.Incident()
	engine.QRDelay = 1500 * time.Millisecond
	at := startGateway(t, startEngine(t, engine))
	for _, name := range probes.Names() {
		code, run := runProbe(t, "--target", at, "--probe", name)
		if code != exitOK || run.Outcome != session.Success || run.Diagnosis != nil || run.Target != at || run.Probe != name {
			t.Errorf("exit %d: %+v", code, run)
		}
		if name == probes.CreateConnectQR && (len(run.Steps) != 5 || run.Steps[2].Detail != "1 request") {
			t.Errorf("the first request did not wait for the QR: %+v", run.Steps)
		}
	}
	if left := engine.Snapshot(); len(left) > 0 {
		t.Errorf("the engine still has %+v", left)
	}
}

// The probe reports the diagnosis that qrgate returned.
func TestProbe_ReportsGatewayDiagnosis(t *testing.T) {
	t.Parallel()
	at := startGateway(t, startEngine(t, &enginesim.Engine{ConnectFailures: -1}))
	code, run := runProbe(t, "--target", at, "--timeout", "12s")
	if code != exitFailed || run.Code() != diagnosis.ConnectFailing || run.Diagnosis.Help == "" || run.Diagnosis.Who != diagnosis.Operator || len(run.Diagnosis.Evidence) == 0 {
		t.Errorf("exit %d: %+v %+v", code, run, run.Diagnosis)
	}
}

func TestProbe_OutputForPeople(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		engine *enginesim.Engine
		code   int
		want   []string
	}{
		"success": {&enginesim.Engine{}, exitOK, []string{"create_connect_qr at http://", "✓ create ", "✓ qr ", "✓ validate ", "readable", "✓ cleanup ", "OK after"}},
		"failure": {&enginesim.Engine{Keys: map[string]string{"key-a": "a"}}, exitFailed,
			[]string{"✗ create ", "FAILED: The engine refuses the API key (key_refused).", "Developer: Correct the key", "  · create: key_refused, HTTP 401"}},
		"cleanup failed": {&enginesim.Engine{Faults: map[enginesim.Route]enginesim.Fault{enginesim.RouteDelete: {Kind: enginesim.TooMany}}}, exitOK,
			[]string{"✗ cleanup ", "could not be deleted. The next run tries again."}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out, errs := runCLI(t, []string{"QRGATE_DATA_DIR=" + t.TempDir()}, "probe", "--target", startEngine(t, c.engine), "--api-key", "key-canary")
			if code != c.code || errs != "" || strings.Contains(out, "canary") {
				t.Errorf("exit %d, want %d: %s%s", code, c.code, out, errs)
			}
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("%q is missing in:\n%s", want, out)
				}
			}
		})
	}
}

// A run deletes the recorded sessions of killed runs whose time is over, and no others.
func TestProbe_DeletesSessionsOfKilledRuns(t *testing.T) {
	t.Parallel()
	engine := &enginesim.Engine{}
	at, dir, client := startEngine(t, engine), t.TempDir(), &http.Transport{}
	defer client.CloseIdleConnections()
	for _, name := range []string{"syn-killed-1", "syn-running-1", "syn-strange-1"} {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, at+"/api/sessions", strings.NewReader(`{"sessionId":"`+name+`","sessionName":"x"}`))
		req.Header.Set("X-API-Key", "key-probe")
		req.Header.Set("Content-Type", "application/json")
		res, err := client.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusCreated {
			t.Fatalf("create returned %d", res.StatusCode)
		}
	}
	noted := probes.NewFileIntents(filepath.Join(dir, "probe-intents"))
	for session, until := range map[string]time.Time{"syn-killed-1": time.Now().Add(-time.Second), "syn-running-1": time.Now().Add(time.Hour)} {
		if err := noted.Record(t.Context(), probes.Intent{Session: session, Target: at, At: time.Now().Add(-time.Hour), Until: until}); err != nil {
			t.Fatal(err)
		}
	}
	if code, out, _ := runCLI(t, nil, "probe", "--target", at, "--api-key", "key-probe", "--probe", "create_delete", "--data-dir", dir); code != exitOK {
		t.Fatalf("exit %d: %s", code, out)
	}
	var left []string
	for _, s := range engine.Snapshot() {
		left = append(left, s.Name)
	}
	if strings.Join(left, " ") != "syn-running-1 syn-strange-1" {
		t.Errorf("the engine still has %v", left)
	}
}

// A create that was never sent leaves no record. Records of other targets do not block a run.
func TestProbe_UnsentCreateLeavesNoRecord(t *testing.T) {
	t.Parallel()
	at, dir := startEngine(t, &enginesim.Engine{}), t.TempDir()
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	for _, target := range []string{strings.Replace(at, "http://", "https://", 1), closed.URL, "http://nobody.invalid"} {
		if code, out, _ := runCLI(t, nil, "probe", "--target", target, "--api-key", "key-a", "--timeout", "3s", "--data-dir", dir); code != exitFailed {
			t.Errorf("exit %d: %s", code, out)
		}
		if left, _ := os.ReadDir(filepath.Join(dir, "probe-intents")); len(left) > 0 {
			t.Errorf("%s: %d records are left", target, len(left))
		}
	}
	elsewhere := probes.NewFileIntents(filepath.Join(dir, "probe-intents"))
	for i := range 11 {
		if err := elsewhere.Record(t.Context(), probes.Intent{Session: "syn-elsewhere-" + itoa(i), Target: "https://elsewhere.invalid"}); err != nil {
			t.Fatal(err)
		}
	}
	if code, out, _ := runCLI(t, nil, "probe", "--target", at, "--api-key", "key-a", "--probe", "create_delete", "--data-dir", dir); code != exitOK {
		t.Errorf("exit %d: %s", code, out)
	}
}

// The target may be qrgate; then the advice must not be about the engine's URL.
func TestProbe_UnreachableTargetIsNamed(t *testing.T) {
	t.Parallel()
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	_, out, _ := runCLI(t, nil, "probe", "--target", closed.URL, "--probe", "engine_health")
	if !strings.Contains(out, "FAILED: Nothing responds at "+closed.URL+" (engine_unreachable).") || strings.Contains(out, "QRGATE_ENGINE_URL") {
		t.Error(out)
	}
	cuts := startEngine(t, &enginesim.Engine{Faults: map[enginesim.Route]enginesim.Fault{enginesim.RouteConnect: {Kind: enginesim.CutConnection}}})
	if _, out, _ = runCLI(t, nil, "probe", "--target", cuts, "--api-key", "key-a", "--data-dir", t.TempDir()); !strings.Contains(out, "The engine cannot be reached") {
		t.Errorf("the target responded before it cut the connection: %s", out)
	}
	gateway := startGateway(t, closed.URL)
	if _, out, _ = runCLI(t, nil, "probe", "--target", gateway, "--probe", "engine_health"); !strings.Contains(out, "QRGATE_ENGINE_URL") {
		t.Errorf("qrgate responds and its engine does not: %s", out)
	}
}

func TestCanonicalURL(t *testing.T) {
	t.Parallel()
	for written, want := range map[string]string{
		"http://qrgate":            "http://qrgate",
		"http://qrgate/":           "http://qrgate",
		"HTTP://QRGate:80//":       "http://qrgate",
		"https://qrgate:443/api/":  "https://qrgate",
		"https://qrgate:80":        "https://qrgate:80",
		"http://[::1]:8084/a%2Fb/": "http://[::1]:8084/a%2Fb",
	} {
		u, err := url.Parse(written)
		if err != nil {
			t.Fatal(err)
		}
		if got := canonicalURL(u).String(); got != want {
			t.Errorf("canonicalURL(%s) = %s, want %s", written, got, want)
		}
	}
}

func TestProbe_Help(t *testing.T) {
	t.Parallel()
	code, out, _ := runCLI(t, nil, "probe", "--help")
	for _, want := range []string{"Exit status: 0 the probe succeeded, 1 it failed, 2 wrong arguments, 3 the prober", "--target=URL", "--timeout=DURATION", "create_connect_qr"} {
		if code != exitOK || !strings.Contains(out, want) {
			t.Errorf("exit %d, and %q is missing in:\n%s", code, want, out)
		}
	}
}

func TestProbe_WrongArguments(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "a file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"unknown probe":    {[]string{"--probe", "gremlins", "--api-key", "key-a"}, exitUsage, "create_connect_qr"},
		"no URL":           {[]string{"--target", "qrgate", "--api-key", "key-a"}, exitUsage, "--target must be like"},
		"a key in the URL": {[]string{"--target", "http://u:canary@qrgate", "--api-key", "key-a"}, exitUsage, "--api-key"},
		"no key":           {nil, exitUsage, "QRGATE_PROBE_API_KEY"},
		"negative timeout": {[]string{"--timeout", "-5s", "--api-key", "key-a"}, exitUsage, "--timeout"},
		"unknown flag":     {[]string{"--onze"}, exitUsage, "--onze"},
		"no record store":  {[]string{"--data-dir", file, "--api-key", "key-a", "--target", "http://127.0.0.1:1"}, exitProber, "The prober failed (internal): the intent was not recorded"},
		"closed port":      {[]string{"--probe", "engine_health", "--target", "http://127.0.0.1:1"}, exitFailed, "engine_unreachable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out, errs := runCLI(t, nil, append([]string{"probe"}, c.args...)...)
			if code != c.code || !strings.Contains(out+errs, c.want) || strings.Contains(out+errs, "canary") {
				t.Errorf("exit %d, want %d: %s%s", code, c.code, out, errs)
			}
		})
	}
}
