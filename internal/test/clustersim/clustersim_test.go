package clustersim

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
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
	repeats    = flag.Int("repeat", 1, "simulate each seed so many times")
	step       = flag.Uint64("step", 0, "simulate every step-th seed in this process; 0: start one process per worker")
)

// maxStarved is how many flows of a hundred may end without a code because the engine's rate limit was used up.
const maxStarved = 2

// workers is how many processes share the seeds.
const workers = 2

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
	if *step > 0 {
		simulateAll(t, first, last)
		return
	}
	for n := range min(workers, last-first+1) {
		t.Run(fmt.Sprint("worker ", n), func(t *testing.T) {
			t.Parallel()
			text, err := worker(t.Context(), first+n, last).CombinedOutput()
			if t.Log(string(text)); err != nil {
				t.Error(err)
			}
		})
	}
}

// A seed that fails is of use only if it fails again, so most seeds have one history. The others differ where Go itself
// draws: in the order of maps, of select statements, and of timers that end at the same time.
func TestCluster_SeedsRepeatTheirHistory(t *testing.T) {
	cmd := worker(t.Context(), 1, 30)
	cmd.Args = append(cmd.Args, "-repeat=2")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
}

// worker is a process that simulates a part of the seeds, one at a time and with one thread for Go code. There the
// scheduler runs goroutines in the order in which they became ready, so a seed has nearly always the same history.
func worker(ctx context.Context, first, last uint64) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestCluster$", fmt.Sprint("-step=", workers),
		fmt.Sprint("-first=", first), fmt.Sprint("-seeds=", last-first+1), fmt.Sprint("-history=", *isVerbose),
		fmt.Sprint("-tolerate=", *isTolerant), fmt.Sprint("-repeat=", *repeats), "-test.v")
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "GODEBUG=asyncpreemptoff=1", "GOGC=off", "GOMEMLIMIT=200MiB")
	return cmd
}

func simulateAll(t *testing.T, first, last uint64) {
	var sum summary
	repeated := 0
	for seed := first; seed <= last; seed += *step {
		histories := map[string]bool{}
		for range *repeats {
			s := newScenario(seed)
			o := simulate(t, s)
			sum.add(s, o)
			histories[o.digest()] = true
		}
		if len(histories) == 1 {
			repeated++
		}
	}
	t.Log(sum.String())
	if n := int((last-first) / *step) + 1; *repeats > 1 {
		t.Logf("%d of %d seeds had the same history each time", repeated, n)
		if repeated*2 < n {
			t.Error("too many seeds have several histories")
		}
	}
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
	seeds, flows, lost, requests int
	calls, starved               int
	slowest                      time.Duration
	byKind                       map[faultKind][2]int
}

func (s *summary) add(sc *scenario, o *oracle) {
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
