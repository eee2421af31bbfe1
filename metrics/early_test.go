package metrics_test

import (
	"context"
	"testing"

	"qrgate/metrics"
	"qrgate/metrics/otlptest"
)

// What happens between the start of the program and that of Run is not lost.
func TestSpansFromBeforeRunAreSent(t *testing.T) {
	receiver := new(otlptest.Receiver).Start()
	defer receiver.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.URL())
	tr, err := metrics.NewTracing(t.Context(), metrics.TracingConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for range 600 {
		_, span := tr.Tracer().Start(t.Context(), "early")
		span.End()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tr.Run(ctx); err != nil {
		t.Error(err)
	}
	if n := len(receiver.Spans()); n != 512 {
		t.Errorf("%d spans received, want the first 512", n)
	}
}
