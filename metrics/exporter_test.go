package metrics_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"qrgate/metrics"
)

// scriptedExporter is an exporter that returns its errors one after the other.
type scriptedExporter []error

func (a *scriptedExporter) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error {
	err := (*a)[0]
	*a = (*a)[1:]
	return err
}

func (a *scriptedExporter) Shutdown(context.Context) error { return nil }

// A collector that is down for an hour is two lines in the log, not one per batch.
func TestCountingExporter_LogsOnlyChanges(t *testing.T) {
	t.Parallel()
	down := &url.Error{Op: "Post", URL: "http://127.0.0.1/?token=hush", Err: errors.New("connection refused")}
	next := &scriptedExporter{nil, down, down, errors.New("http://127.0.0.1/?token=hush: 400"), nil, nil}
	var logs bytes.Buffer
	text := slog.NewTextHandler(&logs, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	failures := 0
	e := metrics.NewCountingExporter(next, func() { failures++ }, slog.New(text))
	for range 6 {
		if err := e.ExportSpans(t.Context(), nil); err != nil {
			t.Errorf("OpenTelemetry's own error handler would get %v", err)
		}
	}
	if failures != 3 {
		t.Errorf("%d failures counted, want 3", failures)
	}
	want := "level=WARN msg=\"cannot export spans\" err=\"connection refused\"\nlevel=INFO msg=\"spans exported again\"\n"
	if diff := cmp.Diff(want, logs.String()); diff != "" {
		t.Error(diff)
	}
}
