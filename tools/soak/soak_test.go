package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"qrgate/internal/test/program"
	"qrgate/tools/rig"
)

// TestSoak is the run in short: clients get their QRs and no errors. Its time is too short to see growth.
func TestSoak(t *testing.T) {
	program.Find(t, "redis-server", "redis-server")
	gateway, err := rig.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	o := &options{
		For: 9 * time.Second, Waiters: 40, Streams: 4, Sessions: 8, Every: 500 * time.Millisecond, Pace: 0.15, Gateway: gateway,
	}
	host := &rig.Host{}
	defer host.Close()
	r, err := o.measure(t.Context(), host)
	if err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + r.text())
	for what, n := range r.Counts {
		if isProblem(what) {
			t.Errorf("%s: %d", what, n)
		}
	}
	if r.Counts["sessions paired"] == 0 || r.Counts["GET /qr 200"] == 0 || r.Counts["stream 200"] == 0 || r.Counts["page 200"] == 0 {
		t.Errorf("something did not happen: %v", r.Counts)
	}
	dir := t.TempDir()
	if err := r.write(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"SOAK.md", "images/soak.svg"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() < 1000 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTrend_FindsGrowth(t *testing.T) {
	flat := make([]sample, 100)
	for i := range flat {
		flat[i].At, flat[i].Values[goroutines] = time.Duration(i)*time.Minute, float64(5000+i%7)
	}
	if got := trendOf(flat, goroutines); got.grows(allSeries[goroutines]) {
		t.Errorf("a flat series grows: %+v", got)
	}
	for i := range flat {
		flat[i].Values[goroutines] += float64(20 * i)
	}
	got := trendOf(flat, goroutines)
	if !got.grows(allSeries[goroutines]) || got.perHour < 1190 || got.perHour > 1210 {
		t.Errorf("a series that grows by 20 a minute is flat: %+v", got)
	}
}
