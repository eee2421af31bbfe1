package metrics_test

import (
	"errors"
	"net"
	"net/http"
	"os"
	"testing"

	"qrgate/metrics"
)

// A dial that took too long is no connection, and so is one that a breaker did not make: the span says what
// the metric says.
func TestACallWithoutAConnectionIsUnreachable(t *testing.T) {
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
