package metrics_test

import (
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"qrgate/metrics"
)

func TestSampler_DecidesByOriginAndParent(t *testing.T) {
	t.Parallel()
	synthetic := []attribute.KeyValue{attribute.String("user_agent.synthetic.type", "test")}
	parent := func(flags trace.TraceFlags) trace.SpanContext {
		return trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: flags, Remote: true})
	}
	none, kept, dropped := trace.SpanContext{}, parent(trace.FlagsSampled), parent(0)
	for name, x := range map[string]struct {
		sampler, arg string
		parent       trace.SpanContext
		attrs        []attribute.KeyValue
		want         bool
	}{
		"nothing set":                {"", "", none, nil, true},
		"all":                        {"", "1", none, nil, true},
		"none of the users'":         {"", "0", none, nil, false},
		"a probe's, always":          {"", "0", none, synthetic, true},
		"always off":                 {"always_off", "", none, nil, false},
		"always off, and a probe":    {"always_off", "", none, synthetic, true},
		"parent-based off":           {"parentbased_always_off", "1", none, nil, false},
		"always on":                  {"always_on", "0", none, nil, true},
		"ratio by name":              {"parentbased_traceidratio", "0", none, nil, false},
		"a parent that is kept":      {"", "0", kept, nil, true},
		"a parent that is not":       {"", "1", dropped, nil, false},
		"a probe in a dropped trace": {"", "1", dropped, synthetic, false},
	} {
		s, err := metrics.SamplerFor(x.sampler, x.arg)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := s.ShouldSample(sdktrace.SamplingParameters{
			ParentContext: trace.ContextWithRemoteSpanContext(t.Context(), x.parent), TraceID: trace.TraceID{2}, Attributes: x.attrs})
		if (got.Decision == sdktrace.RecordAndSample) != x.want {
			t.Errorf("%s: decided %v", name, got.Decision)
		}
	}
}

func TestTraceEnv_ParsesVariables(t *testing.T) {
	t.Parallel()
	const endpoint, secret = "OTEL_EXPORTER_OTLP_ENDPOINT", "hush-5550100"
	for name, x := range map[string]struct {
		env  map[string]string
		on   bool
		says string // in the error; empty for none
	}{
		"nothing set":      {nil, false, ""},
		"an endpoint":      {map[string]string{endpoint: "http://127.0.0.1:4318"}, true, ""},
		"one for traces":   {map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://127.0.0.1/x"}, true, ""},
		"turned off":       {map[string]string{endpoint: "http://127.0.0.1", "OTEL_SDK_DISABLED": "TRUE"}, false, ""},
		"exporter none":    {map[string]string{endpoint: "http://127.0.0.1", "OTEL_TRACES_EXPORTER": "none"}, false, ""},
		"exporter otlp":    {map[string]string{endpoint: "http://127.0.0.1", "OTEL_TRACES_EXPORTER": "otlp"}, true, ""},
		"exporter console": {map[string]string{endpoint: "http://127.0.0.1", "OTEL_TRACES_EXPORTER": secret}, false, "OTEL_TRACES_EXPORTER"},
		"no URL":           {map[string]string{endpoint: "collector:4318/" + secret}, false, endpoint},
		"a strange scheme": {map[string]string{endpoint: "ftp://x/" + secret}, false, endpoint},
		"grpc":             {map[string]string{endpoint: "http://127.0.0.1", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, false, "OTEL_EXPORTER_OTLP_PROTOCOL"},
		"a bad ratio":      {map[string]string{endpoint: "http://127.0.0.1", "OTEL_TRACES_SAMPLER_ARG": secret}, false, "OTEL_TRACES_SAMPLER_ARG"},
		"beyond one":       {map[string]string{endpoint: "http://127.0.0.1", "OTEL_TRACES_SAMPLER_ARG": "1.1"}, false, "OTEL_TRACES_SAMPLER_ARG"},
		"not a number":     {map[string]string{endpoint: "http://127.0.0.1", "OTEL_TRACES_SAMPLER_ARG": "NaN"}, false, "OTEL_TRACES_SAMPLER_ARG"},
		"a bad sampler":    {map[string]string{endpoint: "http://127.0.0.1", "OTEL_TRACES_SAMPLER": secret}, false, "OTEL_TRACES_SAMPLER"},
	} {
		on, err := metrics.Exports(x.env)
		if x.says == "" && (err != nil || on != x.on) {
			t.Errorf("%s: on is %v, %v", name, on, err)
		}
		if x.says != "" && (err == nil || !strings.Contains(err.Error(), x.says) || strings.Contains(err.Error(), secret)) {
			t.Errorf("%s: the error %v should name %s, and never its value", name, err, x.says)
		}
	}
}
