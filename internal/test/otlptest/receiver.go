// Package otlptest is an OTLP receiver in the process of a test: it receives traces over HTTP as a collector does, and
// stores them.
package otlptest

import (
	"compress/gzip"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Span is one exported span, with ids as traceparent writes them.
type Span struct {
	*tracev1.Span
	Service string // service.name of its resource
}

// Trace is the id of the span's trace in hex.
func (s Span) Trace() string { return hex.EncodeToString(s.TraceId) }

// ID is the span's own id in hex.
func (s Span) ID() string { return hex.EncodeToString(s.SpanId) }

// Parent is the id of the parent in hex; empty for a root.
func (s Span) Parent() string { return hex.EncodeToString(s.ParentSpanId) }

// SpanID is the id of a span, such as a link holds it, in hex.
func SpanID(id []byte) string { return hex.EncodeToString(id) }

// Attr is an attribute as text; empty if there is none. Numbers are written in decimal.
func (s Span) Attr(key string) string {
	for _, a := range s.Attributes {
		switch v := a.GetValue().GetValue().(type) {
		case *common.AnyValue_StringValue:
			if a.Key == key {
				return v.StringValue
			}
		case *common.AnyValue_IntValue:
			if a.Key == key {
				return strconv.FormatInt(v.IntValue, 10)
			}
		}
	}
	return ""
}

// Receiver receives OTLP over HTTP at URL, after Start.
type Receiver struct {
	Refuse int // response status instead of 200; 0 accepts the spans

	mu     sync.Mutex
	spans  []Span
	server *httptest.Server
}

// Start listens on a free port of the loopback interface; Close ends it.
func (r *Receiver) Start() *Receiver {
	r.server = httptest.NewServer(r)
	return r
}

// URL is the value for OTEL_EXPORTER_OTLP_ENDPOINT.
func (r *Receiver) URL() string { return r.server.URL }

// Close stops listening.
func (r *Receiver) Close() { r.server.Close() }

// Spans returns the received spans in the order in which they ended.
func (r *Receiver) Spans() []Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.spans)
}

// ServeHTTP implements [http.Handler].
func (r *Receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	switch {
	case r.Refuse != 0:
		w.WriteHeader(r.Refuse)
		return
	case q.Method != http.MethodPost || q.URL.Path != "/v1/traces":
		http.NotFound(w, q)
		return
	}
	var got collector.ExportTraceServiceRequest
	if body, err := read(q); err != nil || proto.Unmarshal(body, &got) != nil {
		http.Error(w, "no OTLP", http.StatusBadRequest)
		return
	}
	r.keep(&got)
	w.Header().Set("Content-Type", "application/x-protobuf") // an empty body is an empty response message
}

func read(q *http.Request) ([]byte, error) {
	if q.Header.Get("Content-Encoding") != "gzip" {
		return io.ReadAll(q.Body)
	}
	plain, err := gzip.NewReader(q.Body)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(plain)
}

func (r *Receiver) keep(got *collector.ExportTraceServiceRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, of := range got.ResourceSpans {
		service := ""
		for _, a := range of.GetResource().GetAttributes() {
			if a.Key == "service.name" {
				service = a.Value.GetStringValue()
			}
		}
		for _, scope := range of.ScopeSpans {
			for _, s := range scope.Spans {
				r.spans = append(r.spans, Span{s, service})
			}
		}
	}
}
