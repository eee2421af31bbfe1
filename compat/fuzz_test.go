package compat_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"qrgate/compat"
	"qrgate/internal/session"
)

// Whatever an engine writes into its headers, a limit is one that the limiter can use.
func FuzzRateLimits(f *testing.F) {
	f.Add("30", "26", "1762410821", "", "")
	f.Add("30, 30;w=60", "5", "40.5", `"session";r=29;t=31`, `"session";q=30;w=60`)
	f.Add("99999999999999999999", "-1", "NaN", "limit=30, remaining=29, reset=31", "30")
	f.Add("1", "1e309", "Thu, 06 Nov 2025 07:33:01 GMT", ";r=", "Inf")
	now := time.Date(2025, 11, 6, 6, 33, 1, 0, time.UTC)
	f.Fuzz(func(t *testing.T, limit, remaining, reset, line, retryAfter string) {
		h := http.Header{"X-Ratelimit-Limit": {limit}, "X-Ratelimit-Remaining": {remaining}, "X-Ratelimit-Reset": {reset},
			"Ratelimit": {line}, "Ratelimit-Policy": {retryAfter}, "Retry-After": {retryAfter}, "Date": {reset}}
		for _, l := range compat.RateLimits(h, now) {
			if l.Max < 1 || l.Remaining < 0 || l.Remaining > l.Max || l.Reset < 0 || l.Reset > time.Hour {
				t.Errorf("%+v", l)
			}
		}
		if d := compat.RetryAfter(h, now); d < 0 || d > time.Hour {
			t.Errorf("Retry-After %v", d)
		}
	})
}

// Whatever an engine responds, it is normalized to JSON whose states are those of the documented API.
func FuzzParseAndNormalize(f *testing.F) {
	for _, body := range []string{
		`{"success":true,"data":{"session":{"id":81,"sessionId":"crm-1","status":"connecting"}}}`,
		`{"data":{"id":"81","sessionId":81,"status":"QR_CODE","isConnected":1,"qrCode":"data:image/png;base64,AA=="}}`,
		`{"data":[{"id":9007199254740993,"status":null,"qrCodeExpiresAt":1762410821}]}`,
		`{"success":false,"error":{"code":"X"},"data":{"session":[]}}`,
		`[]`, `{"data":{"status":{}}}`, "{\"data\":\"\xff\"}", ``,
	} {
		f.Add([]byte(body))
	}
	now := time.Date(2025, 11, 6, 6, 33, 1, 0, time.UTC)
	f.Fuzz(func(t *testing.T, raw []byte) {
		body, err := compat.Parse(raw)
		if err != nil {
			return
		}
		item := compat.SessionOf(body)
		report, err := compat.ParseSession(item, now, now)
		if err == nil && report.Ref.ID < 0 {
			t.Errorf("the id %d", report.Ref.ID)
		}
		out, err := json.Marshal(compat.Normalize(item, &session.Snapshot{}, now))
		if err != nil || !json.Valid(out) {
			t.Errorf("%q: %v", out, err)
		}
	})
}
