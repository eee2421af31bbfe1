package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// pace is how many times faster than in earnest the drill runs.
type pace int

func (s settings) pace() pace {
	if s.Short {
		return 10
	}
	return 1
}

// of is a span of earnest as long as it lasts in the drill.
func (p pace) of(d time.Duration) time.Duration { return d / time.Duration(p) }

// realTime is how long something in the drill would have lasted.
func (p pace) realTime(d time.Duration) time.Duration { return d * time.Duration(p) }

var (
	// patience fits the durations of rules and routes that stand alone.
	patience = regexp.MustCompile(`(?m)^(\s*(?:- )?(?:for|keep_firing_for|interval|group_wait|group_interval|repeat_interval|resolve_timeout): )(\d+)([smhd])[ \t]*$`)
	// window fits the ranges of PromQL.
	window = regexp.MustCompile(`(\[)(\d+)([smhd])\]`)
	// spelledOut fits a long window in seconds, by which the recordings make an increase of a rate.
	spelledOut = regexp.MustCompile(`\b(3600|21600|86400|259200) \* \(`)
)

// shorten makes every duration of rules or routes so many times shorter. Thresholds stay: the same number of bad
// events, which then come so many times as often.
func (p pace) shorten(text string) string {
	if p == 1 {
		return text
	}
	text = patience.ReplaceAllStringFunc(text, func(m string) string {
		parts := patience.FindStringSubmatch(m)
		return parts[1] + p.span(parts[2], parts[3])
	})
	text = window.ReplaceAllStringFunc(text, func(m string) string {
		parts := window.FindStringSubmatch(m)
		return "[" + p.span(parts[2], parts[3]) + "]"
	})
	return spelledOut.ReplaceAllStringFunc(text, func(m string) string {
		seconds, _, _ := strings.Cut(m, " ")
		n, err := strconv.Atoi(seconds)
		if err != nil {
			return m
		}
		return fmt.Sprintf("%d * (", n/int(p))
	})
}

// span is a shorter duration as Prometheus writes it.
func (p pace) span(count, unit string) string {
	n, err := strconv.Atoi(count)
	if err != nil {
		return count + unit
	}
	each := map[string]int{"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}[unit]
	return strconv.Itoa(n*each/int(p)) + "ms"
}
