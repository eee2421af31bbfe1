package probes_test

import (
	"testing"
	"time"

	"qrgate/internal/session"
	"qrgate/internal/test/enginesim"
	"qrgate/probes"
)

func TestHistory_KeepsFailuresLonger(t *testing.T) {
	bubble(t, fault(enginesim.RouteHealth, enginesim.ServerError), func(r *rig) {
		p := r.prober()
		for range 15 {
			p.Once(r.Context(), probes.EngineHealth)
			time.Sleep(time.Second)
		}
		r.engine.Change(func(e *enginesim.Engine) { e.Faults = nil })
		for range 100 {
			p.Once(r.Context(), probes.EngineHealth)
			time.Sleep(time.Second)
		}
		all := p.History()
		count := map[session.Outcome]int{}
		for i, run := range all {
			count[run.Outcome]++
			if i > 0 && run.StartedAt.After(all[i-1].StartedAt) {
				t.Errorf("run %d is newer than the one before it", i)
			}
		}
		if count[session.Success] != 30 || count[session.Failure] != 15 {
			t.Errorf("kept are %v, want 30 successes and every failure", count)
		}
	})
}
