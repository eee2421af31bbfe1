package metrics

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// traceConfig is what the OTEL_* variables ask for.
type traceConfig struct {
	export  bool
	sampler sdktrace.Sampler // of what is not synthetic and has no parent
}

// planFrom reads the variables of the OpenTelemetry specification that decide whether and how much is
// traced. The exporter and the batch processor read theirs (headers, time-outs, certificates, queue sizes)
// by themselves. Errors name the variable and never its value.
func planFrom(env func(string) string) (traceConfig, error) {
	endpoint, name := endpointOf(env)
	if endpoint == "" || strings.EqualFold(env("OTEL_SDK_DISABLED"), "true") || env("OTEL_TRACES_EXPORTER") == "none" {
		return traceConfig{}, nil
	}
	if x := env("OTEL_TRACES_EXPORTER"); x != "" && x != "otlp" {
		return traceConfig{}, errors.New("OTEL_TRACES_EXPORTER must be otlp or none: the gate has no other exporter")
	}
	if u, err := url.Parse(endpoint); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return traceConfig{}, fmt.Errorf("%s must be a URL that begins with http:// or https://", name)
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"} {
		if p := env(name); p != "" && p != "http/protobuf" {
			return traceConfig{}, fmt.Errorf("%s must be http/protobuf: the gate speaks no other OTLP", name)
		}
	}
	s, err := samplerFor(env("OTEL_TRACES_SAMPLER"), env("OTEL_TRACES_SAMPLER_ARG"))
	return traceConfig{true, s}, err
}

func endpointOf(env func(string) string) (endpoint, name string) {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"} {
		if v := env(name); v != "" {
			return v, name
		}
	}
	return "", ""
}

// samplerFor reads OTEL_TRACES_SAMPLER and its argument. With no sampler named, the argument alone is the
// share of traces that are kept, from 0 to 1; with neither, all are.
func samplerFor(name, arg string) (sdktrace.Sampler, error) {
	switch strings.TrimPrefix(name, "parentbased_") {
	case "always_on":
		return sdktrace.AlwaysSample(), nil
	case "always_off":
		return sdktrace.NeverSample(), nil
	case "", "traceidratio":
	default:
		return nil, errors.New("OTEL_TRACES_SAMPLER must be always_on, always_off or traceidratio, with or without parentbased_")
	}
	if arg == "" {
		return sdktrace.AlwaysSample(), nil
	}
	ratio, err := strconv.ParseFloat(arg, 64)
	if err != nil || !(ratio >= 0 && ratio <= 1) {
		return nil, errors.New("OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1")
	}
	return sdktrace.TraceIDRatioBased(ratio), nil
}
