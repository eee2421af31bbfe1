package metrics_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"qrgate/internal/diagnosis"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/internal/test/otlptest"
	"qrgate/metrics"
)

// probeKey is the key that marks a request as a probe's.
const probeKey = "probe-key"

// traced is tracing that exports to a receiver in this process. The tests that use it set environment
// variables, so they do not run in parallel.
type traced struct {
	*metrics.Tracing
	receiver *otlptest.Receiver
	stop     func() error // ends Run and returns what it returned
}

func startTracing(t *testing.T, ratio string, cfg metrics.TracingConfig) traced {
	t.Helper()
	receiver := new(otlptest.Receiver).Start()
	t.Cleanup(receiver.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.URL())
	t.Setenv("OTEL_TRACES_SAMPLER_ARG", ratio)
	cfg.RefKey = secret.NewSecret("0123456789abcdef")
	if cfg.Logger == nil {
		cfg.Logger, cfg.OnFailed = slog.New(slog.DiscardHandler), func() {}
	}
	cfg.Origin = func(key secret.Secret) session.TrafficClass {
		if key.Reveal() == probeKey {
			return session.SyntheticTraffic
		}
		return session.UserTraffic
	}
	tr, err := metrics.NewTracing(t.Context(), cfg)
	if err != nil || !tr.Enabled() {
		t.Fatalf("tracing is on: %v, %v", tr.Enabled(), err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- tr.Run(ctx) }()
	<-tr.Running()
	stop := sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { _ = stop() })
	return traced{tr, receiver, stop}
}

// spans ends the tracing and returns what the receiver has, by name.
func (r traced) spans(t *testing.T) map[string][]otlptest.Span {
	t.Helper()
	if err := r.stop(); err != nil {
		t.Errorf("the last spans were not sent: %v", err)
	}
	out := map[string][]otlptest.Span{}
	for _, s := range r.receiver.Spans() {
		out[s.Name] = append(out[s.Name], s)
		if s.Service != "qrgate" {
			t.Errorf("%s is of the service %q", s.Name, s.Service)
		}
	}
	return out
}

