package app_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"qrgate/internal/app"
	"qrgate/internal/diagnosis"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/internal/statuspage"
	"qrgate/internal/test/enginesim"
	"qrgate/probes"
)

// observed is a gateway before an engine, with its operators' port, in real time. Nothing is probed but on demand.
func observed(t *testing.T, engine *enginesim.Engine, probeKey string, changes ...func(*app.Config)) (r *rig, admin string) {
	t.Helper()
	upstream := httptest.NewServer(engine)
	t.Cleanup(func() { engine.Close(); upstream.Close() })
	base, _ := url.Parse(upstream.URL)
	config := app.Config{
		Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", AdminHosts: []string{"qrgate.internal"}, EngineURL: base, Out: io.Discard, Logger: slog.New(slog.DiscardHandler),
		DataDir: t.TempDir(), ProbeKey: secret.NewSecret(probeKey), ProbePauses: []probes.Window{{}}, Version: "1.2.3",
	}
	for _, change := range changes {
		change(&config)
	}
	g, err := app.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("qrgate ended with %v", err)
		}
	})
	seen := &responseChecker{t: t, next: transport}
	return &rig{T: t, engine: engine, base: g.URL(), http: &http.Client{Transport: seen}, checker: seen}, g.AdminURL()
}

// status asks the operators' port.
func (r *rig) status(admin string) (s statuspage.Snapshot, raw string) {
	r.Helper()
	res, err := (&http.Client{Transport: r.checker.next}).Get(admin + "/status?format=json")
	if err != nil {
		r.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	if err := json.Unmarshal(body, &s); err != nil || res.StatusCode != http.StatusOK {
		r.Fatalf("%d %v: %s", res.StatusCode, err, body)
	}
	return s, string(body)
}

// The page shows a session that gets no QR: which, since when and why. It contains no key.
func TestStatus_SessionWithoutQR(t *testing.T) {
	t.Parallel()
	r, admin := observed(t, &enginesim.Engine{Faults: faulty(enginesim.RouteQR, enginesim.ServerError)}, "")
	if s, _ := r.status(admin); s.Verdict.Level != statuspage.LevelUnknown || s.Engine.Kind != "http" || s.Store.Kind != "memory" || s.Build.Version != "1.2.3" || s.WaiterLimit == 0 ||
		!strings.Contains(s.ProbesNote, "QRGATE_PROBE_API_KEY") {
		t.Errorf("at the start: %+v", s)
	}
	id := r.create("crm-1")
	r.post("/api/sessions/"+id+"/connect", "{}")
	r.get("/api/sessions/"+id+"/qr", "Prefer", "wait=2")
	s, raw := r.status(admin)
	if s.Verdict.Level != statuspage.LevelDegraded || s.Verdict.Code != diagnosis.Engine5xx || s.Verdict.Since.IsZero() || len(s.Causes) != 1 {
		t.Fatalf("%s", raw)
	}
	if c := s.Causes[0]; c.Sessions != 1 || len(c.Labels) != 1 || c.Labels[0] != "crm-1" || !strings.Contains(c.Evidence[0], "HTTP 500") {
		t.Errorf("%+v", c)
	}
	if s.Engine.State != statuspage.EngineUp || s.Engine.Responses["server_error"] == 0 || s.Sessions[session.Connecting] != 1 || len(s.Changes) == 0 {
		t.Errorf("%s", raw)
	}
	if strings.Contains(raw, "key-a") {
		t.Error("the page knows a key")
	}
}

// The probe of the engine's health goes through qrgate, and finds the cause that qrgate's own calls find.
func TestEngineHealthProbe_FindsCause(t *testing.T) {
	t.Parallel()
	for kind, want := range map[enginesim.FaultKind]diagnosis.Code{
		enginesim.HTML502: diagnosis.EngineUnreachable, enginesim.HTML503: diagnosis.EngineUnreachable, enginesim.HTML504: diagnosis.EngineTimeout,
		enginesim.CutConnection: diagnosis.EngineUnreachable, enginesim.TooMany: diagnosis.RateLimited, enginesim.ServerError: diagnosis.Engine5xx,
		enginesim.Garbage: diagnosis.EngineBadResponse,
	} {
		r, admin := observed(t, &enginesim.Engine{Faults: faulty(enginesim.AnyRoute, kind)}, "key-probe")
		res, err := (&http.Client{Transport: r.checker.next}).Get(admin + "/probe?target=gate&module=engine_health")
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if !strings.Contains(string(body), `probe_diagnosis_info{diagnosis="`+string(want)+`"} 1`) {
			t.Errorf("fault %d: want %s in\n%s", kind, want, body)
		}
	}
}

// The page shows a delivered QR and the runs of probes.
func TestStatus_HealthyWithProbes(t *testing.T) {
	t.Parallel()
	r, admin := observed(t, &enginesim.Engine{Limits: enginesim.RecordedLimits()}, "key-probe")
	id := r.create("crm-1")
	r.connect(id)
	r.qr(id, "Prefer", "wait=5")
	for _, module := range []string{"engine_health", "create_connect_qr"} {
		res, err := (&http.Client{Transport: r.checker.next}).Get(admin + "/probe?target=gate&module=" + module)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %s", module, res.StatusCode, body)
		}
	}
	s, raw := r.status(admin)
	if s.Verdict.Level != statuspage.LevelOK || len(s.Acquisitions) != 1 || s.Acquisitions[0].Label != "crm-1" || s.Acquisitions[0].Outcome != session.Success {
		t.Errorf("%s", raw)
	}
	if s.Sessions[session.AwaitingScan] != 1 || s.Sessions[session.Connecting]+s.Sessions[session.Disconnected]+s.Sessions[session.Unknown] != 0 || !s.Engine.RateLimit.Known || s.Engine.RateLimit.ReportedAt.IsZero() {
		t.Errorf("active are %v, and %d of probes; the rate limit is %+v", s.Sessions, s.Probing, s.Engine.RateLimit)
	}
	ran := map[string]int{}
	for _, p := range s.Probes {
		ran[p.Name] = len(p.Runs)
		if p.Every <= 0 || (p.LastOutcome() == "") != (len(p.Runs) == 0) || p.LastOutcome() == session.Failure {
			t.Errorf("%+v", p)
		}
	}
	if s.ProbesNote != "" || ran["engine_health"] == 0 || ran["create_connect_qr"] == 0 || len(ran) < 3 {
		t.Errorf("%v: %s", ran, raw)
	}
	if strings.Contains(raw, "key-probe") || strings.Contains(raw, "key-a") {
		t.Error("the page knows a key")
	}
}

