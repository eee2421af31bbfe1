package embedded_test

import (
	"strings"
	"sync"
	"testing"

	"qrgate/compat/embedded"
	"qrgate/internal/test/whatsappsim"
)

// page is a log that can be read while it is written.
type page struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *page) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// A whole life of a session, good and bad, leaves no code, key, number or account in the log.
func TestLogKeepsSecrets(t *testing.T) {
	t.Parallel()
	log := &page{}
	r, srv := onLoopback(t, embedded.Config{Logger: logTo(log)})
	r.connect("first")
	code := r.code("first")
	r.scan(srv, "first", "5550100")
	srv.CutAll()
	r.until("first", patience, func(d map[string]any) bool { return reasonOf(d) != "" && d["isConnected"] == true })
	srv.QueueFaults(whatsappsim.Fault{StreamError: "516"}, whatsappsim.Fault{Failure: 405})
	r.call("POST", "/api/sessions/first/restart")
	r.untilStatus("first", "error", patience)
	r.call("POST", "/api/sessions/first/connect")
	r.untilStatus("first", "connected", patience)
	r.call("DELETE", "/api/sessions/first")
	srv.SetFault(whatsappsim.Fault{BadPairHMAC: true})
	r.connect("second")
	second := r.code("second")
	_ = srv.Scan(t.Context(), second, whatsappsim.Account{User: "5550101"})
	r.untilStatus("second", "error", patience)
	r.stop()
	text := log.String()
	if !strings.Contains(text, "client_outdated") || !strings.Contains(text, "whatsmeow") {
		t.Fatalf("the log says too little to prove anything:\n%s", text)
	}
	canaries := append(strings.Split(code, ","), strings.Split(second, ",")...)
	canaries = append(canaries, "5550100", "5550101", keyA, keyB, "linked_devices")
	for _, canary := range canaries {
		if len(canary) > 1 && strings.Contains(text, canary) {
			t.Errorf("the log holds %.12s…", canary)
		}
	}
}

// A line names its session as the client does, and a session that somebody deletes has no cause to name.
func TestLogNamesTheSession(t *testing.T) {
	t.Parallel()
	log := &page{}
	r, srv := onLoopback(t, embedded.Config{Logger: logTo(log)})
	r.connect("first")
	r.code("first")
	r.scan(srv, "first", "5550100")
	r.call("DELETE", "/api/sessions/first")
	r.stop()
	var last string
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, "a session lost its connection") {
			last = line
		}
	}
	if !strings.Contains(last, "session=first id=1 ") || strings.Contains(last, "code=") {
		t.Errorf("the line about the deleted session is %q in\n%s", last, log.String())
	}
}
