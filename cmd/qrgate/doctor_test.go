package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/test/enginesim"
	"qrgate/internal/test/whatsappsim"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
	"qrgate/probes/doctor"
)

// runDoctor runs qrgate doctor; client leads to WhatsApp.
func runDoctor(t *testing.T, client *http.Client, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	args = append([]string{"doctor", "--data-dir", t.TempDir()}, args...)
	code = run(t.Context(), cli{args: args, out: &o, err: &e, whatsapp: client})
	return code, o.String(), e.String()
}

// startWhatsApp starts a simulated WhatsApp with a fault and returns a client for it.
func startWhatsApp(t *testing.T, f whatsappsim.Fault) *http.Client {
	t.Helper()
	whatsappsimtest.TrustRoot()
	srv := &whatsappsim.Server{Fault: f}
	return srv.HTTPClient(whatsappsimtest.Start(t, srv))
}

func TestDoctor_ExitCodePerCause(t *testing.T) {
	engine := func(t *testing.T) string {
		return startEngine(t, &enginesim.Engine{Keys: map[string]string{"key-a": "a"}})
	}
	unreachable := func(t *testing.T) string {
		server := httptest.NewServer(http.NotFoundHandler())
		server.Close()
		return server.URL
	}
	healthy := func(t *testing.T) *http.Client { return startWhatsApp(t, whatsappsim.Fault{}) }
	for name, tt := range map[string]struct {
		client func(*testing.T) *http.Client
		engine func(*testing.T) string // nil: none
		key    string
		exit   int
		code   diagnosis.Code
		checks []string // the failed ones
	}{
		"healthy, with an engine":    {healthy, engine, "key-a", exitOK, diagnosis.None, nil},
		"healthy, without an engine": {healthy, nil, "", exitOK, diagnosis.None, nil},
		"blocked network": {func(t *testing.T) *http.Client {
			return (&whatsappsim.Server{}).HTTPClient(strings.TrimPrefix(unreachable(t), "http://"))
		}, nil, "", exitNetwork, diagnosis.NetworkBlocked, []string{"tcp"}},
		"intercepted TLS": {func(t *testing.T) *http.Client {
			srv := &whatsappsim.Server{}
			return srv.HTTPSClient(whatsappsimtest.Start(t, srv), x509.NewCertPool())
		}, nil, "", exitNetwork, diagnosis.TLSIntercepted, []string{"tls"}},
		"an outdated version": {func(t *testing.T) *http.Client { return startWhatsApp(t, whatsappsim.Fault{Failure: 405}) }, nil, "",
			exitOutdated, diagnosis.ClientOutdated, []string{"handshake"}},
		"an outage":            {func(t *testing.T) *http.Client { return startWhatsApp(t, whatsappsim.Fault{Failure: 503}) }, nil, "", exitWhatsApp, diagnosis.WhatsAppUnavailable, []string{"handshake"}},
		"a dead engine":        {healthy, unreachable, "key-a", exitEngine, diagnosis.EngineUnreachable, []string{"engine"}},
		"a wrong key":          {healthy, engine, "key-b", exitKey, diagnosis.KeyRefused, []string{"key"}},
		"no key, and no fault": {healthy, engine, "", exitUnknown, diagnosis.Undetermined, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := []string{"--json"}
			if tt.engine != nil {
				args = append(args, "--engine-url", tt.engine(t), "--api-key", tt.key)
			}
			exit, out, errs := runDoctor(t, tt.client(t), args...)
			var got doctor.Report
			if err := json.Unmarshal([]byte(out), &got); err != nil {
				t.Fatalf("exit %d, no JSON: %s%s", exit, out, errs)
			}
			if exit != tt.exit || got.Diagnosis.Code != tt.code || got.Diagnosis.Title == "" || got.Diagnosis.Help == "" || len(got.Diagnosis.Evidence) == 0 {
				t.Errorf("exit %d, %+v; want %d %s", exit, got.Diagnosis, tt.exit, tt.code)
			}
			var failed []string
			for _, c := range got.Checks {
				if !c.OK {
					failed = append(failed, c.Name)
				}
			}
			if strings.Join(failed, " ") != strings.Join(tt.checks, " ") {
				t.Errorf("failed %q, want %q: %+v", failed, tt.checks, got.Checks)
			}
		})
	}
}

