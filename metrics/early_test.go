package metrics_test

import (
	"context"
	"testing"

	"qrgate/internal/test/otlptest"
	"qrgate/metrics"
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

// A span that no other follows does not wait for a bundle, and the last ones of many come out at the end.
func TestSpansAreSentAloneAndInBundles(t *testing.T) {
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
	r := startTracing(t, "1", metrics.TracingConfig{})
	end := func() {
		_, span := r.Tracer().Start(t.Context(), "span")
		span.End()
	}
	for n := range 3 { // one of them may come before Run, one in the time that begins with it
		end()
		waitFor(t, func() bool { return len(r.receiver.Spans()) == n+1 })
	}
	for range 1000 {
		end()
	}
	if n := len(r.spans(t)["span"]); n != 1003 {
		t.Errorf("%d spans received, want 1003", n)
	}
}
