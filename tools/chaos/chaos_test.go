package main

import (
	"regexp"
	"sync"
	"testing"
	"time"

	"qrgate/internal/test/program"
	"qrgate/tools/rig"
)

// TestChaos is the chaos run in short: replicas and Redis end while clients pair sessions, and no client notices.
func TestChaos(t *testing.T) {
	program.Find(t, "redis-server", "redis-server")
	gateway, err := rig.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	o := &options{
		Flows: 24, Over: 3 * time.Second, FaultAt: time.Second, Gateway: gateway, Replicas: []int{3}, Sessions: []int{2},
	}
	chosen := regexp.MustCompile("^(Redis killed, empty|Redis gone|replica killed, back)")
	var all sync.WaitGroup
	for _, run := range o.runs(chosen) {
		all.Go(func() {
			r, err := runCase(t.Context(), o, run.chaosCase, run.n, run.perKey)
			if err != nil {
				t.Error(err)
				return
			}
			t.Log(r)
			faults := r.LimitedPolls + r.LimitedClients + r.Duplicates + r.WrongTenant + r.Expired + r.ForeignHits + r.Unexpected
			if r.WithQR < o.Flows-1 || faults > 0 {
				t.Errorf("%s: %d of %d clients have a QR", run.name, r.WithQR, o.Flows)
			}
		})
	}
	all.Wait()
}