// The output is one line per check, then the diagnosis and who must act, in the requested language.
func TestDoctor_OutputForPeople(t *testing.T) {
	t.Parallel()
	engine := startEngine(t, &enginesim.Engine{Keys: map[string]string{"key-a": "a"}})
	_, out, _ := runDoctor(t, startWhatsApp(t, whatsappsim.Fault{}), "--engine-url", engine, "--api-key", "key-a")
	for _, want := range []string{"✓ engine", "✓ key", "✓ others", "✓ create", "✓ connect", "✓ qr", "✓ cleanup", "✓ handshake", "Healthy (none).\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	_, out, _ = runDoctor(t, startWhatsApp(t, whatsappsim.Fault{Failure: 405}), "--lang", "es")
	for _, want := range []string{"✗ handshake", "WhatsApp rechaza esta versión", "Operación: Actualice el motor"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if _, out, _ = runDoctor(t, startWhatsApp(t, whatsappsim.Fault{}), "--lang", "es"); !strings.Contains(out, "Todo funciona (none).\nNo hace falta ninguna acción: No hay que hacer nada.\n") {
		t.Errorf("healthy, in Spanish: %s", out)
	}
}

// doctor records its session before it creates it, and leaves neither session nor record. The key is in no output.
func TestDoctor_RecordsAndDeletesItsSession(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	recorded := false
	e := &enginesim.Engine{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.URL.Path == "/api/sessions" {
			notes, err := os.ReadDir(filepath.Join(dir, "probe-intents"))
			recorded = err == nil && len(notes) == 1
		}
		e.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { server.Close(); e.Close() })
	exit, out, errs := runDoctor(t, startWhatsApp(t, whatsappsim.Fault{}), "--data-dir", dir, "--engine-url", server.URL, "--api-key", "key-canary")
	if exit != exitOK || !recorded || len(e.Snapshot()) != 0 {
		t.Errorf("exit %d, recorded %t, left %+v: %s", exit, recorded, e.Snapshot(), out)
	}
	if notes, _ := os.ReadDir(filepath.Join(dir, "probe-intents")); len(notes) != 0 {
		t.Errorf("%d records are left", len(notes))
	}
	if strings.Contains(out+errs, "canary") {
		t.Errorf("the key is printed: %s%s", out, errs)
	}
}

// The next probe at the same engine deletes what doctor could not delete, however the URL is written.
func TestDoctor_ProbeDeletesLeftover(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e := &enginesim.Engine{Faults: map[enginesim.Route]enginesim.Fault{enginesim.RouteDelete: {Kind: enginesim.ServerError}}}
	at := startEngine(t, e)
	_, out, _ := runDoctor(t, startWhatsApp(t, whatsappsim.Fault{}), "--data-dir", dir, "--engine-url", at+"/", "--api-key", "key-a")
	for _, want := range []string{"✗ cleanup", "could not be deleted. It is recorded in " + filepath.Join(dir, "probe-intents"), "qrgate probe --target " + at + " --data-dir " + dir} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	e.Change(func(e *enginesim.Engine) { e.Faults = nil })
	if len(e.Snapshot()) != 1 {
		t.Fatalf("the engine has %+v", e.Snapshot())
	}
	if exit, out, _ := runCLI(t, nil, "probe", "--target", at, "--data-dir", dir, "--api-key", "key-a", "--probe", "create_delete"); exit != exitOK || len(e.Snapshot()) != 0 {
		t.Errorf("exit %d, left %+v: %s", exit, e.Snapshot(), out)
	}
}

func TestDoctor_InterruptedReportsOnlyThat(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--json"}, {}} {
		e := &enginesim.Engine{QRDelay: time.Hour}
		ctx, stop := context.WithCancel(t.Context())
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/qr") {
				stop()
			}
			e.ServeHTTP(w, r)
		}))
		var o bytes.Buffer
		args = append([]string{"doctor", "--data-dir", t.TempDir(), "--engine-url", server.URL, "--api-key", "key-a"}, args...)
		exit := run(ctx, cli{args: args, out: &o, err: &o, whatsapp: startWhatsApp(t, whatsappsim.Fault{})})
		want := "The checks were interrupted (undetermined)."
		if slices.Contains(args, "--json") {
			want = `"complete":false,"stopped":true`
		}
		if exit != exitFailed || !strings.Contains(o.String(), want) || len(e.Snapshot()) != 0 {
			t.Errorf("exit %d, left %+v: %s", exit, e.Snapshot(), o.String())
		}
		server.Close()
		e.Close()
	}
}

