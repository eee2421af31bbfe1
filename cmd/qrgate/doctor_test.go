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

// consulted runs qrgate doctor by its command line; way leads to WhatsApp.
func consulted(t *testing.T, way *http.Client, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	args = append([]string{"doctor", "--data-dir", t.TempDir()}, args...)
	code = run(t.Context(), cli{args: args, out: &o, err: &e, whatsapp: way})
	return code, o.String(), e.String()
}

// simulatedWhatsApp is the way to a simulated WhatsApp with a fault.
func simulatedWhatsApp(t *testing.T, f whatsappsim.Fault) *http.Client {
	t.Helper()
	whatsappsimtest.TrustRoot()
	srv := &whatsappsim.Server{Fault: f}
	return srv.HTTPClient(whatsappsimtest.Start(t, srv))
}

// Five troubles, five verdicts, five exit statuses.
func TestDoctorTellsThemApart(t *testing.T) {
	engine := func(t *testing.T) string {
		return simulated(t, &enginesim.Engine{Keys: map[string]string{"key-a": "a"}})
	}
	nowhere := func(t *testing.T) string {
		server := httptest.NewServer(http.NotFoundHandler())
		server.Close()
		return server.URL
	}
	healthy := func(t *testing.T) *http.Client { return simulatedWhatsApp(t, whatsappsim.Fault{}) }
	for name, tt := range map[string]struct {
		way    func(*testing.T) *http.Client
		engine func(*testing.T) string // nil: without
		key    string
		exit   int
		code   diagnosis.Code
		checks []string // those that failed
	}{
		"healthy, with an engine":    {healthy, engine, "key-a", exitOK, diagnosis.None, nil},
		"healthy, without an engine": {healthy, nil, "", exitOK, diagnosis.None, nil},
		"blocked network": {func(t *testing.T) *http.Client {
			return (&whatsappsim.Server{}).HTTPClient(strings.TrimPrefix(nowhere(t), "http://"))
		}, nil, "", exitNetwork, diagnosis.NetworkBlocked, []string{"tcp"}},
		"intercepted TLS": {func(t *testing.T) *http.Client {
			srv := &whatsappsim.Server{}
			return srv.HTTPSClient(whatsappsimtest.Start(t, srv), x509.NewCertPool())
		}, nil, "", exitNetwork, diagnosis.TLSIntercepted, []string{"tls"}},
		"an outdated version": {func(t *testing.T) *http.Client { return simulatedWhatsApp(t, whatsappsim.Fault{Failure: 405}) }, nil, "",
			exitOutdated, diagnosis.ClientOutdated, []string{"handshake"}},
		"an outage":                    {func(t *testing.T) *http.Client { return simulatedWhatsApp(t, whatsappsim.Fault{Failure: 503}) }, nil, "", exitWhatsApp, diagnosis.WhatsAppUnavailable, []string{"handshake"}},
		"a dead engine":                {healthy, nowhere, "key-a", exitEngine, diagnosis.EngineUnreachable, []string{"engine"}},
		"a wrong key":                  {healthy, engine, "key-b", exitKey, diagnosis.KeyRefused, []string{"key"}},
		"no key, and nothing is wrong": {healthy, engine, "", exitUnknown, diagnosis.Undetermined, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := []string{"--json"}
			if tt.engine != nil {
				args = append(args, "--engine-url", tt.engine(t), "--api-key", tt.key)
			}
			exit, out, errs := consulted(t, tt.way(t), args...)
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

// A person reads one line a check, the verdict, who must act, and in the language asked for.
func TestDoctorForAPerson(t *testing.T) {
	t.Parallel()
	engine := simulated(t, &enginesim.Engine{Keys: map[string]string{"key-a": "a"}})
	_, out, _ := consulted(t, simulatedWhatsApp(t, whatsappsim.Fault{}), "--engine-url", engine, "--api-key", "key-a")
	for _, want := range []string{"✓ engine", "✓ key", "✓ others", "✓ create", "✓ connect", "✓ qr", "✓ cleanup", "✓ handshake", "Healthy (none).\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	_, out, _ = consulted(t, simulatedWhatsApp(t, whatsappsim.Fault{Failure: 405}), "--lang", "es")
	for _, want := range []string{"✗ handshake", "WhatsApp rechaza esta versión", "Operación: Actualice el motor"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if _, out, _ = consulted(t, simulatedWhatsApp(t, whatsappsim.Fault{}), "--lang", "es"); !strings.Contains(out, "Todo funciona (none).\nNadie tiene que actuar: No hay que hacer nada.\n") {
		t.Errorf("healthy, in Spanish: %s", out)
	}
}

// The session that is tried is written down before it is made, so that a killed doctor leaves nothing that
// nobody knows of; afterwards nothing is left at all, and the key is in no output.
func TestDoctorLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	promised := false
	e := &enginesim.Engine{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.URL.Path == "/api/sessions" {
			notes, err := os.ReadDir(filepath.Join(dir, "probe-intents"))
			promised = err == nil && len(notes) == 1
		}
		e.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { server.Close(); e.Close() })
	exit, out, errs := consulted(t, simulatedWhatsApp(t, whatsappsim.Fault{}), "--data-dir", dir, "--engine-url", server.URL, "--api-key", "key-canary")
	if exit != exitOK || !promised || len(e.Snapshot()) != 0 {
		t.Errorf("exit %d, promised %t, left %+v: %s", exit, promised, e.Snapshot(), out)
	}
	if notes, _ := os.ReadDir(filepath.Join(dir, "probe-intents")); len(notes) != 0 {
		t.Errorf("%d notes are left", len(notes))
	}
	if strings.Contains(out+errs, "canary") {
		t.Errorf("the key is printed: %s%s", out, errs)
	}
}

// What could not be deleted is named with its place, and the next probe at that engine, however its URL is
// written, deletes it at once.
func TestDoctorHandsOver(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e := &enginesim.Engine{Faults: map[enginesim.Route]enginesim.Fault{enginesim.RouteDelete: {Kind: enginesim.ServerError}}}
	at := simulated(t, e)
	_, out, _ := consulted(t, simulatedWhatsApp(t, whatsappsim.Fault{}), "--data-dir", dir, "--engine-url", at+"/", "--api-key", "key-a")
	for _, want := range []string{"✗ cleanup", "could not be deleted. It is noted in " + filepath.Join(dir, "probe-intents"), "qrgate probe --target " + at + " --data-dir " + dir} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	e.Change(func(e *enginesim.Engine) { e.Faults = nil })
	if len(e.Snapshot()) != 1 {
		t.Fatalf("the engine has %+v", e.Snapshot())
	}
	if exit, out, _ := called(t, nil, "probe", "--target", at, "--data-dir", dir, "--api-key", "key-a", "--probe", "create_delete"); exit != exitOK || len(e.Snapshot()) != 0 {
		t.Errorf("exit %d, left %+v: %s", exit, e.Snapshot(), out)
	}
}

// Somebody who presses Ctrl-C is told that it was cut short, and nothing else.
func TestDoctorInterrupted(t *testing.T) {
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
		exit := run(ctx, cli{args: args, out: &o, err: &o, whatsapp: simulatedWhatsApp(t, whatsappsim.Fault{})})
		want := "The examination was interrupted (undetermined)."
		if slices.Contains(args, "--json") {
			want = `"whole":false,"stopped":true`
		}
		if exit != exitFailed || !strings.Contains(o.String(), want) || len(e.Snapshot()) != 0 {
			t.Errorf("exit %d, left %+v: %s", exit, e.Snapshot(), o.String())
		}
		server.Close()
		e.Close()
	}
}

// A gate before the engine is asked like the engine, and knows more.
func TestDoctorAtAGate(t *testing.T) {
	t.Parallel()
	gate := gated(t, simulated(t, &enginesim.Engine{}))
	if exit, out, _ := consulted(t, simulatedWhatsApp(t, whatsappsim.Fault{}), "--engine-url", gate, "--api-key", "key-a"); exit != exitOK {
		t.Errorf("exit %d: %s", exit, out)
	}
}

func TestDoctorCalledWrongly(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"no URL":           {"--engine-url", "engine"},
		"deep into what":   {"--deep"},
		"no patience":      {"--qr-timeout", "0s"},
		"a language of us": {"--lang", "tlh"},
	} {
		if exit, out, errs := consulted(t, nil, args...); exit != exitUsage || errs == "" {
			t.Errorf("%s: exit %d, %s%s", name, exit, out, errs)
		}
	}
}

// Every cause has its exit status, and the help names every status.
func TestDoctorExitStatuses(t *testing.T) {
	t.Parallel()
	help := doctorCommand{}.Help()
	for _, code := range append(diagnosis.Codes(), diagnosis.None) {
		exit := exitOf(code)
		if (exit == exitOK) != (code == diagnosis.None) {
			t.Errorf("%s exits with %d", code, exit)
		}
		if !strings.Contains(help, "\n  "+strings.Repeat(" ", 2-len(itoa(exit)))+itoa(exit)+" ") {
			t.Errorf("the help does not tell what %d is", exit)
		}
	}
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) }
