package metrics_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"qrgate/internal/session"
)

func TestExemplars_OnlySampledTraces(t *testing.T) {
	t.Parallel()
	m := full(t)
	kept := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{0xaa}, SpanID: trace.SpanID{0xbb}, TraceFlags: trace.FlagsSampled})
	lost := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{0xcc}, SpanID: trace.SpanID{0xdd}})
	m.Observe(session.Event{Kind: session.EventAcquisition, Outcome: session.Success, Duration: 2 * time.Second}, kept)
	m.Observe(session.Event{Kind: session.EventAcquisition, Outcome: session.Success, Duration: 4 * time.Second}, lost)
	m.Observe(session.Event{Kind: session.EventEngineCall, Op: session.OpQR, Duration: time.Second}, kept)
	m.HTTP(session.RequestLog{Method: "GET", Route: "/api/sessions", Status: 200, Took: time.Second, Trace: "00-" + kept.TraceID().String() + "-" + kept.SpanID().String() + "-01"})

	text := exposition(m, openMetrics)
	for _, name := range []string{"qrgate_qr_time_to_code_seconds", "qrgate_engine_request_duration_seconds", "http_server_request_duration_seconds"} {
		at := regexp.MustCompile(name + `_bucket\{[^}]*\} 1 # \{[^}]*trace_id="aa0{30}"[^}]*\}`)
		if !at.MatchString(text) {
			t.Errorf("%s has no exemplar", name)
		}
	}
	if strings.Contains(text, "cc000000") {
		t.Error("a trace that is not sampled is an exemplar")
	}
	if strings.Contains(exposition(m, "text/plain"), "trace_id") {
		t.Error("the plain format cannot carry exemplars")
	}
	if !strings.HasSuffix(text, "# EOF\n") {
		t.Error("OpenMetrics ends with # EOF")
	}
}

func TestHistograms_AreNativeAndClassic(t *testing.T) {
	t.Parallel()
	m := full(t)
	m.ObserveEvent(session.Event{Kind: session.EventAcquisition, Outcome: session.Success, Duration: 2 * time.Second})
	for _, f := range gather(t, m) {
		if f.GetName() != "qrgate_qr_time_to_code_seconds" {
			continue
		}
		for _, s := range f.Metric {
			h := s.GetHistogram()
			if h.Schema == nil || len(h.Bucket) == 0 {
				t.Errorf("native: %v, classic: %d buckets", h.Schema, len(h.Bucket))
			}
		}
	}
}
