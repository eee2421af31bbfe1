package embedded_test

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"qrgate/compat/embedded"
	"qrgate/internal/test/logtest"
	"qrgate/internal/test/whatsappsim"
)

// The log of successes and failures contains no code, key or phone number.
func TestLog_ContainsNoSecrets(t *testing.T) {
	t.Parallel()
	log := &logtest.Buffer{}
	r, srv := onLoopback(t, embedded.Config{Logger: logTo(log)})
	r.connect("first")
	code := r.code("first")
	r.scan(srv, "first", "5550100")
	srv.CutAll()
	r.until("first", waitTimeout, func(d map[string]any) bool { return reasonOf(d) != "" && d["isConnected"] == true })
	srv.QueueFaults(whatsappsim.Fault{StreamError: "516"}, whatsappsim.Fault{Failure: 405})
	r.call("POST", "/api/sessions/first/restart")
	r.untilStatus("first", "error", waitTimeout)
	r.call("POST", "/api/sessions/first/connect")
	r.untilStatus("first", "connected", waitTimeout)
	r.call("DELETE", "/api/sessions/first")
	srv.SetFault(whatsappsim.Fault{BadPairHMAC: true})
	r.connect("second")
	second := r.code("second")
	_ = srv.Scan(t.Context(), second, whatsappsim.Account{User: "5550101"})
	r.untilStatus("second", "error", waitTimeout)
	r.stop()
	text := log.String()
	if !strings.Contains(text, "client_outdated") || !strings.Contains(text, "whatsmeow") {
		t.Fatalf("the log is too short for this test:\n%s", text)
	}
	canaries := append(strings.Split(code, ","), strings.Split(second, ",")...)
	canaries = append(canaries, "5550100", "5550101", keyA, keyB, "linked_devices")
	for _, canary := range canaries {
		if len(canary) > 1 && strings.Contains(text, canary) {
			t.Errorf("the log contains %.12s…", canary)
		}
	}
}

// A log line has the client's name of the session; a deleted session has no cause.
func TestLog_NamesTheSession(t *testing.T) {
	t.Parallel()
	log := &logtest.Buffer{}
	r, srv := onLoopback(t, embedded.Config{Logger: logTo(log)})
	r.connect("first")
	r.code("first")
	r.scan(srv, "first", "5550100")
	r.call("DELETE", "/api/sessions/first")
	r.stop()
	var last string
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, "session disconnected") {
			last = line
		}
	}
	if !strings.Contains(last, "session=first id=1 ") || strings.Contains(last, "code=") {
		t.Errorf("the line of the deleted session is %q in\n%s", last, log.String())
	}
}

func TestLog_HasEveryStateChange(t *testing.T) {
	t.Parallel()
	log := &logtest.Buffer{}
	r, srv := onLoopback(t, embedded.Config{Logger: logTo(log)})
	r.connect("first")
	r.scan(srv, "first", "5550100")
	srv.SetFault(whatsappsim.Fault{Failure: 405})
	r.call("POST", "/api/sessions/first/restart")
	r.untilStatus("first", "error", waitTimeout)
	r.stop()
	var got []string
	for line := range strings.Lines(log.String()) {
		if _, change, ok := strings.Cut(strings.TrimSpace(line), " from="); ok && strings.Contains(line, "session state changed") {
			got = append(got, change)
		}
		if _, cause, ok := strings.Cut(strings.TrimSpace(line), " state="); ok && strings.Contains(line, "session disconnected") {
			got = append(got, cause)
		}
	}
	want := []string{
		"created to=connecting", "connecting to=awaiting_scan", "awaiting_scan to=connecting", "connecting to=connected",
		"connected to=connecting", "failed code=client_outdated", "connecting to=failed",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// A panic of a handler is in the log, with the place and without the request.
func TestLog_NamesThePlaceOfAPanic(t *testing.T) {
	t.Parallel()
	log := &logtest.Buffer{}
	e, err := embedded.New(embedded.Config{DataDir: t.TempDir(), Keys: keys(t, "a:"+keyA), Logger: logTo(log)})
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	defer func() { _ = e.Run(ended) }() // it closes the database
	defer func() {
		text := log.String()
		if recover() == nil || strings.Contains(text, "canary") {
			t.Errorf("the log: %s", text)
		}
		for _, want := range []string{"engine request panicked", "nil pointer", "handleCORS"} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in the log: %s", want, text)
			}
		}
	}()
	e.ServeHTTP(nil, httptest.NewRequest("GET", "/canary", nil))
}