func ask(h http.Handler, method, path, key, traceparent string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	r.Header.Set("X-API-Key", key)
	if traceparent != "" {
		r.Header.Set("Traceparent", traceparent)
		r.Header.Set("Tracestate", "theirs=1")
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const (
	theirTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	theirs     = "00-" + theirTrace + "-00f067aa0ba902b7-01"
)

func TestServer_MakesSpans(t *testing.T) {
	r := startTracing(t, "1", metrics.TracingConfig{})
	h := r.Server(http.HandlerFunc(func(_ http.ResponseWriter, in *http.Request) {
		status := http.StatusOK
		if strings.HasSuffix(in.URL.Path, "/connect") {
			status = http.StatusServiceUnavailable
		}
		entry := session.RequestLog{Method: in.Method, Status: status, RequestID: "req-1", Route: "unmatched"}
		if strings.HasPrefix(in.URL.Path, "/pair/") {
			entry.Route = "/pair/{token}/events"
		}
		r.ObserveRequest(in.Context(), entry)
	}))
	ask(h, "GET", "/api/sessions/my-session/qr", "key-a", theirs)
	ask(h, "GET", "/api/sessions/my-session/status", probeKey, theirs)
	ask(h, "POST", "/api/sessions/my-session/connect", "key-a", "")
	ask(h, "GET", "/pair/AAAABBBBCCCCDDDDEEEEFFFFGG/events", "", "")
	ask(h, "BREW", "/api/files/my-session", "key-a", "")

	all := r.spans(t)
	for name, want := range map[string]struct{ status, failure, origin, route string }{
		"GET /api/sessions/{id}/qr":       {"200", "", "user", "/api/sessions/{id}/qr"},
		"GET /api/sessions/{id}/status":   {"200", "", "synthetic", "/api/sessions/{id}/status"},
		"POST /api/sessions/{id}/connect": {"503", "503", "user", "/api/sessions/{id}/connect"},
		"GET /pair/{token}/events":        {"200", "", "user", "/pair/{token}/events"},
		"HTTP":                            {"200", "", "user", ""},
	} {
		if len(all[name]) != 1 {
			t.Fatalf("%d spans named %s", len(all[name]), name)
		}
		s := all[name][0]
		got := struct{ status, failure, origin, route string }{s.Attr("http.response.status_code"), s.Attr("error.type"), s.Attr("qrgate.origin"), s.Attr("http.route")}
		if got != want || s.Attr("qrgate.request_id") != "req-1" {
			t.Errorf("%s has %+v, want %+v", name, got, want)
		}
	}
	if method := all["HTTP"][0].Attr("http.request.method"); method != "_OTHER" {
		t.Errorf("a method that a client made up is reported as %q", method)
	}
	user, probe := all["GET /api/sessions/{id}/qr"][0], all["GET /api/sessions/{id}/status"][0]
	if user.Trace() == theirTrace || len(user.Links) != 1 || user.Parent() != "" {
		t.Error("a tenant's traceparent must be linked and not followed")
	}
	if probe.Trace() != theirTrace {
		t.Error("a probe's traceparent must be followed")
	}
	if ref := user.Attr("qrgate.session.ref"); len(ref) != 16 || ref != probe.Attr("qrgate.session.ref") {
		t.Errorf("the session is known as %q and %q", ref, probe.Attr("qrgate.session.ref"))
	}
}

// A digest without a key would reveal the name to anyone who guesses it.
func TestSessionRef_DependsOnKey(t *testing.T) {
	seen := map[string]bool{}
	for _, key := range []string{"", "another key"} { // random if empty
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
		tr, err := metrics.NewTracing(t.Context(), metrics.TracingConfig{RefKey: secret.NewSecret(key)})
		if err != nil {
			t.Fatal(err)
		}
		seen[metrics.SessionRef(tr, "mine")] = true
		if again := metrics.SessionRef(tr, "mine"); !seen[again] || metrics.SessionRef(tr, "yours") == again {
			t.Errorf("with the key %q the digest does not name the session", key)
		}
	}
	if len(seen) != 2 {
		t.Error("the digest does not depend on the key")
	}
}

func TestServer_UserTraceparentDoesNotForceSampling(t *testing.T) {
	r := startTracing(t, "0", metrics.TracingConfig{})
	h := r.Server(http.NotFoundHandler())
	ask(h, "GET", "/api/sessions/a/qr", "key-a", theirs)
	ask(h, "GET", "/api/sessions/a/status", probeKey, "")
	all := r.spans(t)
	if len(all) != 1 || len(all["GET /api/sessions/{id}/status"]) != 1 {
		t.Errorf("kept %d kinds of spans, want the probe's alone", len(all))
	}
}

func TestTransport_ContinuesTraceAtEngine(t *testing.T) {
	r := startTracing(t, "1", metrics.TracingConfig{})
	seen := make(chan http.Header, 4)
	engine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header
		http.Error(w, "not yet", http.StatusInternalServerError)
	}))
	defer engine.Close()
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	client := http.Client{Transport: r.Transport(base)}
	h := r.Server(http.HandlerFunc(func(_ http.ResponseWriter, in *http.Request) {
		out, _ := http.NewRequestWithContext(in.Context(), "GET", engine.URL+"/base/api/sessions/81/qr", nil)
		out.Header = in.Header.Clone()
		res, err := client.Do(out)
		if err != nil {
			t.Error(err)
			return
		}
		_ = res.Body.Close() // unread
		if got := out.Header.Get("Traceparent"); got != theirs {
			t.Errorf("the request that was given was changed: %s", got)
		}
	}))
	ask(h, "POST", "/api/sessions/81/connect", "key-a", theirs)

	all := r.spans(t)
	server, call := all["POST /api/sessions/{id}/connect"], all["GET /api/sessions/{id}/qr"]
	if len(server) != 1 || len(call) != 1 {
		t.Fatalf("%d spans of the server, %d of the client", len(server), len(call))
	}
	if call[0].Parent() != server[0].ID() || call[0].Attr("url.template") != "/api/sessions/{id}/qr" || call[0].Attr("error.type") != "500" {
		t.Errorf("the call's span is %v", call[0])
	}
	headers := <-seen
	if want := "00-" + call[0].Trace() + "-" + call[0].ID() + "-01"; headers.Get("Traceparent") != want || headers.Get("Tracestate") != "" {
		t.Errorf("the engine got %v, want %s", headers, want)
	}
}

