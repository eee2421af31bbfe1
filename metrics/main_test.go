package metrics_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"

	"qrgate/metrics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// full is a set of metrics with as many probes as there may be.
func full(t testing.TB) *metrics.Metrics {
	t.Helper()
	return metrics.New(metrics.Config{
		Version: "v1",
		Probes: map[string]time.Duration{"engine_health": 15 * time.Second, "create_delete": time.Minute,
			"create_connect_qr": 5 * time.Minute, "control": time.Minute},
		Read: func() metrics.GaugeValues {
			return metrics.GaugeValues{Limit: 5000, Remaining: 7}
		},
	})
}

func gather(t testing.TB, m *metrics.Metrics) []*dto.MetricFamily {
	t.Helper()
	all, err := m.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// series is every series of qrgate with its value; of a histogram, its count.
func series(t testing.TB, m *metrics.Metrics) map[string]float64 {
	t.Helper()
	out := map[string]float64{}
	for _, f := range gather(t, m) {
		if !strings.HasPrefix(f.GetName(), "qrgate_") && !strings.HasPrefix(f.GetName(), "http_") {
			continue
		}
		for _, s := range f.Metric {
			var labels []string
			for _, l := range s.Label {
				if l.GetName() != "engine" {
					labels = append(labels, l.GetValue())
				}
			}
			out[f.GetName()+"{"+strings.Join(labels, ",")+"}"] = s.GetCounter().GetValue() + s.GetGauge().GetValue() +
				float64(s.GetHistogram().GetSampleCount())
		}
	}
	return out
}

// changed is what do changed, series by series. Label values are in the order of their labels' names.
func changed(t testing.TB, m *metrics.Metrics, do func()) map[string]float64 {
	t.Helper()
	before := series(t, m)
	do()
	out := map[string]float64{}
	for name, v := range series(t, m) {
		was, ok := before[name]
		if !ok {
			t.Errorf("%s was not there from the start", name)
		}
		if v != was {
			out[name] = v - was
		}
	}
	return out
}

// exposition is what a Prometheus server reads.
func exposition(m *metrics.Metrics, accept string) string {
	r := httptest.NewRequest("GET", "/metrics", nil)
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, r)
	return w.Body.String()
}

const openMetrics = "application/openmetrics-text; version=1.0.0"
