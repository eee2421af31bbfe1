package metrics_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"qrgate/internal/session"
	"qrgate/metrics"
)

// A trace that is not sampled costs no span, and the engine gets it as not sampled.
func TestTransport_UnsampledTraceIsPropagatedWithoutSpan(t *testing.T) {
	r := startTracing(t, "0", metrics.TracingConfig{})
	body := io.NopCloser(strings.NewReader("response"))
	var sent http.Header
	engine := r.Transport(roundTripper(func(out *http.Request) (*http.Response, error) {
		sent = out.Header
		return &http.Response{StatusCode: http.StatusOK, Body: body}, nil
	}))
	var in trace.SpanContext
	ask(r.Server(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		in = trace.SpanContextFromContext(req.Context())
		res, err := engine.RoundTrip(req)
		if err != nil || res.Body != body {
			t.Errorf("the response was not passed on unchanged: %v, %v", res, err)
		}
		if req.Header.Get("Traceparent") != theirs || req.Header.Get("Tracestate") != "theirs=1" {
			t.Errorf("the request that was given was changed: %v", req.Header)
		}
	})), "GET", "/api/sessions/81/qr", "key-a", theirs)

	if !in.IsValid() || in.TraceID().String() == theirTrace {
		t.Errorf("the request is in the trace %v, want one of qrgate itself", in.TraceID())
	}
	want := "00-" + in.TraceID().String() + "-" + in.SpanID().String() + "-00"
	if sent.Get("Traceparent") != want || len(sent["Tracestate"]) != 0 {
		t.Errorf("the engine got %v, want %s", sent, want)
	}
	if all := r.spans(t); len(all) != 0 {
		t.Errorf("spans were kept: %v", all)
	}
}

// whetherKeptOrNot runs a test in which every trace is dropped, and one in which every trace is kept.
func whetherKeptOrNot(t *testing.T, test func(t *testing.T, r traced, kept bool)) {
	for name, share := range map[string]string{"dropped": "0", "kept": "1"} {
		t.Run(name, func(t *testing.T) { test(t, startTracing(t, share, metrics.TracingConfig{}), share == "1") })
	}
}

// The trailers of a request come when its body has been read, after the transport took the request over.
func TestTransport_TrailersReachEngine(t *testing.T) {
	whetherKeptOrNot(t, func(t *testing.T, r traced, _ bool) {
		sum := ""
		engine := r.Transport(roundTripper(func(out *http.Request) (*http.Response, error) {
			_, _ = io.Copy(io.Discard, out.Body)
			sum = out.Trailer.Get("X-Sum")
			return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody}, nil
		}))
		server := httptest.NewServer(r.Server(http.HandlerFunc(func(w http.ResponseWriter, in *http.Request) {
			if _, err := engine.RoundTrip(in); err != nil {
				t.Error(err)
			}
		})))
		defer server.Close()
		converse(t, server, "POST /x HTTP/1.1\r\nHost: a\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 7\r\n\r\n")
		if sum != "7" {
			t.Errorf("the engine got the trailer %q, want 7", sum)
		}
	})
}

func TestServer_ConnectionCanBeHijacked(t *testing.T) {
	whetherKeptOrNot(t, func(t *testing.T, r traced, _ bool) {
		server := httptest.NewServer(r.Server(http.HandlerFunc(takeOver)))
		defer server.Close()
		if got := converse(t, server, "GET /socket HTTP/1.1\r\nHost: a\r\n\r\n"); !strings.HasSuffix(got, "hello") {
			t.Errorf("got %q", got)
		}
	})
}

// A client that left is no error of the span.
func TestObserveRequest_ClientGoneIsAbandoned(t *testing.T) {
	r := startTracing(t, "1", metrics.TracingConfig{})
	ask(r.Server(http.HandlerFunc(func(_ http.ResponseWriter, in *http.Request) {
		r.ObserveRequest(in.Context(), session.RequestLog{Status: 499, ClientGone: true})
	})), "GET", "/api/sessions/81/qr", "key-a", "")
	span := r.spans(t)["GET /api/sessions/{id}/qr"][0]
	if span.Attr("qrgate.outcome") != "abandoned" || span.Attr("error.type") != "" || span.Attr("http.response.status_code") != "" {
		t.Errorf("the span is %v", span)
	}
}

// takeOver switches to a protocol in which the server says hello.
func takeOver(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n\r\nhello")
}

// converse sends what a client writes, and returns all that comes back until the connection ends.
func converse(t *testing.T, server *httptest.Server, wire string) string {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, wire)
	all, err := io.ReadAll(conn)
	if err != nil {
		t.Error(err)
	}
	return string(all)
}