// The page and what belongs to it lie on the operators' port, not on the clients'.
func TestStatus_OnAdminPortOnly(t *testing.T) {
	t.Parallel()
	r, admin := observed(t, &enginesim.Engine{}, "")
	for path, kind := range map[string]string{"/status": "text/html", "/status/causes": "text/html", "/status/app.js": "text/javascript", "/status/style.css": "text/css"} {
		res, err := (&http.Client{Transport: r.checker.next}).Get(admin + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("Content-Type"), kind) {
			t.Errorf("%s: %d %v", path, res.StatusCode, res.Header)
		}
	}
	if res, err := (&http.Client{Transport: r.checker.next}).Get(r.base + "/status"); err != nil || strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
		t.Errorf("the clients' port has it: %v", err)
	} else {
		res.Body.Close()
	}
}

// The operators' port without a path shows the page.
func TestAdminPort_RedirectsToStatus(t *testing.T) {
	t.Parallel()
	r, admin := observed(t, &enginesim.Engine{}, "")
	res, err := (&http.Client{Transport: r.checker.next}).Get(admin)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusOK || res.Request.URL.Path != "/status" || !strings.Contains(string(body), "<html") {
		t.Errorf("%d at %s: %.80s", res.StatusCode, res.Request.URL, body)
	}
}
