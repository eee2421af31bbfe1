package proxy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"qrgate/internal/session"
)

// Decisions that the tests check directly.
var (
	IsRequestID = isRequestID
	ParseWait   = parseWait
	ClampLimit  = clampLimit
)

// ParseTarget is the raw and the decoded path of a request target.
func ParseTarget(target string) (raw, path, problem string) {
	t, text := parseTarget(target, true)
	return t.raw, t.path, text
}

// SetLimits replaces the limits that are not 0.
func (c *Config) SetLimits(passThroughBody, sessionBody int64, sessionBodyTimeout, idleTimeout time.Duration) {
	c.limits = c.withDefaults().limits
	if passThroughBody > 0 {
		c.limits.passThroughBody = passThroughBody
	}
	if sessionBody > 0 {
		c.limits.sessionBody = sessionBody
	}
	if sessionBodyTimeout > 0 {
		c.limits.sessionBodyTimeout = sessionBodyTimeout
	}
	if idleTimeout > 0 {
		c.limits.idleTimeout = idleTimeout
	}
}

// ScanHeader feeds a connection's bytes to a headScanner in pieces of the given size and returns what it found.
func ScanHeader(bytes string, piece int) (ambiguous, chunked bool) {
	var s headScanner
	for len(bytes) > 0 {
		n := min(piece, len(bytes))
		s.scan([]byte(bytes[:n]))
		bytes = bytes[n:]
	}
	return s.ambiguous.Load(), s.chunked.Load()
}

// ClassifyError prints the response to a failed call.
func ClassifyError(err, client, cause error) string {
	r := transportProblem(err, client, cause)
	return fmt.Sprintf("{%d %s", r.status, r.code)
}

// CachedOrigins is the number of origins in the CORS cache.
func CachedOrigins(h *Handler) int {
	return h.cors.Len()
}

// Response is a response as the tests compare it.
type Response struct {
	Status int
	Code   string
	Retry  time.Duration
	Body   map[string]any
}

// DecideQR is the response to a request for the QR.
func DecideQR(v *session.Snapshot, err error, now time.Time) Response {
	r := decideQR(v, err, now)
	body, _ := r.problemBody("en", now)
	parts := [3][]byte{}
	if r.prepared != nil {
		parts = (&responseWriter{}).encode(&r)
	} else {
		parts[0], _ = json.Marshal(body)
	}
	out := Response{Status: r.status, Code: r.code, Retry: r.retryAfter}
	_ = json.Unmarshal(slices.Concat(parts[:]...), &out.Body)
	return out
}

// QRStatusOf is the status of a snapshot.
func QRStatusOf(v *session.Snapshot, id string) QRStatus { return qrStatusOf(v, id, v.At) }

// KeepsHeader reports whether a header of the engine's response is kept.
func KeepsHeader(name string) bool { return keepsHeader(http.CanonicalHeaderKey(name)) }

// DelayNextWrite is what a QR's response does to its connection.
func DelayNextWrite(r *http.Request) { connOf(r).delayNextWrite() }
