package proxy

import (
	"net/http"
	"testing"
	"time"

	"qrgate/compat"
	"qrgate/internal/session"
)

// A 429 of the engine states when its window ends, even if the engine itself does not say so.
func TestRetryAfterReset(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	limited := func(header ...string) compat.Response {
		h := http.Header{}
		for i := 0; i < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return compat.Response{Status: http.StatusTooManyRequests, Header: h, At: at}
	}
	ok := limited("X-RateLimit-Limit", "30", "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "40")
	ok.Status = http.StatusOK
	for name, test := range map[string]struct {
		response compat.Response
		want     time.Duration
	}{
		"a known reset":  {limited("X-RateLimit-Limit", "30", "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "40"), 40 * time.Second},
		"calls are left": {limited("X-RateLimit-Limit", "30", "X-RateLimit-Remaining", "5", "X-RateLimit-Reset", "40"), time.Second},
		"nothing known":  {limited(), time.Second},
		"no 429":         {ok, 0},
	} {
		if got := retryAfterReset(test.response); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

// The response to a key whose rate limit is used up states that: the engine got no call, so it did not time out.
func TestNotAuthorized_NamesWhyTheEngineWasNotAsked(t *testing.T) {
	t.Parallel()
	if r := notAuthorized(&session.Snapshot{RateLimitWait: 17 * time.Second}); r.status != http.StatusTooManyRequests ||
		r.code != compat.CodeRateLimitExceeded || r.retryAfter != 17*time.Second {
		t.Errorf("a used-up limit: %+v", r)
	}
	failed := session.Snapshot{RateLimitWait: 17 * time.Second}
	failed.Session.Failure = session.FailureStreak{Op: session.OpQR, Kind: session.KindUnreachable, LastAt: time.Now()}
	if r := notAuthorized(&failed); r.status != http.StatusServiceUnavailable {
		t.Errorf("a failed call: %+v", r)
	}
}
