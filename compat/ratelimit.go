package compat

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"qrgate/internal/session"
)

// maxReset bounds how far ahead an engine may move the end of its window.
const maxReset = time.Hour

// RateLimits reads what an engine says of its budget, in the two forms that were recorded side by side
// (contract 1.4): X-RateLimit-Reset is a UNIX second, RateLimit-Reset counts seconds. The engine's own
// Date stands for its clock; now stands in where there is none.
func RateLimits(h http.Header, now time.Time) []session.RateLimit {
	clock := EngineClock(h, now)
	var out []session.RateLimit
	if l, ok := limit(h, "X-RateLimit-"); ok {
		if l.Reset > maxReset { // a UNIX second
			l.Reset = time.Unix(int64(l.Reset/time.Second), 0).Sub(clock)
		}
		out = append(out, clamp(l))
	}
	if l, ok := limit(h, "RateLimit-"); ok {
		out = append(out, clamp(l))
	}
	return out
}

func limit(h http.Header, prefix string) (session.RateLimit, bool) {
	most, err1 := leadingInt(h.Get(prefix + "Limit"))
	left, err2 := leadingInt(h.Get(prefix + "Remaining"))
	reset, err3 := leadingInt(h.Get(prefix + "Reset"))
	if err1 != nil || err2 != nil || err3 != nil || most <= 0 || left < 0 || reset < 0 {
		return session.RateLimit{}, false
	}
	return session.RateLimit{Max: int(most), Remaining: int(left), Reset: time.Duration(reset) * time.Second}, true
}

// leadingInt takes "30" and "30, 30;w=60" alike.
func leadingInt(text string) (int64, error) {
	text, _, _ = strings.Cut(text, ",")
	text, _, _ = strings.Cut(text, ";")
	return strconv.ParseInt(strings.TrimSpace(text), 10, 33)
}

func clamp(l session.RateLimit) session.RateLimit {
	l.Reset = min(max(l.Reset, 0), maxReset)
	l.Remaining = min(l.Remaining, l.Max)
	return l
}

// RetryAfter reads the Retry-After header in either form, at most an hour; 0 if there is none.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if n, err := strconv.ParseInt(text, 10, 33); err == nil {
		return min(max(time.Duration(n)*time.Second, 0), maxReset)
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(at.Sub(EngineClock(h, now)), 0), maxReset)
	}
	return 0
}

// EngineClock is the time at the engine when it answered: its Date header, or now if that is missing.
func EngineClock(h http.Header, now time.Time) time.Time {
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		return date
	}
	return now
}
