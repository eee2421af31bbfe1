package compat

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"qrgate/internal/session"
)

// maxReset bounds when a window may end.
const maxReset = time.Hour

// RateLimits reads the rate limits that an engine reports, in the two forms that engines send together (contract 1.4):
// X-RateLimit-Reset is a UNIX second, RateLimit-Reset counts seconds. The clock is the engine's own Date, or now.
func RateLimits(h http.Header, now time.Time) []session.RateLimit {
	clock := EngineClock(h, now)
	var out []session.RateLimit
	if l, ok := parseRateLimit(h, "X-RateLimit-"); ok {
		if l.Reset > maxReset { // a UNIX second
			l.Reset = time.Unix(int64(l.Reset/time.Second), 0).Sub(clock)
		}
		out = append(out, clamp(l))
	}
	if l, ok := parseRateLimit(h, "RateLimit-"); ok {
		out = append(out, clamp(l))
	}
	return out
}

func parseRateLimit(h http.Header, prefix string) (session.RateLimit, bool) {
	limit, err1 := leadingInt(h.Get(prefix + "Limit"))
	remaining, err2 := leadingInt(h.Get(prefix + "Remaining"))
	reset, err3 := leadingInt(h.Get(prefix + "Reset"))
	if err1 != nil || err2 != nil || err3 != nil || limit <= 0 || remaining < 0 || reset < 0 {
		return session.RateLimit{}, false
	}
	resetIn := time.Duration(reset) * time.Second
	return session.RateLimit{Max: int(limit), Remaining: int(remaining), Reset: resetIn}, true
}

// leadingInt reads "30" and "30, 30;w=60".
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

// RetryAfter reads the Retry-After header in either form: at most an hour, 0 if there is none.
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

// EngineClock is the engine's time of a response: its Date header, or now if that is missing.
func EngineClock(h http.Header, now time.Time) time.Time {
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		return date
	}
	return now
}
