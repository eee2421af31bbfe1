package probes_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/internal/test/enginesim"
	"qrgate/probes"
)

func steps(r probes.Result) (names []string) {
	for _, s := range r.Steps {
		names = append(names, s.Name+" "+string(s.Outcome))
	}
	return names
}

func TestOnce_EveryProbeSucceeds(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][]string{
		probes.EngineHealth:    {"health success"},
		probes.CreateDelete:    {"create success", "cleanup success"},
		probes.CreateConnectQR: {"create success", "connect success", "qr success", "validate success", "cleanup success"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, enginesim.Incident(), func(r *rig) {
				run := r.prober().Once(r.Context(), name)
				r.wants(run, session.Success, diagnosis.None)
				if diff := cmp.Diff(want, steps(run)); diff != "" {
					t.Error(diff)
				}
				if name == probes.CreateConnectQR && (run.Seconds < 4 || run.Seconds > 8) {
					t.Errorf("the code comes after 4 s and the run took %.1f s", run.Seconds)
				}
				r.clean()
			})
		})
	}
}

func TestCreateConnectQR_StaysInsideRateLimit(t *testing.T) {
	bubble(t, &enginesim.Engine{QRDelay: time.Hour}, func(r *rig) {
		run := r.prober().Once(r.Context(), probes.CreateConnectQR)
		r.wants(run, session.Failure, diagnosis.QRNotEmitted)
		if n := r.engine.CountSince(enginesim.AnyRoute, time.Time{}); n > 15 {
			r.Errorf("%d calls were made, of 30 a minute", n)
		}
		r.clean()
	})
}
