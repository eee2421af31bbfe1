package metrics_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/internal/diagnosis"
	"qrgate/metrics"
)

func TestProbes_CountResults(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_700_000_000, 500_000_000)
	for name, x := range map[string]struct {
		do   func(*metrics.Probes)
		want map[string]float64
	}{
		"a good run": {func(p *metrics.Probes) { p.ObserveRun("control", diagnosis.None, at, time.Second) },
			map[string]float64{"qrgate_probe_runs_total{none,success,control}": 1, "qrgate_probe_duration_seconds{success,control}": 1,
				"qrgate_probe_last_run_timestamp_seconds{control}": 1_700_000_000.5, "qrgate_probe_last_success_timestamp_seconds{control}": 1_700_000_000.5}},
		"a bad run": {func(p *metrics.Probes) { p.ObserveRun("control", diagnosis.QRNotEmitted, at, time.Second) },
			map[string]float64{"qrgate_probe_runs_total{qr_not_emitted,failure,control}": 1, "qrgate_probe_duration_seconds{failure,control}": 1,
				"qrgate_probe_last_run_timestamp_seconds{control}": 1_700_000_000.5}},
		"an unknown cause": {func(p *metrics.Probes) { p.ObserveRun("control", "made_up", time.Unix(0, 0), time.Second) },
			map[string]float64{"qrgate_probe_runs_total{undetermined,failure,control}": 1, "qrgate_probe_duration_seconds{failure,control}": 1}},
		"an unknown probe": {func(p *metrics.Probes) { p.ObserveRun("other", diagnosis.None, at, time.Second) }, map[string]float64{}},
		"a step": {func(p *metrics.Probes) { p.Step("qr", true, time.Second) },
			map[string]float64{"qrgate_probe_step_duration_seconds{qr}": 1}},
		"a clean-up that failed": {func(p *metrics.Probes) { p.Step("cleanup", false, time.Second) },
			map[string]float64{"qrgate_probe_step_duration_seconds{cleanup}": 1, "qrgate_probe_step_failures_total{cleanup}": 1, "qrgate_probe_cleanup_failures_total{}": 1}},
		"skipped":   {func(p *metrics.Probes) { p.Missed("control", "not_leader") }, map[string]float64{"qrgate_probe_skipped_total{control,not_leader}": 1}},
		"lost":      {func(p *metrics.Probes) { p.Missed("control", "lease_lost") }, map[string]float64{"qrgate_probe_errors_total{control,lease_lost}": 1}},
		"otherwise": {func(p *metrics.Probes) { p.Missed("control", "gremlins") }, map[string]float64{"qrgate_probe_errors_total{control,internal}": 1}},
		"leads":     {func(p *metrics.Probes) { p.SetLeader(true, 2) }, map[string]float64{"qrgate_probe_leader{}": 1, "qrgate_probe_orphaned_sessions{}": 2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := full(t)
			if diff := cmp.Diff(x.want, changed(t, m, func() { x.do(m.Probes()) })); diff != "" {
				t.Error(diff)
			}
		})
	}
}
