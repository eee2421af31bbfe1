package metrics_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/internal/session"
)

func TestMetricsHTTP_CountsRequests(t *testing.T) {
	t.Parallel()
	const qr = "/api/sessions/{id}/qr"
	for name, x := range map[string]struct {
		exchange session.RequestLog
		want     map[string]float64
	}{
		"a QR": {session.RequestLog{Method: "GET", Route: qr, Status: 200, BytesOut: 4},
			map[string]float64{"http_server_requests_total{GET,200,/api/sessions/{id}/qr,user}": 1,
				"http_server_request_duration_seconds{GET,/api/sessions/{id}/qr}": 1, "qrgate_http_body_bytes_total{out}": 4}},
		"a probe's QR": {session.RequestLog{Method: "GET", Route: qr, Status: 202, Traffic: session.SyntheticTraffic, BytesIn: 2},
			map[string]float64{"http_server_requests_total{GET,2xx,/api/sessions/{id}/qr,synthetic}": 1, "qrgate_http_body_bytes_total{in}": 2}},
		"a rare status": {session.RequestLog{Method: "POST", Route: "/api/sessions", Status: 418},
			map[string]float64{"http_server_requests_total{POST,4xx,/api/sessions,user}": 1, "http_server_request_duration_seconds{POST,/api/sessions}": 1}},
		"no status at all": {session.RequestLog{Method: "POST", Route: "/api/sessions", Status: -1},
			map[string]float64{"http_server_requests_total{POST,1xx,/api/sessions,user}": 1, "http_server_request_duration_seconds{POST,/api/sessions}": 1}},
		"a wrong method": {session.RequestLog{Method: "DELETE", Route: qr, Status: 405, Code: "METHOD_NOT_ALLOWED"},
			map[string]float64{"http_server_requests_total{_OTHER,4xx,unmatched,user}": 1, "http_server_request_duration_seconds{_OTHER,unmatched}": 1,
				"qrgate_requests_rejected_total{bad_request}": 1}},
		"a link": {session.RequestLog{Method: "DELETE", Route: qr + "/link", Status: 200},
			map[string]float64{"http_server_requests_total{DELETE,200,/api/sessions/{id}/qr/link,user}": 1,
				"http_server_request_duration_seconds{DELETE,/api/sessions/{id}/qr/link}": 1}},
		"a page": {session.RequestLog{Method: "GET", Route: "/pair/{token}", Status: 404, Code: "LINK_NOT_FOUND"},
			map[string]float64{"http_server_requests_total{GET,404,/pair/{token},user}": 1,
				"http_server_request_duration_seconds{GET,/pair/{token}}": 1, "qrgate_requests_rejected_total{bad_request}": 1}},
		"passed through": {session.RequestLog{Method: "POST", Route: "unmatched", Status: 101},
			map[string]float64{"http_server_requests_total{POST,1xx,unmatched,user}": 1, "http_server_request_duration_seconds{POST,unmatched}": 1}},
		"the engine's 500": {session.RequestLog{Method: "GET", Route: "unmatched", Status: 500},
			map[string]float64{"http_server_requests_total{GET,500,unmatched,user}": 1, "http_server_request_duration_seconds{GET,unmatched}": 1,
				"qrgate_http_failures_total{engine,user}": 1}},
		"a diagnosed 503": {session.RequestLog{Method: "GET", Route: qr, Status: 503, Code: "client_outdated"},
			map[string]float64{"http_server_requests_total{GET,503,/api/sessions/{id}/qr,user}": 1, "http_server_request_duration_seconds{GET,/api/sessions/{id}/qr}": 1}},
		"our own 503": {session.RequestLog{Method: "GET", Route: qr, Status: 503, Code: "INTERNAL_ERROR"},
			map[string]float64{"http_server_requests_total{GET,503,/api/sessions/{id}/qr,user}": 1, "http_server_request_duration_seconds{GET,/api/sessions/{id}/qr}": 1,
				"qrgate_http_failures_total{gateway,user}": 1}},
		"cut off": {session.RequestLog{Method: "GET", Route: "unmatched", Status: 200, Truncated: true},
			map[string]float64{"http_server_requests_total{GET,200,unmatched,user}": 1, "http_server_request_duration_seconds{GET,unmatched}": 1,
				"qrgate_http_failures_total{truncated,user}": 1}},
		"a client that left": {session.RequestLog{Method: "GET", Route: qr, Status: 499, ClientGone: true},
			map[string]float64{"http_server_requests_total{GET,499,/api/sessions/{id}/qr,user}": 1, "http_server_request_duration_seconds{GET,/api/sessions/{id}/qr}": 1,
				"qrgate_http_client_gone_total{user}": 1}},
		"a bad key": {session.RequestLog{Method: "GET", Route: qr, Status: 401, Code: "INVALID_API_KEY"},
			map[string]float64{"http_server_requests_total{GET,401,/api/sessions/{id}/qr,user}": 1, "http_server_request_duration_seconds{GET,/api/sessions/{id}/qr}": 1,
				"qrgate_requests_rejected_total{auth}": 1}},
		"too large": {session.RequestLog{Method: "POST", Route: "unmatched", Status: 413, Code: "PAYLOAD_TOO_LARGE"},
			map[string]float64{"http_server_requests_total{POST,4xx,unmatched,user}": 1, "http_server_request_duration_seconds{POST,unmatched}": 1,
				"qrgate_requests_rejected_total{too_large}": 1}},
		"the engine's 429": {session.RequestLog{Method: "GET", Route: "unmatched", Status: 429},
			map[string]float64{"http_server_requests_total{GET,429,unmatched,user}": 1, "http_server_request_duration_seconds{GET,unmatched}": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := full(t)
			if diff := cmp.Diff(x.want, changed(t, m, func() { m.HTTP(x.exchange) })); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestInFlight_PanicDecrements(t *testing.T) {
	t.Parallel()
	m := full(t)
	var during float64
	h := m.InFlight(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		during = series(t, m)["http_server_active_requests{}"]
		panic(http.ErrAbortHandler)
	}))
	func() {
		defer func() { _ = recover() }()
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	}()
	if after := series(t, m)["http_server_active_requests{}"]; during != 1 || after != 0 {
		t.Errorf("%v requests in flight while one was served, %v after it panicked", during, after)
	}
}

func TestHistograms_ObserveSeconds(t *testing.T) {
	t.Parallel()
	m := full(t)
	m.HTTP(session.RequestLog{Method: "GET", Route: "/api/sessions", Status: 200, Took: 1500 * time.Millisecond})
	m.ObserveEvent(session.Event{Kind: session.EventAcquisition, Outcome: session.Success, Duration: 15 * time.Second})
	for _, f := range gather(t, m) {
		want := map[string]float64{"http_server_request_duration_seconds": 1.5, "qrgate_qr_time_to_code_seconds": 15}[f.GetName()]
		got := 0.0
		for _, s := range f.Metric {
			got += s.GetHistogram().GetSampleSum()
		}
		if want != 0 && got != want {
			t.Errorf("%s took %v in all, want %v", f.GetName(), got, want)
		}
	}
}
