package metrics_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"qrgate/internal/test/metricstest"
)

func TestCatalog_NamesFollowConventions(t *testing.T) {
	t.Parallel()
	for _, f := range metricstest.Catalog(t) {
		if !regexp.MustCompile(`^(qrgate|http_server)(_[a-z]+)+$`).MatchString(f.Name) {
			t.Errorf("%s has no prefix of qrgate", f.Name)
		}
		if len(f.Help) < 15 || !strings.HasSuffix(f.Help, ".") {
			t.Errorf("%s: the help %q is no sentence", f.Name, f.Help)
		}
		if got, want := strings.HasSuffix(f.Name, "_total"), f.Type == "counter"; got != want {
			t.Errorf("%s: _total is for counters, and for all of them", f.Name)
		}
		if f.Type == "histogram" && (!strings.HasSuffix(f.Name, "_seconds") || len(f.Buckets) == 0) {
			t.Errorf("%s: a histogram is in seconds and has buckets, %v", f.Name, f.Buckets)
		}
		for _, label := range []string{"session", "tenant", "path", "error", "trace_id", "phone"} {
			if slices.Contains(f.Labels, label) {
				t.Errorf("%s has the label %s, which is not bounded", f.Name, label)
			}
		}
	}
}

// The thresholds of SLOs can be computed only from bounds of buckets.
func TestCatalog_SLOThresholdsAreBucketBounds(t *testing.T) {
	t.Parallel()
	thresholds := map[string][]float64{
		"qrgate_qr_time_to_code_seconds": {5, 15}, "qrgate_qr_wait_duration_seconds": {4.5, 9}, "qrgate_probe_duration_seconds": {15},
	}
	found := 0
	for _, f := range metricstest.Catalog(t) {
		for _, bound := range thresholds[f.Name] {
			found++
			if !slices.Contains(f.Buckets, bound) {
				t.Errorf("%s has no bound at %v s", f.Name, bound)
			}
		}
	}
	if found != 5 {
		t.Errorf("%d thresholds checked", found)
	}
}

func TestCatalog_ContainsEveryExposedMetric(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, f := range metricstest.Catalog(t) {
		known[f.Name] = true
	}
	for _, f := range gather(t, full(t)) {
		name := f.GetName()
		if !known[name] && !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
			t.Errorf("%s is exposed and not in the catalog", name)
		}
		delete(known, name)
	}
	if len(known) != 0 {
		t.Errorf("in the catalog and not exposed: %v", known)
	}
}

// row is one metric in docs/METRICS.md: | `name` | type | labels | help |.
var row = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ([a-z]+) \\| ([a-z_, ]*) \\| (.+) \\|$")

func TestMetricsDocument_MatchesCatalog(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../docs/METRICS.md")
	if err != nil {
		t.Fatal(err)
	}
	written, known := map[string]string{}, map[string]bool{}
	for _, r := range row.FindAllStringSubmatch(string(doc), -1) {
		written[r[1]] = r[0]
	}
	for _, f := range metricstest.Catalog(t) {
		known[f.Name] = true
		want := "| `" + f.Name + "` | " + f.Type + " | " + strings.Join(f.Labels, ", ") + " | " + f.Help + " |"
		if written[f.Name] != want {
			t.Errorf("docs/METRICS.md has\n%s\nand should have\n%s", written[f.Name], want)
		}
		delete(written, f.Name)
	}
	for name := range written {
		t.Errorf("docs/METRICS.md lists %s, which does not exist", name)
	}
	for _, name := range regexp.MustCompile(`\b(qrgate|http_server)_[a-z_]*[a-z]`).FindAllString(string(doc), -1) {
		if !known[name] && !known[strings.TrimSuffix(name, "_bucket")] {
			t.Errorf("docs/METRICS.md mentions %s, which does not exist", name)
		}
	}
}
