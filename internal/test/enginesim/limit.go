package enginesim

import (
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Limits are the two limiters that were seen working at once (1.4). A limiter without a Max is off.
type Limits struct {
	General  Limit // every request but a preflight; RateLimit-* headers
	Sessions Limit // session routes, shared by all sessions of a key; X-RateLimit-* headers
	// GeneralByAddress counts General by the first X-Forwarded-For entry, or else the peer's
	// address, instead of by key.
	GeneralByAddress bool
	// RetryAfter adds that header, in seconds, to a refusal. None was ever recorded.
	RetryAfter bool
}

// Limit allows Max requests in each fixed Window, which begins with the first request in it.
type Limit struct {
	Max    int
	Window time.Duration
}

// RecordedLimits are the live engine's: 1000 in 15 minutes, and 30 session calls a minute.
func RecordedLimits() Limits {
	return Limits{General: Limit{1000, 15 * time.Minute}, Sessions: Limit{30, time.Minute}}
}

type window struct {
	ends  time.Time
	count int
}

// spend counts one request. It returns how many are left and how long the window still lasts, and reports
// false when the request is one too many.
func (e *Engine) spend(name string, l Limit) (left int, rest time.Duration, ok bool) {
	if e.windows == nil {
		e.windows = make(map[string]window)
	}
	now := e.now()
	w := e.windows[name]
	if !now.Before(w.ends) {
		w = window{ends: now.Add(l.Window)}
	}
	w.count++
	e.windows[name] = w
	return max(0, l.Max-w.count), w.ends.Sub(now), w.count <= l.Max
}

func (e *Engine) limitGeneral(h http.Header, r *http.Request) bool {
	l := e.Limits.General
	if l.Max == 0 {
		return true
	}
	who := r.Header.Get("X-API-Key")
	if e.Limits.GeneralByAddress {
		who = address(r)
	}
	left, rest, ok := e.spend("general "+who, l)
	seconds := ceilSeconds(rest)
	h.Set("RateLimit-Policy", strconv.Itoa(l.Max)+";w="+strconv.Itoa(ceilSeconds(l.Window)))
	h.Set("RateLimit-Limit", strconv.Itoa(l.Max))
	h.Set("RateLimit-Remaining", strconv.Itoa(left))
	h.Set("RateLimit-Reset", strconv.Itoa(seconds))
	if !ok && e.Limits.RetryAfter {
		h.Set("Retry-After", strconv.Itoa(seconds))
	}
	return ok
}

func (e *Engine) limitSessions(h http.Header, key string) bool {
	l := e.Limits.Sessions
	if l.Max == 0 {
		return true
	}
	left, rest, ok := e.spend("sessions "+key, l)
	h.Set("X-RateLimit-Limit", strconv.Itoa(l.Max))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(left))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(e.now().Add(rest).Unix(), 10))
	if !ok && e.Limits.RetryAfter {
		h.Set("Retry-After", strconv.Itoa(ceilSeconds(rest)))
	}
	return ok
}

func ceilSeconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

func address(r *http.Request) string {
	if first, _, _ := strings.Cut(r.Header.Get("X-Forwarded-For"), ","); first != "" {
		return strings.TrimSpace(first)
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
