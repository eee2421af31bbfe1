package confusion_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"qrgate/internal/app"
	"qrgate/internal/diagnosis"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
)

var update = flag.Bool("update", false, "rewrite docs/DIAGNOSIS.md")

func TestMain(m *testing.M) {
	whatsappsimtest.TrustRoot()
	goleak.VerifyTestMain(m)
}

// engine is a column of the table.
type engine string

// The engines.
const (
	atRest     engine = "documented API, simulated"
	atEmbedded engine = "embedded, whatsmeow"
	atBaileys  engine = "Baileys"
)

// table collects results by fault and engine.
type table struct {
	mu    sync.Mutex
	cells map[string]map[engine]result
}

func (all *table) put(f fault, e engine, v result) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.cells[f.name] == nil {
		all.cells[f.name] = map[engine]result{}
	}
	all.cells[f.name][e] = v
}

// minRight is the minimum share of right diagnoses. The others may be undetermined, but not wrong.
const minRight = 0.95

// For each fault, at each engine where it can occur, qrgate's diagnosis is the cause or none, and never another cause.
func TestDiagnosis_ConfusionTable(t *testing.T) {
	all := &table{cells: map[string]map[engine]result{}}
	t.Run("faults", func(t *testing.T) { all.fill(t) })
	if t.Failed() {
		return
	}
	share, median := all.score(t)
	t.Logf("%.1f %% are right, with a median time of %s", 100*share, median)
	if share < minRight {
		t.Errorf("%.1f %% of the diagnoses are right, want %.0f %%", 100*share, 100*minRight)
	}
	if median > 10*time.Second {
		t.Errorf("the median time to a diagnosis is %s, want at most ten seconds", median)
	}
	all.compare(t)
}

// fill injects each fault into each engine.
func (all *table) fill(t *testing.T) {
	t.Run("baileys", func(t *testing.T) { // first and alone: it needs real time
		if why := noBaileys(); why != "" {
			if os.Getenv("QRGATE_REQUIRE_ALL") == "1" {
				t.Fatal(why)
			}
			t.Skip(why)
		}
		all.fillBaileys(t)
	})
	for _, f := range restFaults() {
		t.Run("rest/"+f.name, func(t *testing.T) {
			t.Parallel()
			all.put(f, atRest, f.judge(runSimulated(t, f, nil)))
		})
	}
	for _, f := range kindFaults() {
		for _, d := range app.Dialects() {
			if f.only != nil && !slices.Contains(f.only, d.Kind) {
				continue
			}
			t.Run(d.Kind+"/"+f.name, func(t *testing.T) {
				t.Parallel()
				all.put(f, engine(d.Kind), f.judge(runSimulated(t, f, d)))
			})
		}
	}
	for _, f := range whatsappFaults() {
		if f.whatsapp.embedded != "" {
			continue
		}
		t.Run("embedded/"+f.name, func(t *testing.T) {
			t.Parallel()
			all.put(f, atEmbedded, f.judge(runEmbedded(t, f)))
		})
	}
}

// fillBaileys injects all faults at once, because they need real time and little CPU.
func (all *table) fillBaileys(t *testing.T) {
	b := startBaileys(t)
	met := sync.WaitGroup{}
	for i, f := range whatsappFaults() {
		if f.whatsapp.baileys != "" {
			continue
		}
		its := b
		switch {
		case f.whatsapp.needsCheck && f.whatsapp.network == nil:
			its = limited(t, documentedLimit)
		case f.whatsapp.scan || f.whatsapp.again:
			its = alone(t)
		}
		met.Go(func() { all.put(f, atBaileys, f.judge(its.run(t, f, fmt.Sprintf("fault-%d", i)))) })
	}
	met.Wait()
}

// score returns the share of right results and the median time to them. A wrong cause or part fails the test.
func (all *table) score(t *testing.T) (share float64, median time.Duration) {
	t.Helper()
	n, good := 0, 0
	var times []time.Duration
	for name, row := range all.cells {
		for e, v := range row {
			n++
			if v.lacks != "" && e != atBaileys {
				t.Errorf("%s at %s: the evidence lacks %q: %s", name, e, v.lacks, v.evidence)
			}
			if v.partKind == wrong {
				t.Errorf("%s at %s: wrong part: %s", name, e, v.part)
			}
			switch v.kind {
			case right:
				good++
				if v.said != diagnosis.None {
					times = append(times, v.after)
				}
			case wrong:
				t.Errorf("%s at %s: wrong diagnosis %s", name, e, v.note)
			case undetermined:
				t.Logf("%s at %s: %s %s", name, e, v.said, v.note)
			}
		}
	}
	slices.Sort(times)
	return float64(good) / float64(n), times[len(times)/2]
}

const document = "../../../docs/DIAGNOSIS.md"

// compare compares the document with the result.
func (all *table) compare(t *testing.T) {
	t.Helper()
	old, err := os.ReadFile(document)
	if err != nil && !*update {
		t.Fatal(err)
	}
	got := all.document(strings.Split(string(old), "\n"))
	if *update {
		if err := os.WriteFile(document, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	for i, line := range strings.Split(got, "\n") {
		if olds := strings.Split(string(old), "\n"); i >= len(olds) || withoutTimes(olds[i]) != withoutTimes(line) {
			t.Errorf("line %d of docs/DIAGNOSIS.md should be\n%s\n"+
				"Run go test ./internal/test/confusion -update if that is intended.", i+1, line)
		}
	}
}
