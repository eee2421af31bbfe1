package dashboards_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"qrgate/internal/test/program"
	"qrgate/metrics"
)

// silent are queries that return no data during the test.
var silent = map[string]string{
	"qrgate-delivery: annotation Deployments": "nothing is deployed within the test",
	"qrgate-slo: annotation Deployments":      "nothing is deployed within the test",
	"qrgate-probes: annotation Deployments":   "nothing is deployed within the test",
}

// A Prometheus that scrapes a replica with all kinds of events returns data for every query of every panel and every
// recording, and evaluates all rules. A valid query may still match nothing, for example because a label is on one side only.
func TestQueries_ReturnDataFromPrometheus(t *testing.T) {
	t.Parallel()
	m := replicaMetrics(t, readings)
	p := startPrometheus(t, m)
	left := map[string]target{}
	for _, x := range panels(t) {
		for _, q := range x.Targets {
			if silent[x.where] == "" {
				left[x.where+" "+q.RefID] = q
			}
		}
	}
	for name := range recordings(t) {
		left[name] = target{Expr: name}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	p.until(ctx, func() { observeAll(m) }, func() bool {
		maps.DeleteFunc(left, func(_ string, q target) bool { return p.hasData(ctx, q) })
		return len(left) == 0
	})
	for _, where := range slices.Sorted(maps.Keys(left)) {
		t.Errorf("%s returns no data: %s", where, left[where].Expr)
	}
	p.rulesWork(t)
	p.exemplars(t)
}

// server is a Prometheus that the test started.
type server struct {
	base   string
	client *http.Client
}

const liveConfig = `
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [qrgate.rules.yml]
storage: {exemplars: {max_exemplars: 1000}}
scrape_configs:
  - job_name: qrgate
    static_configs: [{targets: [%q]}]
`

func startPrometheus(t *testing.T, m *metrics.Metrics) server {
	t.Helper()
	binary := program.Find(t, "prometheus", "prometheus")
	replica := httptest.NewServer(m.Handler())
	t.Cleanup(replica.Close)
	dir, listen := t.TempDir(), free(t)
	quick := bytes.ReplaceAll(read(t, ruleFile), []byte("interval: 30s"), []byte("interval: 1s"))
	for name, text := range map[string][]byte{"qrgate.rules.yml": quick, "prometheus.yml": fmt.Appendf(nil, liveConfig, replica.Listener.Addr())} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var said bytes.Buffer
	cmd := exec.Command(binary, "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+listen, "--enable-feature=exemplar-storage")
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s", said.Bytes())
		}
	})
	s := server{"http://" + listen, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	// Another program may have taken the port: the right one scrapes the replica of the test.
	if !s.until(ctx, func() {}, func() bool {
		return strings.Contains(string(s.get(ctx, "/api/v1/status/config", nil)), replica.Listener.Addr().String())
	}) {
		t.Fatal("Prometheus did not start")
	}
	return s
}

// free returns an address that is not in use.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// until calls each five times a second and done every second; it returns false when the time is over.
func (s server) until(ctx context.Context, each func(), done func() bool) bool {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
			each()
			if i%5 == 0 && done() {
				return true
			}
		}
	}
}

func (s server) get(ctx context.Context, path string, with url.Values) []byte {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+path+"?"+with.Encode(), nil)
	if err != nil {
		return nil
	}
	res, err := s.client.Do(r)
	if err != nil {
		return nil
	}
	defer res.Body.Close()
	var out bytes.Buffer
	_, _ = out.ReadFrom(res.Body)
	return out.Bytes()
}

// hasData reports whether a query returns a number within the last seconds.
func (s server) hasData(ctx context.Context, q target) bool {
	now := time.Now()
	path, with := "/api/v1/query_range", url.Values{"query": {substitute(q.Expr)}, "step": {"1"},
		"start": {fmt.Sprint(now.Add(-10 * time.Second).Unix())}, "end": {fmt.Sprint(now.Unix())}}
	if q.Instant {
		path = "/api/v1/query"
	}
	var got struct {
		Data struct {
			Result []struct {
				Value  []any
				Values [][]any
			}
		}
	}
	if json.Unmarshal(s.get(ctx, path, with), &got) != nil {
		return false
	}
	for _, series := range got.Data.Result {
		for _, point := range append(series.Values, series.Value) {
			if len(point) == 2 && point[1] != "NaN" {
				return true
			}
		}
	}
	return false
}

func (s server) rulesWork(t *testing.T) {
	t.Helper()
	var got struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError string }
			}
		}
	}
	if err := json.Unmarshal(s.get(t.Context(), "/api/v1/rules", nil), &got); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, g := range got.Data.Groups {
		for _, r := range g.Rules {
			n++
			if r.Health != "ok" {
				t.Errorf("%s is %s: %s", r.Name, r.Health, r.LastError)
			}
		}
	}
	if want := len(rules(t)); n != want {
		t.Errorf("%d rules were evaluated, of %d", n, want)
	}
}

// exemplars checks the exemplars of "Time to QR".
func (s server) exemplars(t *testing.T) {
	t.Helper()
	now := time.Now()
	text := string(s.get(t.Context(), "/api/v1/query_exemplars", url.Values{"query": {"qrgate_qr_time_to_code_seconds_bucket"},
		"start": {fmt.Sprint(now.Add(-time.Minute).Unix())}, "end": {fmt.Sprint(now.Add(time.Minute).Unix())}}))
	if !strings.Contains(text, `"trace_id":"01`) {
		t.Errorf("no exemplar has a trace: %s", text)
	}
}
