package metrics_test

import (
	"log/slog"
	"testing"

	"qrgate/internal/diagnosis"
	"qrgate/metrics"
)

func TestSpan_ProbeSpansAreSampledAndRedacted(t *testing.T) {
	r := startTracing(t, "0", metrics.TracingConfig{})
	ctx, end := r.Span(t.Context(), "probe.run", slog.String("name", "control"), slog.Int("attempt", 2),
		slog.String("session", "mine"), slog.String("api_key", "hush"), slog.String("user_agent.kind", "x"))
	_, step := r.Span(ctx, "probe.step")
	step(diagnosis.QRNotEmitted)
	end(diagnosis.None)
	_, strange := r.Span(t.Context(), "probe.strange")
	strange("made_up")

	all := r.spans(t)
	run, failed := all["probe.run"][0], all["probe.step"][0]
	for key, want := range map[string]string{"qrgate.probe.name": "control", "qrgate.probe.attempt": "2", "qrgate.probe.api_key": "[redacted]",
		"user_agent.kind": "x", "user_agent.synthetic.type": "test", "qrgate.outcome": "success", "error.type": "", "session": "", "qrgate.probe.session": ""} {
		if got := run.Attr(key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	if len(run.Attr("qrgate.session.ref")) != 16 || run.Parent() != "" || failed.Parent() != run.ID() {
		t.Errorf("the run is %v, its step %v", run, failed)
	}
	if failed.Attr("error.type") != "qr_not_emitted" || failed.Attr("qrgate.outcome") != "failure" || all["probe.strange"][0].Attr("error.type") != "undetermined" {
		t.Errorf("the failures are %v and %v", failed, all["probe.strange"])
	}
}
