package proxy_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/proxy"
)

func TestParseWait(t *testing.T) {
	t.Parallel()
	wait := func(seconds int) session.WaitPreference {
		return session.WaitPreference{Set: true, For: time.Duration(seconds) * time.Second}
	}
	for _, c := range []struct {
		query  string
		prefer []string
		want   session.WaitPreference
		ok     bool
	}{
		{"", nil, session.WaitPreference{}, true},
		{"wait=0", nil, wait(0), true},
		{"wait=9&x=1", nil, wait(9), true},
		{"wait=61", nil, wait(61), true},
		{"wait=65536", nil, wait(65535), true}, // more than sixty count as sixty
		{"wait=", nil, wait(0), false},
		{"wait=-1", nil, wait(0), false},
		{"wait=1.5", nil, wait(0), false},
		{"wait=%39", nil, wait(9), true},
		{"wait=1&wait=2", nil, wait(1), true},
		{"", []string{"wait=9"}, wait(9), true},
		{"", []string{`WAIT = "9"`}, wait(9), true},
		{"", []string{"respond-async, wait=9"}, wait(9), true},
		{"", []string{"respond-async;wait=9"}, wait(9), true},
		{"", []string{"return=minimal", "wait=9"}, wait(9), true},
		{"", []string{"wait=soon"}, session.WaitPreference{}, true},
		{"", []string{"wait"}, session.WaitPreference{}, true},
		{"", []string{"awaiting=9"}, session.WaitPreference{}, true},
		{"wait=1", []string{"wait=9"}, wait(1), true},
	} {
		r, _ := http.NewRequest("GET", "http://qrgate.test/x?"+c.query, nil)
		r.Header["Prefer"] = c.prefer
		got, ok := proxy.ParseWait(r)
		if ok != c.ok || ok && got != c.want {
			t.Errorf("%q %q: %v %t, want %v %t", c.query, c.prefer, got, ok, c.want, c.ok)
		}
	}
}

// The list's query as the engine receives it (contract C12, C13).
func TestClampLimit(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]struct {
		query       string
		page, limit int
	}{
		"":                             {"", 1, 100},
		"limit=100":                    {"limit=100", 1, 100},
		"limit=101":                    {"limit=100", 1, 100},
		"page=2&limit=200":             {"limit=100&page=2", 2, 100},
		"limit=99999999999999999999":   {"limit=100", 1, 100},
		"limit=-1":                     {"limit=-1", 1, 100},
		"limit=x":                      {"limit=x", 1, 100},
		"page=0&limit=20&status=qr":    {"page=0&limit=20&status=qr", 1, 20},
		"status=a%zz&limit=200":        {"status=a%zz&limit=200", 1, 100},
		"a;b&limit=200":                {"a;b&limit=200", 1, 100},
		"page=99999999999999999999999": {"page=99999999999999999999999", 1, 100},
	} {
		query, page, limit := proxy.ClampLimit(raw)
		if query != want.query || page != want.page || limit != want.limit {
			t.Errorf("%q: %q %d %d, want %q %d %d", raw, query, page, limit, want.query, want.page, want.limit)
		}
	}
}

func TestQRStatusOf(t *testing.T) {
	t.Parallel()
	at := func(s string) *string { return &s }
	ref := session.Ref{ID: 61, Name: "crm-1"}
	wrong := diagnosis.New(diagnosis.QRNotEmitted, "evidence")
	for name, c := range map[string]struct {
		view *session.Snapshot
		want proxy.QRStatus
	}{
		"nothing": {&session.Snapshot{Session: session.Session{State: session.Unknown}}, proxy.QRStatus{SessionID: "asked", State: "unknown", Status: "disconnected", RetryAfter: 2}},
		"connecting": {&session.Snapshot{Session: session.Session{Ref: ref, State: session.Connecting, Since: noon, Polls: 3}},
			proxy.QRStatus{ID: 61, SessionID: "crm-1", State: "connecting", Status: "connecting", Attempts: 3, Since: at("2025-11-06T12:00:00.429Z"), RetryAfter: 2}},
		"queued": {&session.Snapshot{Session: session.Session{Ref: ref, State: session.Connecting}, QueuePosition: 3, RateLimitWait: 7500 * time.Millisecond},
			proxy.QRStatus{ID: 61, SessionID: "crm-1", State: "connecting", Status: "connecting", RetryAfter: 7, Queue: &proxy.Queue{Place: 3, Wait: 7}}},
		"a code": {&session.Snapshot{Session: session.Session{Ref: ref, State: session.AwaitingScan, Sequence: 1, QR: shown(0, 0)}, Ready: true},
			proxy.QRStatus{ID: 61, SessionID: "crm-1", State: "awaiting_scan", Status: "qr_code", Ready: true, Sequence: 1,
				GeneratedAt: at("2025-11-06T12:00:00.429Z"), ExpiresAt: at("2025-11-06T12:01:00.429Z"), ExpiresIn: 60}},
		"an older code": {&session.Snapshot{Session: session.Session{Ref: ref, State: session.AwaitingScan, Sequence: 1, QR: shown(30*time.Second, 9*time.Second)}, Ready: true},
			proxy.QRStatus{ID: 61, SessionID: "crm-1", State: "awaiting_scan", Status: "qr_code", Ready: true, Sequence: 1,
				GeneratedAt: at("2025-11-06T11:59:30.429Z"), ExpiresAt: at("2025-11-06T12:00:30.429Z"), ExpiresIn: 30}},
		"an expired code": {&session.Snapshot{Session: session.Session{Ref: ref, State: session.AwaitingScan, Sequence: 1, QR: shown(time.Hour, time.Hour)}},
			proxy.QRStatus{ID: 61, SessionID: "crm-1", State: "awaiting_scan", Status: "qr_code", Sequence: 1, RetryAfter: 2}},
		"connected": {&session.Snapshot{Session: session.Session{Ref: ref, State: session.Connected}},
			proxy.QRStatus{ID: 61, SessionID: "crm-1", State: "connected", Status: "connected"}},
		"with a diagnosis": {&session.Snapshot{Session: session.Session{Ref: ref, State: session.Failed}, Diagnosis: wrong},
			proxy.QRStatus{ID: 61, SessionID: "crm-1", State: "failed", Status: "error", RetryAfter: 2, Diagnosis: &wrong}},
	} {
		c.view.At = noon
		if diff := cmp.Diff(c.want, proxy.QRStatusOf(c.view, "asked")); diff != "" {
			t.Errorf("%s\n%s", name, diff)
		}
	}
}

func TestKeepsHeader(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"X-RateLimit-Remaining": true, "RateLimit-Reset": true, "Retry-After": true, "Strict-Transport-Security": true, "Access-Control-Allow-Origin": true, "Set-Cookie": true,
		"ETag": false, "Content-Length": false, "Content-Encoding": false, "Cache-Control": false, "Last-Modified": false, "Location": false, "Transfer-Encoding": false,
		"Date": false, "X-Request-Id": false, "Content-Type": false,
	} {
		if got := proxy.KeepsHeader(name); got != want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
