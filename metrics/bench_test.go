package metrics_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"qrgate"
	"qrgate/metrics"
)

// What observing costs on the way of a request, and of a look at the engine.
func BenchmarkObserveLook(b *testing.B) {
	m := full(b)
	e := qrgate.Event{Kind: qrgate.EventLook, Op: qrgate.OpQR, Fault: qrgate.NotReady, Took: 30 * time.Millisecond}
	b.ReportAllocs()
	for b.Loop() {
		m.Observe(e)
	}
}

func BenchmarkObserveJourney(b *testing.B) {
	m := full(b)
	e := qrgate.Event{Kind: qrgate.EventJourney, Outcome: qrgate.Success, Took: 2 * time.Second}
	b.ReportAllocs()
	for b.Loop() {
		m.Observe(e)
	}
}

func BenchmarkObserveJourneyWithExemplar(b *testing.B) {
	m := full(b)
	e := qrgate.Event{Kind: qrgate.EventJourney, Outcome: qrgate.Success, Took: 2 * time.Second}
	in := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled})
	b.ReportAllocs()
	for b.Loop() {
		m.ObserveIn(e, in)
	}
}

func BenchmarkHTTP(b *testing.B) {
	m := full(b)
	e := metrics.Exchange{Method: "GET", Route: "/api/sessions/:id/qr", Status: 200, Took: time.Second, BytesIn: 10, BytesOut: 100}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.HTTP(e)
		}
	})
}

func BenchmarkScrape(b *testing.B) {
	m := full(b)
	r := httptest.NewRequest("GET", "/metrics", nil)
	b.ReportAllocs()
	for b.Loop() {
		m.Handler().ServeHTTP(httptest.NewRecorder(), r)
	}
}

// Server with a sampled and an unsampled user, beside a handler that does nothing.
func BenchmarkServerSpan(b *testing.B) {
	for name, ratio := range map[string]string{"sampled": "1", "dropped": "0"} {
		b.Run(name, func(b *testing.B) {
			b.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
			b.Setenv("OTEL_TRACES_SAMPLER_ARG", ratio)
			tr, err := metrics.NewTracing(b.Context(), metrics.TracingConfig{})
			if err != nil {
				b.Fatal(err)
			}
			h := tr.Server(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			r, w := httptest.NewRequest("GET", "/api/sessions/81/qr", nil), httptest.NewRecorder()
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}
