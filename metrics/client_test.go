package metrics_test

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/propagation"

	"qrgate/metrics"
)

// A dial that took too long is no connection, and so is one that a breaker did not make: the span says what
// the metric says.
func TestTransport_DialErrorIsUnreachable(t *testing.T) {
	r := startTracing(t, "1", metrics.TracingConfig{})
	for _, why := range []error{os.ErrDeadlineExceeded, errors.New("the circuit is open")} {
		next := roundTripper(func(*http.Request) (*http.Response, error) { return nil, &net.OpError{Op: "dial", Err: why} })
		req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://127.0.0.1:9/api/sessions", nil)
		if _, err := r.Transport(next).RoundTrip(req); !errors.Is(err, why) {
			t.Errorf("the error is %v", err)
		}
	}
	spans := r.spans(t)["GET /api/sessions"]
	if len(spans) != 2 {
		t.Fatalf("%d spans", len(spans))
	}
	for _, s := range spans {
		if got := s.Attr("error.type"); got != "unreachable" {
			t.Errorf("error.type %q", got)
		}
	}
}

// The engine gets the trace as OpenTelemetry writes it, and no other that a client names, sampled or not. If it is not
// sampled and the front has sent it already, the request is sent unchanged.
func TestTransport_ReplacesClientTraceparent(t *testing.T) {
	for _, share := range []string{"0", "1"} {
		r := startTracing(t, share, metrics.TracingConfig{})
		var out *http.Request
		engine := r.Transport(roundTripper(func(req *http.Request) (*http.Response, error) {
			out = req
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
		}))
		r.Server(http.HandlerFunc(func(_ http.ResponseWriter, in *http.Request) {
			for _, front := range []bool{false, true} {
				req := in.Clone(in.Context())
				req.Header.Set("Traceparent", "00-11111111111111111111111111111111-2222222222222222-01")
				req.Header.Set("Tracestate", "vendor=secret")
				if front {
					r.Inject(req.Context(), req.Header)
				}
				if _, err := engine.RoundTrip(req); err != nil {
					t.Fatal(err)
				}
				want := propagation.MapCarrier{}
				propagation.TraceContext{}.Inject(out.Context(), want)
				if got := out.Header.Get("Traceparent"); share == "0" && got != want.Get("traceparent") || len(got) != 55 || strings.Contains(got, "1111") || out.Header.Get("Tracestate") != "" {
					t.Errorf("share %s, sent by the front %t: %q and %q, want %q", share, front, got, out.Header.Get("Tracestate"), want.Get("traceparent"))
				}
				if spared := out == req; spared != (front && share == "0") {
					t.Errorf("share %s, sent by the front %t: the request was sent unchanged: %t", share, front, spared)
				}
			}
		})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/api/messages", nil))
	}
}
