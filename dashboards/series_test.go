package dashboards_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"qrgate/internal/session"
	"qrgate/internal/test/metricstest"
	"qrgate/metrics"
)

// replicaMetrics returns the metrics of a replica with the usual probes.
func replicaMetrics(t testing.TB, read func() metrics.GaugeValues) *metrics.Metrics {
	t.Helper()
	return metrics.New(metrics.Config{
		Version: "v1",
		Read:    read,
		Probes:  map[string]time.Duration{"engine_health": 15 * time.Second, "create_delete": time.Minute, "create_connect_qr": 5 * time.Minute},
	})
}

func readings() metrics.GaugeValues {
	return metrics.GaugeValues{Sessions: map[session.State]int{session.Connected: 3, session.AwaitingScan: 1}, Waiters: 4, Limit: 1000, Remaining: 17}
}

// exposed returns all series of a replica, with the labels that Prometheus adds.
func exposed(t *testing.T) []labels.Labels {
	t.Helper()
	families, err := replicaMetrics(t, readings).Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	var all []labels.Labels
	for _, f := range families {
		for _, s := range f.Metric {
			b := labels.NewBuilder(labels.FromStrings("job", "qrgate", "instance", "a"))
			for _, l := range s.Label {
				b.Set(l.GetName(), l.GetValue())
			}
			names := []string{f.GetName()}
			if h := s.GetHistogram(); h != nil {
				for _, bucket := range h.Bucket {
					all = append(all, b.Set("__name__", f.GetName()+"_bucket").Set("le", labels.FormatOpenMetricsFloat(bucket.GetUpperBound())).Labels())
				}
				b.Del("le")
				names = []string{f.GetName() + "_sum", f.GetName() + "_count"}
			}
			for _, name := range names {
				all = append(all, b.Set("__name__", name).Labels())
			}
		}
	}
	return all
}

// elsewhere are metrics that Prometheus itself generates.
var elsewhere = []string{"up", "scrape_duration_seconds", "scrape_samples_scraped", "ALERTS", "ALERTS_FOR_STATE"}

// Every selector of a rule or a panel matches a series of qrgate, so that no name, label or value is misspelt: all legal
// series exist from the start.
func TestQueries_SelectorsMatchExposedSeries(t *testing.T) {
	t.Parallel()
	all, recorded := exposed(t), recordings(t)
	seen := 0
	for where, query := range queries(t) {
		for _, s := range selectors(parse(t, query)) {
			seen++
			name := s.Name
			switch {
			case slices.Contains(elsewhere, name):
			case strings.HasPrefix(name, "qrgate:"):
				if !recorded[name] {
					t.Errorf("%s: nothing records %s", where, name)
				}
			case !slices.ContainsFunc(all, func(l labels.Labels) bool { return matches(s, l) }):
				t.Errorf("%s: qrgate exposes no series that matches %s", where, s)
			}
		}
	}
	if seen < 200 {
		t.Errorf("only %d selectors were checked", seen)
	}
}

func matches(s *parser.VectorSelector, l labels.Labels) bool {
	for _, m := range s.LabelMatchers {
		if !m.Matches(l.Get(m.Name)) {
			return false
		}
	}
	return true
}

func recordings(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for _, r := range rules(t) {
		if r.Record != "" {
			out[r.Record] = true
		}
	}
	return out
}

func selectors(e parser.Expr) []*parser.VectorSelector {
	var out []*parser.VectorSelector
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		if s, ok := n.(*parser.VectorSelector); ok {
			out = append(out, s)
		}
		return nil
	})
	return out
}

// queries returns the queries of all rules and panels, by their place.
func queries(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, r := range rules(t) {
		out[r.name()+" "+r.Labels["slo"]+r.Labels["long"]+r.Labels["severity"]] = r.Expr
	}
	for _, p := range panels(t) {
		for _, target := range p.Targets {
			out[p.where+" "+target.RefID] = substitute(target.Expr)
		}
	}
	return out
}

// A misspelt label in "by" is no error in PromQL: its value is empty.
func TestQueries_GroupByExistingLabels(t *testing.T) {
	t.Parallel()
	known := map[string]bool{"job": true, "instance": true, "le": true, "slo": true, "window": true, "alertname": true, "severity": true}
	for _, f := range metricstest.Catalog(t) {
		for _, l := range f.Labels {
			known[l] = true
		}
	}
	for where, query := range queries(t) {
		parser.Inspect(parse(t, query), func(n parser.Node, _ []parser.Node) error {
			if a, ok := n.(*parser.AggregateExpr); ok {
				for _, l := range a.Grouping {
					if !known[l] {
						t.Errorf("%s groups by %s, which no series has", where, l)
					}
				}
			}
			return nil
		})
	}
}

// exploration are metrics that are on no dashboard, with the reason.
var exploration = map[string]string{}

func TestMetrics_AreOnDashboards(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	histogram := regexp.MustCompile(`_(bucket|sum|count)$`)
	for _, query := range queries(t) {
		for _, s := range selectors(parse(t, query)) {
			used[s.Name], used[histogram.ReplaceAllString(s.Name, "")] = true, true
		}
	}
	for _, f := range metricstest.Catalog(t) {
		switch why := exploration[f.Name]; {
		case !used[f.Name] && why == "":
			t.Errorf("%s is on no dashboard and has no reason", f.Name)
		case used[f.Name] && why != "":
			t.Errorf("%s is on a dashboard; remove it from the list", f.Name)
		}
	}
}
