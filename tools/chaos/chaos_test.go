package main

import (
	"regexp"
	"strings"
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

func TestReport_NamesRunsThatAreMissing(t *testing.T) {
	o := &options{Sessions: []int{2, 4}, Flows: 200}
	var rows []row
	for _, run := range o.runs(regexp.MustCompile(".")) {
		if run.name != "Redis gone" || run.n != 2 || run.perKey != 4 {
			rows = append(rows, row{Name: run.name, Replicas: run.n, PerKey: run.perKey, Created: 200, WithQR: 200})
		}
	}
	want := "\nNot run: Redis gone (replicas and sessions per key: 2 and 4).\n"
	if text := report(rows, o); !strings.Contains(text, want) {
		t.Errorf("no line %q in\n%s", want, text)
	}
}
