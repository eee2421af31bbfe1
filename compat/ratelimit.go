package compat

import (
	"cmp"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"qrgate/internal/session"
)

// maxReset bounds when a window may end.
const maxReset = time.Hour

// separateFamilies are the prefixes of limits in three headers: Limit, Remaining and Reset.
var separateFamilies = []string{"X-RateLimit-", "X-Rate-Limit-", "RateLimit-"}

// RateLimits reads the rate limits that an engine reports: in three headers of the X-RateLimit family or of the IETF
// draft, or in the one RateLimit header of its later versions. Engines send several families together (contract 1.4).
// The clock is the engine's own Date, or now.
func RateLimits(h http.Header, now time.Time) []session.RateLimit {
	clock := EngineClock(h, now)
	var out []session.RateLimit
	for _, prefix := range separateFamilies {
		out = appendRateLimit(out, h.Get(prefix+"Limit"), h.Get(prefix+"Remaining"), h.Get(prefix+"Reset"), clock)
	}
	policies := members(h.Values("RateLimit-Policy"))
	for _, m := range members(h.Values("RateLimit")) {
		quota := m.parameters["q"]
		for _, policy := range policies {
			if quota == "" && policy.name == m.name {
				quota = policy.parameters["q"]
			}
		}
		left := m.parameters["r"]
		out = appendRateLimit(out, cmp.Or(quota, left), left, m.parameters["t"], clock)
	}
	if line := pairs(h.Values("RateLimit")); len(out) == 0 && line["limit"] != "" {
		out = appendRateLimit(out, line["limit"], line["remaining"], line["reset"], clock)
	}
	return out
}

func appendRateLimit(out []session.RateLimit, limit, remaining, reset string, clock time.Time) []session.RateLimit {
	most, err1 := leadingNumber(limit)
	left, err2 := leadingNumber(remaining)
	resetIn, ok := resetAfter(reset, clock)
	isLimit := err1 == nil && err2 == nil && ok && most >= 1 && most <= math.MaxInt32 && left >= 0 // not NaN
	if !isLimit {
		return out
	}
	return append(out, session.RateLimit{Max: int(most), Remaining: int(min(left, most)), Reset: resetIn})
}

// member is one item of the RateLimit or RateLimit-Policy header since draft 08: "name";r=29;t=31.
type member struct {
	name       string
	parameters map[string]string
}

func members(values []string) (out []member) {
	for item := range strings.SplitSeq(strings.Join(values, ","), ",") {
		name, parameters, found := strings.Cut(strings.TrimSpace(item), ";")
		if found && !strings.Contains(name, "=") {
			out = append(out, member{name, pairs([]string{parameters})})
		}
	}
	return out
}

// pairs reads "limit=30, remaining=29, reset=31" of the drafts before 08, and the parameters of a member.
func pairs(values []string) map[string]string {
	out := map[string]string{}
	isSeparator := func(r rune) bool { return r == ',' || r == ';' }
	for pair := range strings.FieldsFuncSeq(strings.Join(values, ","), isSeparator) {
		name, value, _ := strings.Cut(pair, "=")
		out[strings.ToLower(strings.TrimSpace(name))] = strings.TrimSpace(value)
	}
	return out
}

// leadingNumber reads "30", "30, 30;w=60" and "1762410821.5".
func leadingNumber(text string) (float64, error) {
	text, _, _ = strings.Cut(text, ",")
	text, _, _ = strings.Cut(text, ";")
	return strconv.ParseFloat(strings.TrimSpace(text), 64)
}

// resetAfter reads the end of a window as the time from clock until then, between 0 and maxReset. Engines write seconds
// or milliseconds, until the end or as UNIX time, a duration with its unit, or a date. A number of seconds beyond
// maxReset that is no present UNIX time is taken as milliseconds: a window that is believed to end too early costs one
// refused call, one that is believed to end too late costs an hour.
func resetAfter(text string, clock time.Time) (time.Duration, bool) {
	text = strings.TrimSpace(text)
	n, err := leadingNumber(text)
	untilUnix := n - float64(clock.UnixMilli())/1000
	switch date, isDate := parseDate(text); {
	case isDate:
		return clampReset(date.Sub(clock).Seconds()), true
	case err != nil:
		d, err := time.ParseDuration(text)
		return clampReset(d.Seconds()), err == nil && d >= 0
	case n < 0 || math.IsNaN(n):
		return 0, false
	case n <= maxReset.Seconds():
		return clampReset(n), true
	case n < 1e9 && math.Abs(untilUnix) > 24*time.Hour.Seconds():
		return clampReset(n / 1000), true
	case n < 1e11:
		return clampReset(untilUnix), true
	}
	return clampReset((n - float64(clock.UnixMilli())) / 1000), true
}

func parseDate(text string) (time.Time, bool) {
	if at, err := http.ParseTime(text); err == nil {
		return at, true
	}
	at, err := time.Parse(time.RFC3339, text)
	return at, err == nil
}

func clampReset(seconds float64) time.Duration {
	return time.Duration(min(max(seconds, 0), maxReset.Seconds()) * float64(time.Second))
}

// RetryAfter reads the Retry-After header as resetAfter does: at most an hour, 0 if there is none.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	if n, err := strconv.ParseFloat(strings.TrimSpace(h.Get("Retry-After")), 64); err == nil && n < 1e9 {
		return clampReset(n) // always seconds
	}
	in, _ := resetAfter(h.Get("Retry-After"), EngineClock(h, now))
	return in
}

// EngineClock is the engine's time of a response: its Date header, or now if that is missing. A cache in front of the
// engine leaves that header as it was.
func EngineClock(h http.Header, now time.Time) time.Time {
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		return date.Add(ageOf(h))
	}
	return now
}

// ageOf is how long a cache in front of the engine has had a response, by its Age header; an hour at most.
func ageOf(h http.Header) time.Duration {
	seconds, _ := strconv.ParseUint(strings.TrimSpace(h.Get("Age")), 10, 31) // 0 if there is none
	return clampReset(float64(seconds))
}

// ExpiryClock is the latest that the engine's time of a response can be: its Date header has whole seconds. While the
// clocks agree within those, qrgate's own time is exact. A code is not shown after its end.
func ExpiryClock(h http.Header, now time.Time) time.Time {
	date := EngineClock(h, now)
	if late := now.Sub(date); late >= 0 && late < dateSlack {
		return now
	}
	return date.Add(time.Second)
}

// dateSlack is how old the Date header of a response may be without a difference between the clocks.
const dateSlack = 1500 * time.Millisecond