// A caller that neither reads nor closes a body must not lose the span.
func TestTransport_UntouchedBodyEndsSpanWithContext(t *testing.T) {
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
	r := startTracing(t, "1", metrics.TracingConfig{})
	rt := r.Transport(roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
	}))
	ctx, cancel := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, "GET", "http://127.0.0.1/api/sessions", nil)
	if _, err := rt.RoundTrip(req); err != nil {
		t.Fatal(err)
	}
	if n := len(r.receiver.Spans()); n != 0 {
		t.Errorf("%d spans ended before the body", n)
	}
	cancel()
	waitFor(t, func() bool { return len(r.receiver.Spans()) == 1 })
}

// waitFor repeats until it is true, for what ends in goroutines that a test cannot wait for.
func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if done() {
			return
		}
	}
	t.Error("it did not come about")
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTransport_ErrorsSetErrorType(t *testing.T) {
	r := startTracing(t, "1", metrics.TracingConfig{})
	refused := r.Transport(roundTripper(func(*http.Request) (*http.Response, error) { return nil, errors.New("dial http://secret") }))
	for name, at := range map[string]func() context.Context{
		"unreachable": t.Context,
		"timeout": func() context.Context {
			ctx, cancel := context.WithTimeout(t.Context(), -1)
			t.Cleanup(cancel)
			return ctx
		},
		"": func() context.Context { ctx, cancel := context.WithCancel(t.Context()); cancel(); return ctx },
	} {
		req, _ := http.NewRequestWithContext(at(), "GET", "http://127.0.0.1:9/api/sessions", nil)
		req.Header.Set("Why", name)
		if _, err := refused.RoundTrip(req); err == nil {
			t.Error("no error")
		}
	}
	got := map[string]int{}
	for _, s := range r.spans(t)["GET /api/sessions"] {
		got[s.Attr("error.type")]++
	}
	if got["unreachable"] != 1 || got["timeout"] != 1 || got[""] != 1 {
		t.Errorf("errors: %v", got)
	}
}

func TestTracingRun_FlushesAndCountsFailures(t *testing.T) {
	failures := 0
	var logs bytes.Buffer
	r := startTracing(t, "1", metrics.TracingConfig{OnFailed: func() { failures++ }, Logger: slog.New(slog.NewTextHandler(&logs, nil))})
	_, end := r.Span(t.Context(), "last")
	end(diagnosis.None)
	if got := r.spans(t); len(got["last"]) != 1 || failures != 0 {
		t.Errorf("received %d spans after the end, %d failures", len(got["last"]), failures)
	}

	r = startTracing(t, "1", metrics.TracingConfig{OnFailed: func() { failures++ }, Logger: slog.New(slog.NewTextHandler(&logs, nil))})
	r.receiver.Refuse = http.StatusBadRequest
	_, end = r.Span(t.Context(), "lost")
	end(diagnosis.None)
	_ = r.stop()
	if failures != 1 {
		t.Errorf("%d failures counted, want 1", failures)
	}
	if n := strings.Count(logs.String(), "cannot export spans"); n != 1 || strings.Contains(logs.String(), r.receiver.URL()) {
		t.Errorf("%d failures logged, want one and no URL: %s", n, &logs)
	}
}

func TestTracing_WithoutEndpointWrapsNothing(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")
	tr, err := metrics.NewTracing(t.Context(), metrics.TracingConfig{})
	if err != nil || tr.Enabled() {
		t.Fatal("tracing is on", err)
	}
	mux, rt := http.NewServeMux(), &http.Transport{}
	if tr.Server(mux) != http.Handler(mux) || tr.Transport(rt) != http.RoundTripper(rt) || tr.Engine(engine{}) != session.Engine(engine{}) {
		t.Error("something was wrapped")
	}
	observed := 0
	tr.Observer(func(_ session.Event, in trace.SpanContext) { observed++; _ = in })(session.Event{})
	if observed != 1 {
		t.Error("the event was not handed on")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tr.Run(ctx); err != nil {
		t.Error(err)
	}
}
