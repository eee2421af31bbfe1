package main

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// result is what a run measured.
type result struct {
	options *options
	Samples []sample
	Counts  map[string]int
	Delays  []time.Duration // from a code at the engine to the first client that has it
}

// problems are the reasons why the run failed.
func (r result) problems() (problems []error) {
	if len(r.Samples) < 5 {
		return []error{fmt.Errorf("%d samples are too few: lengthen --for or shorten --every", len(r.Samples))}
	}
	for i, series := range allSeries {
		if t := trendOf(r.Samples, i); t.grows(series) {
			problems = append(problems, fmt.Errorf("%s: %.0f grew to %.0f", series.name, t.early, t.late))
		}
	}
	for what, n := range r.Counts {
		if isProblem(what) {
			problems = append(problems, fmt.Errorf("%s: %d", what, n))
		}
	}
	if r.Counts["sessions paired"] == 0 || r.Counts["GET /qr 200"] == 0 {
		problems = append(problems, fmt.Errorf("no session was paired, or no QR was served: %v", r.Counts))
	}
	return problems
}

// isProblem reports whether a count must be zero. A 503 is one of these: the engine of this run is never away.
func isProblem(what string) bool {
	for _, text := range []string{
		" 500", " 502", " 503", " 504", "of another session", "expired", "lost", "failed", "without a response", "no JSON", "wrong key 200",
	} {
		if strings.Contains(what, text) {
			return true
		}
	}
	return false
}

// text is the table of the report.
func (r result) text() string {
	var b strings.Builder
	b.WriteString("| Of both gateways | first third after the warm-up | last third | highest | trend per hour | |\n|---|--:|--:|--:|--:|---|\n")
	for i, series := range allSeries {
		t := trendOf(r.Samples, i)
		verdict := "flat"
		if t.grows(series) {
			verdict = "**grows**"
		}
		fmt.Fprintf(&b, "| %s | %.0f | %.0f | %.0f | %+.0f | %s |\n", series.name, t.early, t.late, t.highest, t.perHour, verdict)
	}
	b.WriteString("\n| Redis keys at the end | |\n|---|--:|\n")
	last := r.Samples[len(r.Samples)-1].Kinds
	for _, kind := range slices.Sorted(maps.Keys(last)) {
		fmt.Fprintf(&b, "| %s | %d |\n", cmp.Or(kinds[kind], kind), last[kind])
	}
	if len(r.Delays) > 0 {
		slices.Sort(r.Delays)
		at := func(share float64) time.Duration {
			return r.Delays[int(share*float64(len(r.Delays)-1))].Round(10 * time.Millisecond)
		}
		fmt.Fprintf(&b, "\nFrom a code at the engine to the first client that has it: median %v, 99 %% within %v, at most %v.\n",
			at(0.5), at(0.99), at(1))
	}
	b.WriteString("\n| Clients | times |\n|---|--:|\n")
	for _, what := range slices.Sorted(maps.Keys(r.Counts)) {
		fmt.Fprintf(&b, "| %s | %d |\n", what, r.Counts[what])
	}
	return b.String()
}

// write writes the page and its plot.
func (r result) write(dir string) error {
	if err := r.plot(filepath.Join(dir, "images", "soak.svg")); err != nil {
		return err
	}
	o := r.options
	text := fmt.Sprintf(`# Soak

Two gateways under load for %s. [tools/soak](../tools/soak) wrote this page:

`+"```sh\ngo -C tools run ./soak --for %s --write ../docs\n```"+`

One redis-server, a simulated engine with the recorded rate limits, and at the same time:

- %d sessions, each with its own key, that are created, connected, scanned and deleted, over and over; a code comes 2 to
  10 s after the connect, a scan 10 to 30 s after a client has the code, and the delete 20 to 40 s later;
- %d clients that wait with `+"`?wait=%d`"+` for the QR of one of them and then, with `+"`/qr/status`"+`, for each change; one
  request of %d is given up by its client;
- %d event streams of 20 to 40 s; each second twice a pairing page and a request with a wrong key; qrgate's own probes.

Machine: %d processors, %s/%s, %s. The first %s are left out: Redis keeps sessions and links for 15 minutes, so
its keys increase until then. A value is flat if the median of the last third is at most a tenth (and a small margin)
above that of the first third. Revocations of links live for 31 minutes, longer than this run; there is one or two for
each revoked link.

%s
![Memory, goroutines, descriptors and Redis keys over the time of the run](images/soak.svg)
`, short(o.For), short(o.For), o.Sessions, o.Waiters, waitSeconds, leavers, o.Streams,
		runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), short(warmUp(o.For)), r.text())
	return os.WriteFile(filepath.Join(dir, "SOAK.md"), []byte(text), 0o644)
}

// short formats whole minutes without seconds.
func short(d time.Duration) string {
	text := d.Round(time.Second).String()
	if minutes, ok := strings.CutSuffix(text, "m0s"); ok {
		return minutes + "m"
	}
	return text
}

// ticks are about six round numbers from 0 on.
var ticks = plot.TickerFunc(func(_, high float64) (marks []plot.Tick) {
	step := math.Pow(10, math.Floor(math.Log10(high)))
	for _, share := range []float64{1, 0.5, 0.2, 0.1} {
		if high/(step*share) >= 4 {
			step *= share
			break
		}
	}
	for at := 0.0; at <= high; at += step {
		marks = append(marks, plot.Tick{Value: at, Label: strconv.FormatFloat(at, 'f', -1, 64)})
	}
	return marks
})

// plot draws each series over the time.
func (r result) plot(path string) error {
	const columns, width, height = 2, 16 * vg.Centimeter, 18 * vg.Centimeter
	plots := make([][]*plot.Plot, seriesCount/columns)
	for i, series := range allSeries {
		p := plot.New()
		p.Title.Text, p.X.Label.Text = series.name, "minutes"
		p.X.Tick.Marker, p.Y.Tick.Marker = ticks, ticks
		points := make(plotter.XYs, len(r.Samples))
		for at, s := range r.Samples {
			points[at].X, points[at].Y = s.At.Minutes(), s.Values[i]
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			return err
		}
		p.Add(plotter.NewGrid(), line)
		p.Y.Min = 0
		plots[i/columns] = append(plots[i/columns], p)
	}
	canvas := vgsvg.New(width, height)
	tiles := draw.Tiles{Rows: len(plots), Cols: columns, PadX: vg.Millimeter * 4, PadY: vg.Millimeter * 4,
		PadLeft: vg.Millimeter * 4, PadRight: vg.Millimeter * 4, PadTop: vg.Millimeter * 2, PadBottom: vg.Millimeter * 2}
	for row, canvases := range plot.Align(plots, tiles, draw.New(canvas)) {
		for column, c := range canvases {
			plots[row][column].Draw(c)
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := canvas.WriteTo(f); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
