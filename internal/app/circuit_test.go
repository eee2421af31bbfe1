package app_test

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"qrgate/internal/app"
	"qrgate/internal/breaker"
	"qrgate/internal/test/enginesim"
	"qrgate/internal/test/logtest"
)

// circuit is the state in the metrics; empty unless it is exactly one.
func (r *rig) circuit() string {
	r.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get(r.admin + "/metrics")
	if err != nil {
		r.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		r.Fatal(err)
	}
	found := ""
	for _, state := range []breaker.State{breaker.Closed, breaker.HalfOpen, breaker.Open} {
		if strings.Contains(string(text), `qrgate_engine_circuit_state{engine="default",state="`+string(state)+`"} 1`) {
			found += string(state)
		}
	}
	return found
}

// A gateway as it ships, in front of a closed port, and then an engine listens there: the metrics and the log
// say so, each once, and clients are served within about a second.
func TestCircuit_OverSockets(t *testing.T) {
	t.Parallel()
	port, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := port.Addr().String()
	_ = port.Close()
	var log logtest.Buffer
	engine := &enginesim.Engine{}
	t.Cleanup(engine.Close)
	r, _ := running(t, engine, app.Config{EngineURL: &url.URL{Scheme: "http", Host: address}, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if got := r.circuit(); got != "closed" {
		t.Errorf("at the start the circuit is %q", got)
	}
	for range 20 {
		r.get("/api/sessions").wantsCode(http.StatusServiceUnavailable, "ENGINE_UNREACHABLE")
	}
	refused := r.get("/api/sessions/1/qr/status")
	refused.wantsCode(http.StatusServiceUnavailable, "ENGINE_UNREACHABLE")
	if why := refused.text("diagnosis.evidence.0"); refused.text("diagnosis.code") != "engine_unreachable" || !strings.Contains(why, "connection refused") {
		t.Errorf("/qr/status does not say why: %s", refused.body)
	}
	if got := r.circuit(); got != "open" && got != "half_open" { // half open when the machine is so slow that a second has passed
		t.Errorf("before nobody the circuit is %q", got)
	}
	if port, err = net.Listen("tcp", address); err != nil {
		t.Fatal(err)
	}
	upstream := &http.Server{Handler: engine, ReadHeaderTimeout: time.Minute}
	go func() { _ = upstream.Serve(port) }()
	t.Cleanup(func() { _ = upstream.Close() })
	began := time.Now()
	for res := r.get("/api/sessions"); res.StatusCode != http.StatusOK; res = r.get("/api/sessions") {
		if time.Since(began) > 3*time.Second {
			t.Fatalf("nobody is served after %v: %s", time.Since(began), res.body)
		}
	}
	t.Logf("served %v after the engine's return", time.Since(began))
	if got := r.circuit(); got != "closed" {
		t.Errorf("before an engine the circuit is %q", got)
	}
	if log.Count("engine=\"unreachable (connection refused)\"") == 0 {
		t.Error("the log does not say why the engine cannot be reached")
	}
	if gone, back := log.Count("engine connections unavailable"), log.Count("engine connections available"); gone != 1 || back != 1 {
		t.Errorf("logged %d times that it is gone, %d times that it is back", gone, back)
	}
}
