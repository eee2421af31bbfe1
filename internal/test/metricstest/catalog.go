// Package metricstest lists the metrics of qrgate for tests.
package metricstest

import (
	"strings"
	"testing"
	"time"

	"qrgate/metrics"
)

// Family describes one metric.
type Family struct {
	Name    string
	Type    string // counter, gauge or histogram
	Labels  []string
	Help    string
	Buckets []float64 // upper bounds of a histogram
}

// Catalog returns every metric of qrgate's own, without those of the Go runtime.
func Catalog(t testing.TB) []Family {
	t.Helper()
	m := metrics.New(metrics.Config{
		Probes: map[string]time.Duration{"probe": time.Second},
		Read:   func() metrics.GaugeValues { return metrics.GaugeValues{} },
	})
	gathered, err := m.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	var all []Family
	for _, g := range gathered {
		f := Family{Name: g.GetName(), Type: strings.ToLower(g.GetType().String()), Help: g.GetHelp()}
		if !strings.HasPrefix(f.Name, "qrgate_") && !strings.HasPrefix(f.Name, "http_server_") {
			continue
		}
		for _, l := range g.Metric[0].Label {
			f.Labels = append(f.Labels, l.GetName())
		}
		for _, b := range g.Metric[0].GetHistogram().GetBucket() {
			f.Buckets = append(f.Buckets, b.GetUpperBound())
		}
		all = append(all, f)
	}
	return all
}
