package enginesim

import (
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Limits are the two rate limits that were observed at once (1.4). A limit without a Max is off.
type Limits struct {
	General  Limit // every request but a preflight; RateLimit-* headers
	Sessions Limit // session routes, shared by all sessions of a key; X-RateLimit-* headers
	// GeneralByAddress counts General by the first X-Forwarded-For entry, or else the peer's
	// address, instead of by key.
	GeneralByAddress bool
	// RetryAfter adds that header, in seconds, to a refusal. No recorded refusal has it.
	RetryAfter bool
}

// Limit allows Max requests in each Window, which starts with its first request.
type Limit struct {
	Max    int
	Window time.Duration
}

// RecordedLimits are the live engine's: 1000 in 15 minutes, and 30 session calls a minute.
func RecordedLimits() Limits {
	return Limits{General: Limit{1000, 15 * time.Minute}, Sessions: Limit{30, time.Minute}}
}

type window struct {
	endsAt time.Time
	count  int
}

// countRequest counts one request. It returns how many requests are left and the time to the end of the window, and
// reports false when the request exceeds the limit.
func (e *Engine) countRequest(name string, l Limit) (left int, rest time.Duration, ok bool) {
	if e.windows == nil {
		e.windows = make(map[string]window)
	}
	now := e.now()
	w := e.windows[name]
	if !now.Before(w.endsAt) {
		w = window{endsAt: now.Add(l.Window)}
	}
	w.count++
	e.windows[name] = w
	return max(0, l.Max-w.count), w.endsAt.Sub(now), w.count <= l.Max
}

func (e *Engine) limitGeneral(h http.Header, r *http.Request) bool {
	l := e.Limits.General
	if l.Max == 0 {
		return true
	}
	who := r.Header.Get("X-API-Key")
	if e.Limits.GeneralByAddress {
		who = clientAddress(r)
	}
	left, rest, ok := e.countRequest("general "+who, l)
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
	left, rest, ok := e.countRequest("sessions "+key, l)
	h.Set("X-RateLimit-Limit", strconv.Itoa(l.Max))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(left))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(e.now().Add(rest).Unix(), 10))
	if !ok && e.Limits.RetryAfter {
		h.Set("Retry-After", strconv.Itoa(ceilSeconds(rest)))
	}
	return ok
}

func ceilSeconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

func clientAddress(r *http.Request) string {
	if first, _, _ := strings.Cut(r.Header.Get("X-Forwarded-For"), ","); first != "" {
		return strings.TrimSpace(first)
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
