package main

import (
	"fmt"
	"strings"
	"time"
)

// durations reads a list like "60s,20s".
func durations(text string) ([]time.Duration, error) {
	var out []time.Duration
	for part := range strings.SplitSeq(text, ",") {
		d, err := time.ParseDuration(part)
		if err != nil {
			return nil, err
		}
		if d <= 0 {
			return nil, fmt.Errorf("%v is not a life time", d)
		}
		out = append(out, d)
	}
	return out, nil
}
