package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// timeScale is how many times faster than real time the drill runs.
type timeScale int

func (s settings) timeScale() timeScale {
	if s.Short {
		return 10
	}
	return 1
}

// of converts a real duration to the drill's.
func (p timeScale) of(d time.Duration) time.Duration { return d / time.Duration(p) }

// realTime converts a duration of the drill to real time.
func (p timeScale) realTime(d time.Duration) time.Duration { return d * time.Duration(p) }

var (
	// delay matches the durations of rules and routes.
	delay = regexp.MustCompile(`(?m)^(\s*(?:- )?(?:for|keep_firing_for|interval|group_wait|group_interval|repeat_interval|resolve_timeout): )(\d+)([smhd])[ \t]*$`)
	// window matches the ranges of PromQL.
	window = regexp.MustCompile(`(\[)(\d+)([smhd])\]`)
	// spelledOut matches a long window in seconds, with which the recording rules turn a rate into an increase.
	spelledOut = regexp.MustCompile(`\b(3600|21600|86400|259200) \* \(`)
)

// shorten divides every duration of rules or routes. Thresholds stay, because the events come as much more often.
func (p timeScale) shorten(text string) string {
	if p == 1 {
		return text
	}
	text = delay.ReplaceAllStringFunc(text, func(m string) string {
		parts := delay.FindStringSubmatch(m)
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

// span returns a shorter duration in Prometheus' syntax.
func (p timeScale) span(count, unit string) string {
	n, err := strconv.Atoi(count)
	if err != nil {
		return count + unit
	}
	each := map[string]int{"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}[unit]
	return strconv.Itoa(n*each/int(p)) + "ms"
}
