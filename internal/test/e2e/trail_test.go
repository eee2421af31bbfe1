package e2e_test

import (
	"bufio"
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

	"qrgate/internal/app"
	"qrgate/internal/secret"
	"qrgate/internal/test/enginesim"
	"qrgate/internal/test/logtest"
	"qrgate/internal/test/otlptest"
	"qrgate/internal/test/redistest"
)

// trail is two replicas with one Redis and one log, in front of one engine; a receiver stores all spans.
type trail struct {
	*testing.T
	receiver *otlptest.Receiver
	logs     *logtest.Buffer
	replicas []string // their URLs
	stop     func()
}

func startTrail(t *testing.T) *trail {
	t.Helper()
	w := &trail{T: t, receiver: new(otlptest.Receiver).Start(), logs: &logtest.Buffer{}}
	t.Cleanup(w.receiver.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", w.receiver.URL())
	t.Setenv("OTEL_TRACES_SAMPLER_ARG", "1")
	engine := &enginesim.Engine{QRDelay: time.Second}
	upstream := httptest.NewServer(engine)
	t.Cleanup(func() { upstream.Close(); engine.Close() })
	base, err := url.Parse(upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	redis := redistest.Start(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	for range 2 {
		g, err := app.New(app.Config{Listen: "127.0.0.1:0", EngineURL: base, RedisURL: secret.NewSecret(redis.URL()), RedisTimeout: redisTimeout,
			Secret: secret.NewSecret("a secret of the tests"), DataDir: t.TempDir(), Version: "test", Out: io.Discard, Logger: slog.New(slog.NewJSONHandler(w.logs, nil))})
		if err != nil {
			t.Fatal(err)
		}
		w.replicas = append(w.replicas, g.URL())
		go func() { done <- g.Run(ctx) }()
	}
	w.stop = func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	return w
}

// call sends a request with its own id to one of the replicas.
func (w *trail) call(replica int, method, path, body, id string) {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), method, w.replicas[replica]+path, strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	req.Header.Set("X-API-Key", key)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Request-Id", id)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	if res.StatusCode >= 300 {
		w.Errorf("%s %s: %d", method, path, res.StatusCode)
	}
}

// From any request of an acquisition an operator finds the others, by links between traces and by its id in the log,
// whichever replica served it.
func TestTelemetry_RequestsLinkToAcquisition(t *testing.T) {
	w := startTrail(t)
	w.call(0, http.MethodPost, "/api/sessions", `{"sessionId":"shop-1","sessionName":"x"}`, "req-create")
	w.call(0, http.MethodPost, "/api/sessions/shop-1/connect", "{}", "req-connect")
	w.call(0, http.MethodGet, "/api/sessions/shop-1/qr", "", "req-qr")
	w.call(1, http.MethodGet, "/api/sessions/shop-1/qr/status", "", "req-elsewhere")
	w.call(0, http.MethodDelete, "/api/sessions/shop-1", "", "req-delete")
	w.stop()

	spans := map[string]otlptest.Span{} // :: request id, or name of an internal span -> span
	for _, s := range w.receiver.Spans() {
		if id := s.Attr("qrgate.request_id"); id != "" {
			spans[id] = s
		} else if s.Name == "qr.acquisition" {
			spans[s.Name] = s
		}
	}
	for name, want := range map[string][]string{
		"req-create":     {},
		"req-connect":    {"req-create", "qr.acquisition"},
		"qr.acquisition": {"req-create"},
		"req-qr":         {"req-create", "qr.acquisition"},
		"req-elsewhere":  {"req-create"}, // another replica ran the acquisition
		"req-delete":     {"req-create", "qr.acquisition"},
	} {
		got := linked(spans[name])
		if len(got) != len(want) {
			t.Errorf("%s has %d links, want %d", name, len(got), len(want))
		}
		for _, other := range want {
			if !slices.Contains(got, spans[other].ID()) {
				t.Errorf("%s is not linked to %s", name, other)
			}
		}
	}
	w.readable(spans["qr.acquisition"].Trace())
}

// linked lists the ids of the spans that a span is linked to.
func linked(s otlptest.Span) []string {
	var out []string
	if s.Span == nil {
		return out
	}
	for _, l := range s.Links {
		out = append(out, otlptest.SpanID(l.SpanId))
	}
	return out
}

// readable checks that the log contains the four lines of the acquisition.
func (w *trail) readable(trace string) {
	w.Helper()
	found := 0
	for lines := bufio.NewScanner(strings.NewReader(w.logs.String())); lines.Scan(); {
		var line map[string]any
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			w.Errorf("no JSON: %s", lines.Bytes())
		}
		switch {
		case line["msg"] == "request" && line["request_id"] == "req-qr" && line["session"] == "shop-1":
			found |= 1
		case line["msg"] == "session" && line["to"] == "connecting" && line["request_id"] == "req-connect" && line["session"] == "shop-1":
			found |= 2
		case line["msg"] == "session" && line["to"] == "awaiting_scan" && line["request_id"] == "req-connect" && line["from"] == "connecting":
			found |= 4
		case line["msg"] == "acquisition" && line["trace_id"] == trace && line["outcome"] == "success":
			found |= 8
		}
	}
	if found != 15 {
		w.Errorf("of the four lines the log has %04b:\n%s", found, w.logs.String())
	}
}
