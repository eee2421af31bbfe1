package main

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestQuantile(t *testing.T) {
	t.Parallel()
	values := []int{9, 1, 5, 3, 7}
	for q, want := range map[float64]int{0: 1, 0.5: 5, 0.99: 9, 1: 9} {
		if got := quantile(values, q); got != want {
			t.Errorf("quantile %v is %d, want %d", q, got, want)
		}
	}
	if got := quantile([]int(nil), 0.5); got != 0 {
		t.Errorf("of nothing: %d", got)
	}
}

// A median must not sort what ratios pair by position.
func TestMedian_KeepsOrder(t *testing.T) {
	t.Parallel()
	values := []float64{3, 1, 2}
	if got := median(values); got != 2 {
		t.Errorf("median %v", got)
	}
	if diff := cmp.Diff([]float64{3, 1, 2}, values); diff != "" {
		t.Error(diff)
	}
}

func TestRatios(t *testing.T) {
	t.Parallel()
	got := ratios([]float64{2, 9, 0, 8}, []float64{4, 0, 5, 2})
	if diff := cmp.Diff([]float64{0.5, 4}, got); diff != "" {
		t.Error(diff)
	}
	if got := spread(got); got != "4.00  [0.50 … 4.00]" {
		t.Error(got)
	}
	if got := spread(nil); got != "–" {
		t.Error(got)
	}
}

func TestLognormal(t *testing.T) {
	t.Parallel()
	times := lognormal(1001, 1520*time.Millisecond, 5140*time.Millisecond)
	for q, want := range map[float64]time.Duration{0.5: 1520 * time.Millisecond, 0.95: 5140 * time.Millisecond, 0.99: 8500 * time.Millisecond} {
		if got := quantile(times, q); math.Abs(float64(got-want))/float64(want) > 0.02 {
			t.Errorf("quantile %v is %v, want about %v", q, got, want)
		}
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	x := table{title: "animals", head: []string{"name", "legs"}}
	x.add("spider", "8")
	x.write(&b)
	if want := "\nanimals\n\n name     legs\n spider   8\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}

func TestResults(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(s float64) time.Time { return began.Add(time.Duration(s * float64(time.Second))) }
	var h results
	h.take(asked{got: at(2), tries: 1}, began, at(1.5))
	h.take(asked{got: at(5), tries: 2, fives: 1}, began, at(-1)) // the code was there before anybody asked
	h.take(asked{tries: 3, fives: 3}, began, time.Time{})
	want := results{clients: 3, first: 1, got: 2, fives: 4,
		took: []time.Duration{2 * time.Second, 5 * time.Second}, added: []time.Duration{500 * time.Millisecond, 5 * time.Second}}
	if diff := cmp.Diff(want, h, cmp.AllowUnexported(results{})); diff != "" {
		t.Error(diff)
	}
}

func TestProc(t *testing.T) {
	t.Parallel()
	stat := "17 (a (b) c) S 1 17 17 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 8 0 1 1 1"
	if got := cpuIn(stat); got != 3*time.Second {
		t.Errorf("processor time %v, want 3s", got)
	}
	if got := cpuIn("17"); got != 0 {
		t.Errorf("of a line that ends early: %v", got)
	}
	if got := rssIn("VmPeak:\t  900 kB\nVmRSS:\t    2048 kB\nThreads:\t8\n"); got != 2<<20 {
		t.Errorf("resident %d, want 2 MiB", got)
	}
	if got := rssIn("Threads:\t8\n"); got != 0 {
		t.Errorf("of nothing: %d", got)
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	env := []string{"HOME=x", "OTEL_SERVICE_NAME=y", "OTEL_TRACES_SAMPLER=always_on"}
	if diff := cmp.Diff([]string{"HOME=x"}, environment(env, "")); diff != "" {
		t.Error(diff)
	}
	traced := strings.Join(environment(env, "http://127.0.0.1:1"), " ")
	if !strings.Contains(traced, "ENDPOINT=http://127.0.0.1:1") || !strings.Contains(traced, "_ARG=0.1") || strings.Contains(traced, "always_on") {
		t.Error(traced)
	}
}