func TestDoctor_ThroughGateway(t *testing.T) {
	t.Parallel()
	gateway := startGateway(t, startEngine(t, &enginesim.Engine{}))
	if exit, out, _ := runDoctor(t, startWhatsApp(t, whatsappsim.Fault{}), "--engine-url", gateway, "--api-key", "key-a"); exit != exitOK {
		t.Errorf("exit %d: %s", exit, out)
	}
}

func TestDoctor_WrongArguments(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"no URL":           {"--engine-url", "engine"},
		"deep without URL": {"--deep"},
		"no time for a QR": {"--qr-timeout", "0s"},
		"unknown language": {"--lang", "tlh"},
	} {
		if exit, out, errs := runDoctor(t, nil, args...); exit != exitUsage || errs == "" {
			t.Errorf("%s: exit %d, %s%s", name, exit, out, errs)
		}
	}
}

func TestDoctor_HelpNamesEveryExitCode(t *testing.T) {
	t.Parallel()
	help := readHelp("doctor")
	for _, code := range append(diagnosis.Codes(), diagnosis.None) {
		exit := exitCode(code)
		if (exit == exitOK) != (code == diagnosis.None) {
			t.Errorf("%s exits with %d", code, exit)
		}
		if !strings.Contains(help, "\n  "+strings.Repeat(" ", 2-len(itoa(exit)))+itoa(exit)+" ") {
			t.Errorf("the help does not explain exit code %d", exit)
		}
	}
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) }

// An engine with an API of its own is recognized, and a setting that names another one is an error.
func TestDoctor_EngineKind(t *testing.T) {
	sim := &enginesim.Engine{Keys: map[string]string{"key-a": "a"}}
	server := httptest.NewServer(enginesim.Evolution(sim))
	t.Cleanup(func() { sim.Close(); server.Close() })
	client := startWhatsApp(t, whatsappsim.Fault{})
	code, out, errs := runDoctor(t, client, "--engine-url", server.URL, "--api-key", "key-a")
	if code != exitOK || len(sim.Snapshot()) != 0 {
		t.Errorf("exit %d, %d sessions left\n%s%s", code, len(sim.Snapshot()), out, errs)
	}
	if !strings.Contains(out, "evolution: start qrgate with QRGATE_ENGINE_KIND=evolution") {
		t.Errorf("doctor does not report the engine's kind:\n%s", out)
	}
	t.Setenv("QRGATE_ENGINE_KIND", "waha")
	code, _, errs = runDoctor(t, client, "--engine-url", server.URL, "--api-key", "key-a")
	if code != exitUsage || !strings.Contains(errs, "set QRGATE_ENGINE_KIND=evolution") {
		t.Errorf("exit %d: %s", code, errs)
	}
	documented := httptest.NewServer(sim)
	t.Cleanup(documented.Close)
	code, out, errs = runDoctor(t, client, "--engine-url", documented.URL, "--api-key", "key-a")
	if code != exitEngine || !strings.Contains(out, "GET /ping does not respond as waha does") {
		t.Errorf("an engine of the documented API: exit %d: %s%s", code, out, errs)
	}
}
