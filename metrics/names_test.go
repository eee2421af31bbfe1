package metrics_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"qrgate/metrics"
)

func TestNamesFollowTheRules(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, f := range metrics.Catalogue() {
		if seen[f.Name] {
			t.Errorf("%s is listed twice", f.Name)
		}
		seen[f.Name] = true
		if !regexp.MustCompile(`^(qrgate|http_server)(_[a-z]+)+$`).MatchString(f.Name) {
			t.Errorf("%s is not within our names", f.Name)
		}
		if len(f.Help) < 15 || !strings.HasSuffix(f.Help, ".") {
			t.Errorf("%s: the help %q is no sentence", f.Name, f.Help)
		}
		if got, want := strings.HasSuffix(f.Name, "_total"), f.Kind == metrics.Counter; got != want {
			t.Errorf("%s: _total is for counters, and for all of them", f.Name)
		}
		if f.Kind == metrics.Histogram && (!strings.HasSuffix(f.Name, "_seconds") || !slices.IsSorted(f.Buckets) || len(f.Buckets) == 0) {
			t.Errorf("%s: a histogram is in seconds and has sorted edges, %v", f.Name, f.Buckets)
		}
		for _, never := range []string{"session", "tenant", "path", "error", "trace_id", "phone"} {
			if slices.Contains(f.Labels, never) {
				t.Errorf("%s has the label %s, which is not bounded", f.Name, never)
			}
		}
	}
}

// SLO thresholds can be computed only from edges (sre.md 2.3).
func TestThresholdsAreEdges(t *testing.T) {
	t.Parallel()
	for _, f := range metrics.Catalogue() {
		for _, edge := range map[string][]float64{metrics.QRTimeToCode: {5, 15}, metrics.QRWaitDuration: {4.5, 9}, metrics.ProbeDuration: {15}}[f.Name] {
			if !slices.Contains(f.Buckets, edge) {
				t.Errorf("%s has no edge at %v s", f.Name, edge)
			}
		}
	}
}

func TestEveryFamilyIsExposedAsListed(t *testing.T) {
	t.Parallel()
	exposed := map[string]*dto.MetricFamily{}
	for _, f := range gather(t, full(t)) {
		exposed[f.GetName()] = f
	}
	kinds := map[metrics.Kind]dto.MetricType{metrics.Counter: dto.MetricType_COUNTER, metrics.Gauge: dto.MetricType_GAUGE, metrics.Histogram: dto.MetricType_HISTOGRAM}
	for _, f := range metrics.Catalogue() {
		got := exposed[f.Name]
		if got == nil || len(got.Metric) == 0 {
			t.Errorf("%s is listed and not exposed", f.Name)
			continue
		}
		if got.GetType() != kinds[f.Kind] || got.GetHelp() != f.Help {
			t.Errorf("%s is exposed as %s, %q", f.Name, got.GetType(), got.GetHelp())
		}
		var labels []string
		for _, l := range got.Metric[0].Label {
			labels = append(labels, l.GetName())
		}
		if want := slices.Sorted(slices.Values(f.Labels)); !slices.Equal(labels, want) {
			t.Errorf("%s has the labels %v, listed are %v", f.Name, labels, want)
		}
		delete(exposed, f.Name)
	}
	for name := range exposed {
		if !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
			t.Errorf("%s is exposed and not listed", name)
		}
	}
}

// row is one family in docs/METRICS.md: | `name` | kind | labels | help |.
var row = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ([a-z]+) \\| ([a-z_, ]*) \\| (.+) \\|$")

func TestTheDocumentListsEveryFamily(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../docs/METRICS.md")
	if err != nil {
		t.Fatal(err)
	}
	written := map[string]string{}
	for _, r := range row.FindAllStringSubmatch(string(doc), -1) {
		written[r[1]] = r[0]
	}
	for _, f := range metrics.Catalogue() {
		want := "| `" + f.Name + "` | " + string(f.Kind) + " | " + strings.Join(f.Labels, ", ") + " | " + f.Help + " |"
		if written[f.Name] != want {
			t.Errorf("docs/METRICS.md has\n%s\nand should have\n%s", written[f.Name], want)
		}
		delete(written, f.Name)
	}
	for name := range written {
		t.Errorf("docs/METRICS.md lists %s, which does not exist", name)
	}
	known := map[string]bool{}
	for _, f := range metrics.Catalogue() {
		known[f.Name] = true
	}
	for _, name := range regexp.MustCompile(`\b(qrgate|http_server)_[a-z_]*[a-z]`).FindAllString(string(doc), -1) {
		bare := strings.TrimSuffix(name, "_bucket")
		if !known[name] && !known[bare] {
			t.Errorf("docs/METRICS.md speaks of %s, which does not exist", name)
		}
	}
}
