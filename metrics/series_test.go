package metrics_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/metrics"
)

// count is the number of series that a server stores which takes classic and native histograms.
func count(t *testing.T, m *metrics.Metrics) int {
	t.Helper()
	n := 0
	for _, f := range gather(t, m) {
		for _, s := range f.Metric {
			switch {
			case s.Histogram != nil:
				n += len(s.Histogram.Bucket) + 4 // +Inf, sum, count, native
			case s.Summary != nil:
				n += len(s.Summary.Quantile) + 2
			default:
				n++
			}
		}
	}
	return n
}

func TestSeries_RandomInputCreatesNone(t *testing.T) {
	t.Parallel()
	m := full(t)
	before, names := count(t, m), series(t, m)
	storm(m, 10_000)
	after := count(t, m)
	t.Logf("%d series", after)
	if before != after {
		t.Errorf("%d series at the start, %d after the storm", before, after)
	}
	if after > metrics.MaxSeries {
		t.Errorf("%d series, and at most %d are allowed", after, metrics.MaxSeries)
	}
	now := series(t, m)
	if !slices.Equal(slices.Sorted(maps.Keys(names)), slices.Sorted(maps.Keys(now))) {
		t.Error("the storm made other series")
	}
	for _, must := range []string{"qrgate_qr_acquisitions_total", "http_server_requests_total", "qrgate_engine_requests_total", "qrgate_probe_errors_total"} {
		if total := sum(now, must); total == 0 {
			t.Errorf("the storm left no trace in %s", must)
		}
	}
}

func sum(all map[string]float64, name string) (total float64) {
	for s, v := range all {
		if strings.HasPrefix(s, name+"{") {
			total += v
		}
	}
	return total
}

// storm throws n random values at every observer, legal and not.
func storm(m *metrics.Metrics, n int) {
	r := rand.New(rand.NewPCG(1, 2))
	text := func(known ...string) string {
		if r.IntN(2) == 0 && len(known) > 0 {
			return known[r.IntN(len(known))]
		}
		return fmt.Sprintf("x%x", r.Uint64())
	}
	codes := []string{"none", ""}
	for _, c := range diagnosis.Codes() {
		codes = append(codes, string(c))
	}
	took := func() time.Duration { return time.Duration(r.Int64N(int64(2 * time.Minute))) }
	for range n {
		m.ObserveEvent(session.Event{
			Kind: session.EventKind(text("state", "engine_call", "qr", "acquisition", "wait", "decrypt_failed", "store")), Duration: took(),
			Traffic: session.TrafficClass(text("user", "synthetic")), Session: text(), To: session.State(text("connecting", "failed")),
			Op: text("qr", "list"), ErrorKind: session.ErrorKind(text("", "not_ready", "timeout")), Status: r.IntN(1000) - 100, Code: text(),
			Outcome: session.Outcome(text("success", "failure", "abandoned", "")), Diagnosis: diagnosis.Code(text(codes...)), Sequence: r.IntN(9),
		})
		m.HTTP(session.RequestLog{Method: text("GET", "POST", "BREW"), Route: text("/api/sessions/{id}/qr", "/api/sessions/{id}", "unmatched"),
			Status: r.IntN(2000) - 500, Code: text(""), Took: took(), BytesIn: r.Int64() - r.Int64(), BytesOut: 1,
			Traffic: session.TrafficClass(text("user", "synthetic")), RequestID: text(), ClientGone: r.IntN(2) == 0, Truncated: r.IntN(2) == 0})
		m.Store(text("get", "put"), took(), errors.New(text()))
		m.Probes().ObserveRun(text("control"), diagnosis.Code(text(codes...)), time.Unix(r.Int64N(1e9), 0), took())
		m.Probes().Step(text("qr", "cleanup"), r.IntN(2) == 0, took())
		m.Probes().Missed(text("control"), text("overlap", "shutdown"))
	}
}

func TestSeries_LegalAcquisitionsExistFromStart(t *testing.T) {
	t.Parallel()
	now := series(t, full(t))
	for _, origin := range []string{"user", "synthetic"} {
		want := []string{"none,success"}
		for _, c := range diagnosis.Codes() {
			out := "failure"
			if c == diagnosis.ClientGone || c == diagnosis.AlreadyPaired {
				out = "abandoned"
			}
			want = append(want, string(c)+","+out)
		}
		for _, w := range want { // labels sort as diagnosis, origin, outcome
			diagnosis, out, _ := strings.Cut(w, ",")
			if _, ok := now[fmt.Sprintf("%s{%s,%s,%s}", "qrgate_qr_acquisitions_total", diagnosis, origin, out)]; !ok {
				t.Errorf("no series for %s of %s", w, origin)
			}
		}
	}
	n := 0
	for name := range now {
		if strings.HasPrefix(name, "qrgate_qr_acquisitions_total"+"{") {
			n++
		}
	}
	if want := 2 * (1 + len(diagnosis.Codes())); n != want {
		t.Errorf("%d series of acquisitions, want the %d legal ones", n, want)
	}
}

// Every pair of outcome and diagnosis, legal or not, is counted exactly once, and as a legal one.
func TestAcquisitions_SuccessHasNoDiagnosis(t *testing.T) {
	t.Parallel()
	m := full(t)
	pairs, good := 0.0, 0.0
	for _, out := range []session.Outcome{session.Success, session.Failure, session.Abandoned, "", "other"} {
		for _, why := range append(diagnosis.Codes(), diagnosis.None, "", "made_up") {
			m.ObserveEvent(session.Event{Kind: session.EventAcquisition, Outcome: out, Diagnosis: why, Duration: time.Second})
			pairs++
			if out == session.Success {
				good++
			}
		}
	}
	now := series(t, m)
	if got := sum(now, "qrgate_qr_acquisitions_total"); got != pairs {
		t.Errorf("%v acquisitions were counted, of %v", got, pairs)
	}
	if got := now["qrgate_qr_acquisitions_total"+"{none,user,success}"]; got != good || sum(now, "qrgate_qr_time_to_code_seconds") != good {
		t.Errorf("%v successes were counted, of %v", got, good)
	}
	for name := range now {
		if strings.HasPrefix(name, "qrgate_qr_acquisitions_total"+"{") && strings.Contains(name, "none") != strings.Contains(name, "success") {
			t.Errorf("there is a series %s", name)
		}
	}
}
