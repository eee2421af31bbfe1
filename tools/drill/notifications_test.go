package main

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

func says(receiver, status, name string, annotations ...string) message {
	a := alert{Status: status, Labels: map[string]string{"alertname": name}, Annotations: map[string]string{"summary": strings.Join(annotations, " ")}}
	return message{Receiver: receiver, Alerts: []alert{a}}
}

func TestFiredAlerts(t *testing.T) {
	t.Parallel()
	list := []message{
		says("pager", "firing", "A", "because of engine_unreachable"), says("chat", "firing", "B", "qr_expired"),
		says("pager", "firing", "A"), says("pager", "resolved", "A"), says("pager", "firing", "C"), says("deadmansswitch", "firing", "Watchdog"),
	}
	if got := firedAlerts(list, "pager"); !slices.Equal(got, []string{"A", "C"}) {
		t.Errorf("the pager was told of %v", got)
	}
	if got := open(list); !slices.Equal(got, []string{"chat: B", "pager: C"}) {
		t.Errorf("open are %v", got)
	}
	if got := still(open(list), "pager", []string{"A", "C", "B"}); !slices.Equal(got, []string{"C"}) {
		t.Errorf("the pager still waits for the end of %v", got)
	}
	for word, want := range map[string]bool{"engine_unreachable": true, "qr_expired": false, "A": true, "B": false} {
		if said(list, "pager", word) != want {
			t.Errorf("that the pager was told %q is not %t", word, want)
		}
	}
}

// What is told of a breakage can be told: every alert exists in the rules and goes to that receiver.
func TestFaults(t *testing.T) {
	t.Parallel()
	rules := read(t, settingsFor(t).Rules)
	for name, b := range faults() {
		for _, a := range append(slices.Clone(b.alerts), b.silences...) {
			if !strings.Contains(rules, "alert: "+a+"\n") {
				t.Errorf("%s waits for %s, which is no alert", name, a)
			}
		}
		if b.breaks == nil || b.repair == nil || b.within <= 0 || b.names == "" || b.says == "" || b.repaired == "" {
			t.Errorf("%s is not whole", name)
		}
	}
	b := faults()["engine-down"]
	if !b.cause("QRGateEngineDown") || b.cause("QRGateProbeNotSucceeding create_connect_qr") || !b.about("QRGateProbeNotSucceeding create_connect_qr") {
		t.Error("a stopped engine's cause and symptoms are mixed up")
	}
}

func TestPager(t *testing.T) {
	t.Parallel()
	p := newPager()
	for _, body := range []string{`{"status":"firing","alerts":[{"status":"firing","labels":{"alertname":"A"}}]}`, `no JSON`} {
		p.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/pager", strings.NewReader(body)))
	}
	got := p.since(0)
	if len(got) != 1 || got[0].Receiver != "pager" || got[0].Alerts[0].name() != "A" || len(p.since(1)) != 0 || len(p.since(9)) != 0 {
		t.Errorf("the pager took %v", got)
	}
}

func TestFind_ErrorNamesPackages(t *testing.T) {
	t.Parallel()
	only := func(names ...string) func(string) (string, error) {
		return func(name string) (string, error) {
			if slices.Contains(names, name) {
				return "/bin/" + name, nil
			}
			return "", errors.New("not found")
		}
	}
	if _, err := find(only()); err == nil || !strings.HasSuffix(err.Error(), "apt-get install -y --no-install-recommends prometheus prometheus-alertmanager redis-server") {
		t.Errorf("without any program: %v", err)
	}
	if _, err := find(only("prometheus", "promtool", "alertmanager")); err == nil || !strings.HasSuffix(err.Error(), "recommends redis-server") {
		t.Errorf("without Redis: %v", err)
	}
	got, err := find(only("prometheus", "promtool", "alertmanager", "redis-server"))
	if want := (programs{"/bin/prometheus", "/bin/alertmanager", "/bin/redis-server", "/bin/promtool"}); err != nil || got != want {
		t.Errorf("found %v, %v", got, err)
	}
}

func TestRun_UsageErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ args, says string }{
		{"--break everything", "--break must be one of"}, {"--users=-1", "--users must be between"}, {"--interval 1s", "--interval must be between"},
		{"--nonsense", "unknown flag"}, {"--short --rules gone.yml", "gone.yml"},
	} {
		var said strings.Builder
		ctx := t.Context()
		if code := run(ctx, strings.Fields(tt.args), io.Discard, &said); code != exitUntried || !strings.Contains(said.String(), tt.says) && !strings.Contains(said.String(), "apt-get install") {
			t.Errorf("%s: %d, %s", tt.args, code, said.String())
		}
	}
	var help strings.Builder
	if code := run(t.Context(), []string{"--help"}, &help, io.Discard); code != exitOK || !strings.Contains(strings.Join(strings.Fields(help.String()), " "), "engine-down, qr-500, slow, rate-limit, redis-down or client-outdated") {
		t.Errorf("--help: %d, %s", code, help.String())
	}
}

func TestStart_FailureReportsOutput(t *testing.T) {
	t.Parallel()
	never := accepts("127.0.0.1:1")
	if _, err := start(t.Context(), never, "/bin/sh", "-c", "echo first; echo the port is taken >&2; exit 3"); err == nil || !strings.Contains(err.Error(), "the port is taken") {
		t.Errorf("its last words are lost: %v", err)
	}
	began := time.Now()
	if _, err := start(t.Context(), never, "/nowhere/program"); err == nil || time.Since(began) > startTimeout/2 {
		t.Errorf("a program that does not exist: %v", err)
	}
}
