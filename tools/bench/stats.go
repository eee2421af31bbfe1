package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// quantile is the value below which the share q of the values lies; 0 of none. It sorts them.
func quantile[T cmp.Ordered](values []T, q float64) T {
	var none T
	if len(values) == 0 {
		return none
	}
	slices.Sort(values)
	return values[int(float64(len(values)-1)*q+0.5)]
}

// median of the values; 0 of none.
func median(values []float64) float64 { return quantile(slices.Clone(values), 0.5) }

// ratios divides one series by another, turn by turn, without missing values.
func ratios(of, by []float64) []float64 {
	var out []float64
	for i := range min(len(of), len(by)) {
		if r := of[i] / by[i]; r > 0 && !math.IsInf(r, 0) && !math.IsNaN(r) {
			out = append(out, r)
		}
	}
	return out
}

// spread formats the median of ratios and their range.
func spread(ratios []float64) string {
	if len(ratios) == 0 {
		return "–"
	}
	if len(ratios) == 1 {
		return fmt.Sprintf("%.2f", ratios[0])
	}
	return fmt.Sprintf("%.2f  [%.2f … %.2f]", median(ratios), slices.Min(ratios), slices.Max(ratios))
}

// verdict compares a figure with its target.
func verdict(met bool) string {
	if met {
		return "met"
	}
	return "MISSED"
}

// table is the output of a measurement.
type table struct {
	title string
	head  []string
	rows  [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) write(to io.Writer) {
	fmt.Fprintf(to, "\n%s\n\n", t.title)
	w := tabwriter.NewWriter(to, 0, 0, 3, ' ', 0)
	for _, row := range append([][]string{t.head}, t.rows...) {
		fmt.Fprintln(w, " "+strings.Join(row, "\t"))
	}
	_ = w.Flush()
}

// markdown is the table under its title.
func (t *table) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s:\n\n| %s |\n|%s\n", t.title, strings.Join(t.head, " | "), strings.Repeat("---|", len(t.head)))
	for _, row := range t.rows {
		fmt.Fprintf(&b, "| %s |\n", strings.TrimSpace(strings.Join(row, " | ")))
	}
	return b.String() + "\n"
}

// ms formats a duration in milliseconds.
func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond)) }

// sec formats a duration in seconds.
func sec(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

// lognormal returns n times of a log-normal distribution with the given median and 95th percentile, the same in every
// run.
func lognormal(n int, p50, p95 time.Duration) []time.Duration {
	const z95 = 1.6448536269514722
	sigma := math.Log(float64(p95)/float64(p50)) / z95
	out := make([]time.Duration, n)
	for i := range out {
		z := math.Sqrt2 * math.Erfinv(2*(float64(i)+0.5)/float64(n)-1)
		out[i] = time.Duration(float64(p50) * math.Exp(sigma*z))
	}
	return out
}

// tick is the unit of process times in Linux (USER_HZ).
const tick = 10 * time.Millisecond

// cpu returns the processor time of a process and its children; 0 without /proc.
func cpu(pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	took := cpuIn(string(stat))
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range files {
		children, _ := os.ReadFile(file)
		for _, child := range strings.Fields(string(children)) {
			if n, err := strconv.Atoi(child); err == nil {
				took += cpu(n)
			}
		}
	}
	return took
}

// cpuIn reads utime and stime, fields 14 and 15 of /proc/PID/stat; the second may contain blanks and parentheses.
func cpuIn(stat string) time.Duration {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	const utime, stime = 14 - 3, 15 - 3
	if len(fields) <= stime {
		return 0
	}
	user, _ := strconv.Atoi(fields[utime])
	system, _ := strconv.Atoi(fields[stime])
	return time.Duration(user+system) * tick
}

// rss returns the resident memory of a process in bytes; 0 without /proc.
func rss(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	return rssIn(string(status))
}

func rssIn(status string) int64 {
	_, rest, _ := strings.Cut(status, "VmRSS:")
	line, _, _ := strings.Cut(rest, "\n")
	kib, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(line), "kB")), 10, 64)
	return kib << 10
}

// gauge reads one metric without labels from the operators' port of a gateway.
func (p *process) gauge(ctx context.Context, name string) (float64, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.Admin+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("qrgate has no metric %s", name)
}

// memory is the memory of a gateway, in bytes.
type memory struct {
	resident, stacks, heap float64
}

// memory reads it from the kernel and from qrgate's Go runtime.
func (p *process) memory(ctx context.Context) (m memory, err error) {
	m.resident = float64(rss(p.cmd.Process.Pid))
	if m.stacks, err = p.gauge(ctx, "go_memstats_stack_inuse_bytes"); err != nil {
		return m, err
	}
	m.heap, err = p.gauge(ctx, "go_memstats_heap_alloc_bytes")
	return m, err
}
