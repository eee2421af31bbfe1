package main

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
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

// ratios divides one series by another, turn by turn. What was not measured is left out.
func ratios(of, by []float64) []float64 {
	var out []float64
	for i := range min(len(of), len(by)) {
		if r := of[i] / by[i]; r > 0 && !math.IsInf(r, 0) && !math.IsNaN(r) {
			out = append(out, r)
		}
	}
	return out
}

// spread writes the median of ratios and how far they lie apart.
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

// table is what a measurement prints.
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

// ms writes a time as milliseconds.
func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond)) }

// sec writes a time as seconds.
func sec(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

// lognormal spreads n times evenly over a log-normal distribution with the given median and 95th
// percentile: every run meets the same times.
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
