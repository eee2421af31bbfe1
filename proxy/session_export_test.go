package proxy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"qrgate/internal/session"
)

// Reply is an answer as the tests compare it.
type Reply struct {
	Status int
	Code   string
	Retry  time.Duration
	Body   map[string]any
}

// AnswerQR is what a request for the QR is answered with.
func AnswerQR(v *session.Snapshot, err error, now time.Time) Reply {
	r := answerQR(v, err, now)
	b, _ := json.Marshal(r.body)
	if r.prepared != nil {
		b = fmt.Appendf(nil, "%s%d%s", r.prepared.Head, r.number, r.prepared.Tail)
	}
	out := Reply{Status: r.status, Code: r.code, Retry: r.retry}
	_ = json.Unmarshal(b, &out.Body)
	return out
}

// Decisions of the session routes.
var (
	Wish    = parseWait
	Clamped = clampLimit
)

// ReadinessOf puts a view into words.
func ReadinessOf(v *session.Snapshot, id string) QRStatus { return readiness(v, id, v.At) }

// Kept reports whether a header of the engine's answer is passed on.
func Kept(name string) bool { return keepHeader(http.CanonicalHeaderKey(name)) }
