package metrics_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"qrgate/internal/diagnosis"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/metrics"
)

// What must never come out: a key, a code, an image, a phone number, and a session's own name.
const (
	canaryKey     = "c4nary0key0f00d5550100c4nary0key0f00d5550100"
	canaryCode    = "2@c4nary0code0AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA,c4nary1,c4nary2=="
	canaryImage   = "data:image/png;base64,c4nary0image0iVBORw0KGgo="
	canaryPhone   = "15550100c4nary@s.whatsapp.net"
	canarySession = "c4nary-session"
)

// Everything that a client or an engine says goes through every observer, span and log.
func TestCanary_AppearsInNoOutput(t *testing.T) {
	r := startTracing(t, "1", metrics.TracingConfig{})
	m := full(t)
	var logs bytes.Buffer
	log := slog.New(m.LogHandler(slog.NewJSONHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true})))
	observe := r.Observer(func(e session.Event, in trace.SpanContext) {
		m.Observe(e, in)
		if e.Session == canarySession {
			return // a log may name a session
		}
		log.Info("event", "kind", e.Kind, "code", e.Code, "diagnosis", e.Diagnosis, "fault", e.ErrorKind)
	})
	for _, canary := range []string{canaryKey, canaryCode, canaryImage, canaryPhone, canarySession} {
		sing(t, r, canary, observe)
		singMetrics(m, canary)
		if canary != canarySession {
			singLog(log, canary)
		}
	}
	out := map[string]string{"the exposition": exposition(m, openMetrics), "the logs": logs.String()}
	for name, spans := range r.spans(t) {
		out["the spans "+name] = fmt.Sprint(spans)
	}
	if len(out) < 6 || !strings.Contains(out["the logs"], "event") {
		t.Errorf("too little came out to judge by: %d", len(out))
	}
	for where, text := range out {
		if at := strings.Index(strings.ToLower(text), "c4nary"); at >= 0 {
			t.Errorf("%s hold a canary: …%.120s", where, text[max(at-60, 0):])
		}
	}
}

// sing takes a canary through the tracing.
func sing(t *testing.T, r traced, canary string, observe session.EventHandler) {
	base := r.Transport(roundTripper(func(q *http.Request) (*http.Response, error) {
		if q.Method == "POST" {
			return nil, fmt.Errorf("Post %q: %w", q.URL, errors.New(canary))
		}
		return &http.Response{StatusCode: 500, Body: io.NopCloser(strings.NewReader(canary))}, nil
	}))
	h := r.Server(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		out, _ := http.NewRequestWithContext(q.Context(), q.Method, "http://user:"+canarySession+"@127.0.0.1"+q.URL.Path+"?key="+canarySession, nil)
		out.Header.Set("X-API-Key", canary)
		if res, err := base.RoundTrip(out); err == nil {
			_ = res.Body.Close()
		}
		_, _ = io.WriteString(w, canary)
		r.ObserveRequest(q.Context(), session.RequestLog{
			Method: canary, Route: canary, Code: canary, Session: canary, Traffic: session.TrafficClass(canary), Status: 500,
		})
	}))
	for _, path := range []string{"/api/sessions/" + canarySession + "/qr", "/api/files/" + canarySession, "/" + canarySession + "/api/sessions/x"} {
		ask(h, "GET", path+"?code="+canarySession, canary, "")
		ask(h, "POST", path, canary, canary)
		ask(h, "C4NARY", path, canary, "")
	}
	e := session.Event{At: time.Now(), Session: canary, Op: canary, ErrorKind: session.ErrorKind(canary), Code: canary, Diagnosis: diagnosis.Code(canary)}
	for _, kind := range []session.EventKind{session.EventState, session.EventEngineCall, session.EventQR, session.EventWait, session.EventAcquisition} {
		e.Kind, e.To = kind, session.Connecting
		observe(e)
	}
	caller := session.Caller{Tenant: session.Tenant(canary), Key: secret.NewSecret(canary), Traffic: session.TrafficClass(canary)}
	_, _ = r.Engine(engine{fault: session.ErrorKind(canary)}).Connect(t.Context(), caller, session.Ref{Name: canary}, session.ConnectMode(canary))
}

func singMetrics(m *metrics.Metrics, canary string) {
	m.HTTP(session.RequestLog{Method: canary, Route: canary, Code: canary, Traffic: session.TrafficClass(canary), RequestID: canary, Status: 500})
	m.Store(canary, time.Second, errors.New(canary))
	m.Probes().ObserveRun(canary, diagnosis.Code(canary), time.Now(), time.Second)
	m.Probes().ObserveRun("control", diagnosis.Code(canary), time.Now(), time.Second)
	m.Probes().Step(canary, false, time.Second)
	m.Probes().Missed("control", canary)
}

func singLog(log *slog.Logger, canary string) {
	log.Info("emitting "+canary, "err", fmt.Errorf("it was %s, sorry", canary), "text", canary, "key", canary, "qr", canary,
		slog.Group("deep", "list", []string{canary}, "body", []byte(canary)))
	log.With("text", canary).WithGroup("g").Error("m", "what", struct{ Body string }{canary})
}
