package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// past is how much of an ordinary time, in earnest, lies before the drill. Without it the few failures of the
// drill would be a large share of all there ever was, and budgets would burn that in earnest do not.
const past = 6 * time.Hour

// history is that time in the OpenMetrics format, ending at end: every probe and, between two probes, a few users
// get their QR at once.
func history(instance string, every, long time.Duration, end time.Time) string {
	common := fmt.Sprintf(`job="qrgate",instance=%q`, instance)
	families := []struct {
		name, kind string
		series     []string
		step       int // a probe interval
	}{
		{"qrgate_probe_runs", "counter", []string{`qrgate_probe_runs_total{` + common + `,probe="create_connect_qr",outcome="success",diagnosis="none"}`}, 1},
		{"qrgate_qr_acquisitions", "counter", []string{`qrgate_qr_acquisitions_total{` + common + `,origin="user",outcome="success",diagnosis="none"}`}, 5},
		{"qrgate_qr_time_to_code_seconds", "histogram", []string{
			`qrgate_qr_time_to_code_seconds_bucket{` + common + `,origin="user",le="5.0"}`,
			`qrgate_qr_time_to_code_seconds_bucket{` + common + `,origin="user",le="15.0"}`,
			`qrgate_qr_time_to_code_seconds_bucket{` + common + `,origin="user",le="+Inf"}`,
			`qrgate_qr_time_to_code_seconds_count{` + common + `,origin="user"}`,
			`qrgate_qr_time_to_code_seconds_sum{` + common + `,origin="user"}`}, 5},
	}
	n := int(long / every)
	var b strings.Builder
	for _, f := range families {
		fmt.Fprintf(&b, "# TYPE %s %s\n", f.name, f.kind)
		for _, series := range f.series {
			for i := range n {
				at := end.Add(-every * time.Duration(n-1-i))
				fmt.Fprintf(&b, "%s %d %.3f\n", series, i*f.step, float64(at.UnixMilli())/1000)
			}
		}
	}
	b.WriteString("# EOF\n")
	return b.String()
}

// backfill gives Prometheus the history, before it starts.
func (env *environment) backfill(ctx context.Context) error {
	file, timeScale := filepath.Join(env.dir, "history.txt"), env.timeScale()
	text := history(env.at.admin, timeScale.of(env.Interval), timeScale.of(past), time.Now().Add(-time.Second))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, env.programs.promtool, "tsdb", "create-blocks-from", "openmetrics", "--quiet", file, filepath.Join(env.dir, "prometheus")).CombinedOutput()
	if err != nil {
		return fmt.Errorf("promtool makes no history: %w\n%s", err, out)
	}
	return nil
}
