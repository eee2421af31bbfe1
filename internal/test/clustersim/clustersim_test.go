package clustersim

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var (
	oneSeed    = flag.Uint64("seed", 0, "simulate this seed only")
	seeds      = flag.Uint64("seeds", 0, "how many seeds to simulate; 0: 200, or 1000 with QRGATE_REQUIRE_ALL=1, as in CI")
	firstSeed  = flag.Uint64("first", 1, "the first seed")
	isVerbose  = flag.Bool("history", false, "print the history")
	isTolerant = flag.Bool("tolerate", false, "report violations and do not fail")
)

// maxStarved is how many flows of a hundred may end without a code because the engine's rate limit was used up.
const maxStarved = 2

func TestCluster(t *testing.T) {
	first, last := *firstSeed, *firstSeed+199
	switch {
	case *oneSeed > 0:
		first, last = *oneSeed, *oneSeed
	case *seeds > 0:
		last = first + *seeds - 1
	case os.Getenv("QRGATE_REQUIRE_ALL") == "1" && !testing.Short():
		last = first + 999
	}
	queue := make(chan uint64)
	go func() {
		defer close(queue)
		for seed := first; seed <= last; seed++ {
			queue <- seed
		}
	}()
	var sum summary
	t.Run("seeds", func(t *testing.T) {
		for worker := range 2 {
			t.Run(fmt.Sprint("worker ", worker), func(t *testing.T) {
				t.Parallel()
				for seed := range queue {
					s := newScenario(seed)
					t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) { sum.add(s, simulate(t, s)) })
				}
			})
		}
	})
	t.Log(sum.String())
	if starved := sum.starved; starved*100 > sum.flows*maxStarved {
		t.Errorf("%d of %d flows were starved by the rate limit", starved, sum.flows)
	}
}

// simulate runs one scenario in a bubble.
func simulate(t *testing.T, s *scenario) (o *oracle) {
	synctest.Test(t, func(t *testing.T) { o = run(t.Context(), s) })
	if len(o.violations) == 0 && !*isVerbose {
		return o
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%v\n%s\n", s, strings.Join(o.violations, "\n"))
	if *isVerbose {
		for _, e := range o.history {
			fmt.Fprintf(&text, "%9.4f %s\n", e.at.Seconds(), e.text)
		}
		fmt.Fprintf(&text, "digest %s\n", o.digest())
	}
	if len(o.violations) > 0 {
		fmt.Fprintf(&text, "replay: go test ./internal/test/clustersim -run TestCluster -args -seed %d -history", s.seed)
	}
	if len(o.violations) == 0 || *isTolerant {
		t.Log(text.String())
	} else {
		t.Error(text.String())
	}
	return o
}

// summary counts over all seeds.
type summary struct {
	mu                           sync.Mutex
	seeds, flows, lost, requests int
	calls, starved               int
	slowest                      time.Duration
	byKind                       map[faultKind][2]int
}

func (s *summary) add(sc *scenario, o *oracle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byKind == nil {
		s.byKind = map[faultKind][2]int{}
	}
	s.seeds++
	lost := 0
	for _, f := range o.flows {
		s.flows++
		s.slowest = max(s.slowest, f.took)
		if f.isStarved {
			s.starved++
		}
		if !f.gotCode {
			lost++
		}
	}
	s.lost += lost
	s.requests += len(o.history)
	s.calls += len(sc.engine.Calls())
	for _, f := range sc.faults {
		n := s.byKind[f.kind]
		s.byKind[f.kind] = [2]int{n[0] + len(o.flows), n[1] + lost}
	}
}

func (s *summary) String() string {
	text := fmt.Sprintf("%d seeds, %d flows, %d without a code (%d starved), slowest %v, %d engine calls, %d events\n",
		s.seeds, s.flows, s.lost, s.starved, s.slowest, s.calls, s.requests)
	for _, kind := range kinds {
		text += fmt.Sprintf("  %-18s %5d flows, %d without a code\n", kind, s.byKind[kind][0], s.byKind[kind][1])
	}
	return text
}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(m.Run())
}
