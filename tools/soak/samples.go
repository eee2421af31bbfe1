package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"qrgate/internal/test/redistest"
	"qrgate/tools/rig"
)

// sample is the state of everything at one time.
type sample struct {
	At     time.Duration // since the begin
	Values [seriesCount]float64
	Kinds  map[string]int // numbers of Redis keys
}

// The series of a sample. Those of the gateways are the sum of both.
const (
	resident = iota // bytes
	heap            // bytes of live objects: after a collection
	goroutines
	descriptors
	redisKeys
	redisMemory // bytes
	seriesCount
)

// series describes one, and how much of growth between two medians is none.
type series struct {
	name, metric string // metric of the gateways; "" for Redis
	unit         float64
	margin       float64 // in units, besides a tenth
}

const mib = 1 << 20

var allSeries = [seriesCount]series{
	resident:    {"resident memory, MiB", "process_resident_memory_bytes", mib, 16},
	heap:        {"live heap, MiB", "go_memstats_heap_alloc_bytes", mib, 16},
	goroutines:  {"goroutines", "go_goroutines", 1, 100},
	descriptors: {"open descriptors", "process_open_fds", 1, 100},
	redisKeys:   {"Redis keys without revocations", "", 1, 100},
	redisMemory: {"Redis memory, MiB", "", mib, 1},
}

// takeSample reads the metrics of the gateways and of Redis.
func takeSample(at time.Duration, gateways []*rig.Replica, redis *redistest.Server) (s sample, err error) {
	defer rig.Recover(&err)
	s.At = at
	for _, gateway := range gateways {
		if _, err := gateway.Get("/debug/pprof/heap?gc=1"); err != nil { // collects the garbage
			return s, fmt.Errorf("garbage collection of a gateway: %w", err)
		}
		text, err := gateway.Get("/metrics")
		if err != nil {
			return s, fmt.Errorf("metrics of a gateway: %w", err)
		}
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(strings.NewReader(text))
		if err != nil {
			return s, fmt.Errorf("metrics of a gateway: %w", err)
		}
		for i, series := range allSeries {
			if series.metric == "" {
				continue
			}
			family := families[series.metric]
			if family == nil {
				return s, fmt.Errorf("a gateway has no metric %s", series.metric)
			}
			s.Values[i] += family.GetMetric()[0].GetGauge().GetValue() / series.unit
		}
	}
	if s.Kinds, err = countKeys(redis); err != nil {
		return s, err
	}
	keys := -s.Kinds[revocations]
	for _, n := range s.Kinds {
		keys += n
	}
	_, memory, _ := strings.Cut(redis.Command("INFO", "memory"), "used_memory:")
	memory, _, _ = strings.Cut(memory, "\r\n")
	used, err := strconv.ParseFloat(memory, 64)
	if err != nil {
		return s, fmt.Errorf("memory of Redis: %w", err)
	}
	s.Values[redisKeys], s.Values[redisMemory] = float64(keys), used/allSeries[redisMemory].unit
	return s, nil
}

// String is one line with all values.
func (s sample) String() string {
	var parts []string
	for i, series := range allSeries {
		parts = append(parts, fmt.Sprintf("%s %.0f", series.name, s.Values[i]))
	}
	return strings.Join(parts, ", ")
}

// kinds are the kinds of Redis keys by the end of a key.
var kinds = map[string]string{
	"st": "sessions, and tombstones of deleted ones", "qr": "codes, and their tombstones", "id": "ids of sessions",
	"rl": "rate limits of keys", "lk": "leases", "ln": "pairing links", revocations: "revocations of pairing links",
}

// revocations are the keys that live longer than a run of half an hour: for 31 minutes.
const revocations = "rv"

// countSource returns one line for each ending of a key: the ending and the number of keys.
const countSource = `
local counts, lines = {}, {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local kind = string.match(key, '.*:(.*)')
  counts[kind] = (counts[kind] or 0) + 1
end
for kind, n in pairs(counts) do table.insert(lines, kind .. ' ' .. n) end
return table.concat(lines, '\n')`

// countKeys counts the keys of each kind.
func countKeys(redis *redistest.Server) (map[string]int, error) {
	counts := map[string]int{}
	for line := range strings.Lines(redis.Command("EVAL", countSource, "0")) {
		kind, number, _ := strings.Cut(strings.TrimSpace(line), " ")
		if kind == "" {
			continue
		}
		n, err := strconv.Atoi(number)
		if err != nil {
			return nil, fmt.Errorf("numbers of Redis keys: %w", err)
		}
		if kinds[kind] == "" {
			kind = "other"
		}
		counts[kind] += n
	}
	return counts, nil
}

// warmUp is the part of a run that is left out of the verdict. Records of sessions and links live for 15 minutes, and
// caches fill: only then does Redis lose as many keys as it gets.
func warmUp(run time.Duration) time.Duration { return min(16*time.Minute, run*8/15) }

// trend compares the begin and the end of a series after the warm-up.
type trend struct {
	early, late float64 // medians of the first and the last third
	highest     float64
	perHour     float64 // slope of the least-squares line
}

func trendOf(samples []sample, i int) trend {
	start := warmUp(samples[len(samples)-1].At)
	samples = slices.DeleteFunc(slices.Clone(samples), func(s sample) bool { return s.At < start })
	values := make([]float64, len(samples))
	for at, s := range samples {
		values[at] = s.Values[i]
	}
	third := max(len(values)/3, 1)
	return trend{
		early: median(values[:third]), late: median(values[len(values)-third:]), highest: slices.Max(values),
		perHour: slope(samples, values),
	}
}

// slope is the growth per hour of the least-squares line through values.
func slope(samples []sample, values []float64) float64 {
	var meanX, meanY float64
	for i, s := range samples {
		meanX += s.At.Hours() / float64(len(samples))
		meanY += values[i] / float64(len(samples))
	}
	var xy, xx float64
	for i, s := range samples {
		dx := s.At.Hours() - meanX
		xy, xx = xy+dx*(values[i]-meanY), xx+dx*dx
	}
	if xx == 0 {
		return 0
	}
	return xy / xx
}

// grows reports whether the end is above the begin by more than a tenth and the margin.
func (t trend) grows(s series) bool { return t.late > t.early*1.1+s.margin }

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
