package metrics_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/metrics"
)

// The cost of observing a request and an engine call.
func BenchmarkObserve_EngineCall(b *testing.B) {
	m := full(b)
	e := session.Event{Kind: session.EventEngineCall, Op: session.OpQR, ErrorKind: session.KindNotReady, Duration: 30 * time.Millisecond}
	b.ReportAllocs()
	for b.Loop() {
		m.ObserveEvent(e)
	}
}

func BenchmarkObserve_Acquisition(b *testing.B) {
	m := full(b)
	e := session.Event{Kind: session.EventAcquisition, Outcome: session.Success, Duration: 2 * time.Second}
	b.ReportAllocs()
	for b.Loop() {
		m.ObserveEvent(e)
	}
}

func BenchmarkObserve_AcquisitionWithExemplar(b *testing.B) {
	m := full(b)
	e := session.Event{Kind: session.EventAcquisition, Outcome: session.Success, Duration: 2 * time.Second}
	in := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled})
	b.ReportAllocs()
	for b.Loop() {
		m.Observe(e, in)
	}
}

func BenchmarkHTTP(b *testing.B) {
	m := full(b)
	e := session.RequestLog{Method: "GET", Route: "/api/sessions/{id}/qr", Status: 200, Took: time.Second, BytesIn: 10, BytesOut: 100}
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

// The cost of tracing a request that passes through: its own span, that of the call, and the trace sent to the
// engine. The spans that are kept are not sent anywhere.
func BenchmarkPassThrough(b *testing.B) {
	for _, x := range []struct{ name, endpoint, share string }{
		{"untraced", "", ""}, {"dropped", "http://127.0.0.1:9", "0"}, {"kept", "http://127.0.0.1:9", "1"},
	} {
		b.Run(x.name, func(b *testing.B) {
			b.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", x.endpoint)
			b.Setenv("OTEL_TRACES_SAMPLER_ARG", x.share)
			tr, err := metrics.NewTracing(b.Context(), metrics.TracingConfig{
				Origin: func(secret.Secret) session.TrafficClass { return session.UserTraffic },
			})
			if err != nil {
				b.Fatal(err)
			}
			h, r, w := passThrough(tr), newRequest(), httptest.NewRecorder()
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}

// passesOn is a handler that forwards every request to an engine that responds at once, and reads the response.
func passThrough(tr *metrics.Tracing) http.Handler {
	engine := tr.Transport(roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
	}))
	return tr.Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tr.Inject(r.Context(), r.Header) // as the front does, whose headers for the engine are its own
		res, err := engine.RoundTrip(r)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}))
}

// arriving is a request as a client library and the proxy make one.
func newRequest() *http.Request {
	r := httptest.NewRequest("GET", "/api/messages/shop-1/chats?page=1", nil)
	for _, name := range []string{"Accept", "User-Agent", "X-Api-Key", "X-Request-Id", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		r.Header.Set(name, "value")
	}
	return r
}
