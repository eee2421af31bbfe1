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
	"qrgate/metrics"
	"qrgate/probes"
)

// The metrics count what the probes tell without anything between them.
var _ probes.Observer = (*metrics.Probes)(nil)

// simulated serves a simulated engine on a loopback port.
func simulated(t *testing.T, e *enginesim.Engine) string {
	t.Helper()
	server := httptest.NewServer(e)
	t.Cleanup(func() { server.Close(); e.Close() })
	return server.URL
}

// gated puts a gate before an engine. Its own schedule rests: a run of it could begin at any moment and leave
// a session under way in what a test counts.
func gated(t *testing.T, engine string) string {
	t.Helper()
	base, err := url.Parse(engine)
	if err != nil {
		t.Fatal(err)
	}
	g, err := app.New(app.Config{
		Listen: "127.0.0.1:0", EngineURL: base, QRWaitInitial: 9 * time.Second, QRWait: 4500 * time.Millisecond,
		ProbeKey: secret.NewSecret("key-probe"), ProbePauses: []probes.Window{{}}, Logger: slog.New(slog.DiscardHandler), Out: &lines{},
	})
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

// probed runs qrgate probe --json and reads its answer.
func probed(t *testing.T, args ...string) (code int, run probes.Result) {
	t.Helper()
	code, out, errs := called(t, []string{"QRGATE_PROBE_API_KEY=key-probe", "QRGATE_DATA_DIR=" + t.TempDir()}, append([]string{"probe", "--once", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &run); err != nil {
		t.Fatalf("exit %d, %v: %s%s", code, err, out, errs)
	}
	return code, run
}

// TestProbeThroughTheGate: the incident's engine fails whoever asks it directly and at once; the gate's
// clients get their QR, and the probe is one of them.
func TestProbeThroughTheGate(t *testing.T) {
	t.Parallel()
	engine := enginesim.Incident()
	engine.QRDelay = 1500 * time.Millisecond
	at := gated(t, simulated(t, engine))
	for _, name := range probes.Names() {
		code, run := probed(t, "--target", at, "--probe", name)
		if code != exitOK || run.Outcome != session.Success || run.Diagnosis != nil || run.Target != at || run.Probe != name {
			t.Errorf("exit %d: %+v", code, run)
		}
		if name == probes.CreateConnectQR && (len(run.Steps) != 5 || run.Steps[2].Detail != "1 requests") {
			t.Errorf("the gate holds the first request until there is a code, and the steps are %+v", run.Steps)
		}
	}
	if left := engine.Snapshot(); len(left) > 0 {
		t.Errorf("the engine still has %+v", left)
	}
}

// TestProbeBelievesTheGate: what the gate diagnosed is the probe's diagnosis, with who must do what.
func TestProbeBelievesTheGate(t *testing.T) {
	t.Parallel()
	at := gated(t, simulated(t, &enginesim.Engine{ConnectFailures: -1}))
	code, run := probed(t, "--target", at, "--timeout", "12s")
	if code != exitFailed || run.Code() != diagnosis.ConnectFailing || run.Diagnosis.Help == "" || run.Diagnosis.Who != diagnosis.Operator || len(run.Diagnosis.Evidence) == 0 {
		t.Errorf("exit %d: %+v %+v", code, run, run.Diagnosis)
	}
}

// TestProbeSpeaks: one line per step while it goes, and a verdict.
func TestProbeSpeaks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		engine *enginesim.Engine
		code   int
		want   []string
	}{
		"it works": {&enginesim.Engine{}, exitOK, []string{"create_connect_qr at http://", "✓ create ", "✓ qr ", "✓ validate ", "modules", "✓ cleanup ", "OK after"}},
		"it does not": {&enginesim.Engine{Keys: map[string]string{"key-a": "a"}}, exitFailed,
			[]string{"✗ create ", "FAILED: The engine refuses the API key (key_refused).", "Developer: Correct the key", "  · POST /api/sessions → 401"}},
		"and it stays dirty": {&enginesim.Engine{Faults: map[enginesim.Route]enginesim.Fault{enginesim.RouteDelete: {Kind: enginesim.TooMany}}}, exitOK,
			[]string{"✗ cleanup ", "could not be deleted. The next run tries again."}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out, errs := called(t, []string{"QRGATE_DATA_DIR=" + t.TempDir()}, "probe", "--target", simulated(t, c.engine), "--api-key", "key-canary")
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

// TestProbeTidiesUp: what a killed run noted is deleted by the next one, once that run must be over.
func TestProbeTidiesUp(t *testing.T) {
	t.Parallel()
	engine := &enginesim.Engine{}
	at, dir, way := simulated(t, engine), t.TempDir(), &http.Transport{}
	defer way.CloseIdleConnections()
	for _, name := range []string{"syn-killed-1", "syn-running-1", "syn-strange-1"} {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, at+"/api/sessions", strings.NewReader(`{"sessionId":"`+name+`","sessionName":"x"}`))
		req.Header.Set("X-API-Key", "key-probe")
		req.Header.Set("Content-Type", "application/json")
		res, err := way.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusCreated {
			t.Fatalf("create answers %d", res.StatusCode)
		}
	}
	noted := probes.NewFileIntents(filepath.Join(dir, "probe-intents"))
	for session, until := range map[string]time.Time{"syn-killed-1": time.Now().Add(-time.Second), "syn-running-1": time.Now().Add(time.Hour)} {
		if err := noted.Record(t.Context(), probes.Intent{Session: session, Target: at, At: time.Now().Add(-time.Hour), Until: until}); err != nil {
			t.Fatal(err)
		}
	}
	if code, out, _ := called(t, nil, "probe", "--target", at, "--api-key", "key-probe", "--probe", "create_delete", "--data-dir", dir); code != exitOK {
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

// TestProbeElsewhereLocksNobodyOut: a create that cannot have left is no session that somebody has to delete, at
// this target or another.
func TestProbeElsewhereLocksNobodyOut(t *testing.T) {
	t.Parallel()
	at, dir := simulated(t, &enginesim.Engine{}), t.TempDir()
	nobody := httptest.NewServer(http.NotFoundHandler())
	nobody.Close()
	for _, target := range []string{strings.Replace(at, "http://", "https://", 1), nobody.URL, "http://nobody.invalid"} {
		if code, out, _ := called(t, nil, "probe", "--target", target, "--api-key", "key-a", "--timeout", "3s", "--data-dir", dir); code != exitFailed {
			t.Errorf("exit %d: %s", code, out)
		}
		if left, _ := os.ReadDir(filepath.Join(dir, "probe-intents")); len(left) > 0 {
			t.Errorf("%s: %d notes are left of what nobody can have made", target, len(left))
		}
	}
	elsewhere := probes.NewFileIntents(filepath.Join(dir, "probe-intents"))
	for i := range 11 {
		if err := elsewhere.Record(t.Context(), probes.Intent{Session: "syn-elsewhere-" + itoa(i), Target: "https://elsewhere.invalid"}); err != nil {
			t.Fatal(err)
		}
	}
	if code, out, _ := called(t, nil, "probe", "--target", at, "--api-key", "key-a", "--probe", "create_delete", "--data-dir", dir); code != exitOK {
		t.Errorf("exit %d: %s", code, out)
	}
}

// TestProbeNamesWhoDoesNotAnswer: the target may be a gate, so its engine's URL is not what is wrong.
func TestProbeNamesWhoDoesNotAnswer(t *testing.T) {
	t.Parallel()
	nobody := httptest.NewServer(http.NotFoundHandler())
	nobody.Close()
	_, out, _ := called(t, nil, "probe", "--target", nobody.URL, "--probe", "engine_health")
	if !strings.Contains(out, "FAILED: Nobody answers at "+nobody.URL+" (engine_unreachable).") || strings.Contains(out, "QRGATE_ENGINE_URL") {
		t.Error(out)
	}
	cuts := simulated(t, &enginesim.Engine{Faults: map[enginesim.Route]enginesim.Fault{enginesim.RouteConnect: {Kind: enginesim.CutConnection}}})
	if _, out, _ = called(t, nil, "probe", "--target", cuts, "--api-key", "key-a", "--data-dir", t.TempDir()); !strings.Contains(out, "The engine cannot be reached") {
		t.Errorf("it answered before it cut: %s", out)
	}
	gate := gated(t, nobody.URL)
	if _, out, _ = called(t, nil, "probe", "--target", gate, "--probe", "engine_health"); !strings.Contains(out, "QRGATE_ENGINE_URL") {
		t.Errorf("the gate answers, and its engine does not: %s", out)
	}
}

// TestTargetsHaveOneName, however their URL is written: what is noted for one is found by the other.
func TestTargetsHaveOneName(t *testing.T) {
	t.Parallel()
	for written, want := range map[string]string{
		"http://gate":              "http://gate",
		"http://gate/":             "http://gate",
		"HTTP://Gate:80//":         "http://gate",
		"https://gate:443/api/":    "https://gate",
		"https://gate:80":          "https://gate:80",
		"http://[::1]:8084/a%2Fb/": "http://[::1]:8084/a%2Fb",
	} {
		u, err := url.Parse(written)
		if err != nil {
			t.Fatal(err)
		}
		if got := canonicalURL(u).String(); got != want {
			t.Errorf("%s is called %s, want %s", written, got, want)
		}
	}
}

func TestProbeHelp(t *testing.T) {
	t.Parallel()
	code, out, _ := called(t, nil, "probe", "--help")
	for _, want := range []string{"Exit status: 0 it works, 1 it does not, 2 called wrongly, 3 the prober itself", "--target=URL", "--timeout=DURATION", "create_connect_qr"} {
		if code != exitOK || !strings.Contains(out, want) {
			t.Errorf("exit %d, and %q is missing in:\n%s", code, want, out)
		}
	}
}

func TestProbeCalledWrongly(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "a file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"no such probe":    {[]string{"--probe", "gremlins", "--api-key", "key-a"}, exitUsage, "create_connect_qr"},
		"no URL":           {[]string{"--target", "gate", "--api-key", "key-a"}, exitUsage, "--target must be like"},
		"a key in the URL": {[]string{"--target", "http://u:canary@gate", "--api-key", "key-a"}, exitUsage, "--api-key"},
		"no key":           {nil, exitUsage, "QRGATE_PROBE_API_KEY"},
		"backwards":        {[]string{"--timeout", "-5s", "--api-key", "key-a"}, exitUsage, "--timeout"},
		"no such flag":     {[]string{"--onze"}, exitUsage, "--onze"},
		"nowhere to note":  {[]string{"--data-dir", file, "--api-key", "key-a", "--target", "http://127.0.0.1:1"}, exitProber, "The prober failed (internal): the intent could not be recorded"},
		"nobody there":     {[]string{"--probe", "engine_health", "--target", "http://127.0.0.1:1"}, exitFailed, "engine_unreachable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out, errs := called(t, nil, append([]string{"probe"}, c.args...)...)
			if code != c.code || !strings.Contains(out+errs, c.says) || strings.Contains(out+errs, "canary") {
				t.Errorf("exit %d, want %d: %s%s", code, c.code, out, errs)
			}
		})
	}
}
