package compat_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/compat"
	"qrgate/internal/session"
)

// Operation, status and body together decide the kind (contract 5.1).
func TestEngineError_KindByOperationStatusAndBody(t *testing.T) {
	t.Parallel()
	const own = `{"success":false,"error":"E","code":"C"}`
	for _, c := range []struct {
		op, body string
		status   int
		want     session.ErrorKind
	}{
		{"qr", `{"success":true,"data":{}}`, 200, ""},
		{"qr", `{"data":{}}`, 200, ""},
		{"list", `{"success":true}`, 201, ""},
		{"qr", `{"success":false,"error":"x"}`, 200, session.KindNotReady},
		{"qr", `{"success":false,"error":"x"}`, 202, session.KindNotReady},
		{"qr", `{"success":false,"code":"QR_GENERATION_ERROR"}`, 500, session.KindNotReady},
		{"qr", `{"success":false,"code":"QR_NOT_READY"}`, 503, session.KindNotReady},
		{"qr", `{"success":false,"error":"QR not available"}`, 404, session.KindNotReady},
		{"qr", `{"success":false,"code":"SESSION_NOT_FOUND"}`, 404, session.KindSessionNotFound},
		{"qr", own, 400, session.KindNotReady},
		{"qr", own, 409, session.KindNotReady},
		{"qr", own, 425, session.KindNotReady},
		{"qr", own, 500, session.KindServerError},
		{"qr", own, 503, session.KindServerError},
		{"qr", ``, 204, session.KindNotReady},
		{"qr", `{"success":false,"error":"Session already connected"}`, 400, session.KindAlreadyPaired},
		{"qr", `{"success":false,"code":"SESSION_ALREADY_CONNECTED"}`, 409, session.KindAlreadyPaired},
		{"status", `{"success":false,"code":"SESSION_NOT_FOUND"}`, 404, session.KindSessionNotFound},
		{"connect", `{"success":false,"code":"CONNECTION_ERROR"}`, 500, session.KindServerError},
		{"connect", own, 400, session.KindServerError},
		{"list", own, 401, session.KindKeyRefused},
		{"list", own, 403, session.KindServerError}, // in such words it may refuse anything
		{"list", `{"error":"Forbidden"}`, 403, session.KindKeyRefused},
		{"list", `{}`, 403, session.KindKeyRefused},
		{"list", own, 429, session.KindRateLimited},
		{"list", `Too many requests`, 429, session.KindRateLimited},
		{"list", `Unauthorized`, 401, session.KindBadResponse},
		{"list", `<html>`, 502, session.KindUnreachable},
		{"list", `<html>`, 503, session.KindUnreachable},
		{"list", `<html>`, 504, session.KindTimeout},
		{"connect", ``, 204, ""},
		{"restart", ``, 202, ""},
		{"disconnect", ``, 204, ""},
		{"connect", ``, 200, session.KindBadResponse},
		{"qr", ``, 204, session.KindNotReady},
		{"create", ``, 204, session.KindNotReady},
		{"list", `<html>`, 500, session.KindBadResponse},
		{"list", `<html>`, 200, session.KindBadResponse},
		{"list", ``, 200, session.KindBadResponse},
		{"list", `[]`, 200, session.KindBadResponse},
		{"list", `{}`, 302, session.KindBadResponse},
		{"list", own, 405, session.KindBadResponse},
		{"qr", own, 405, session.KindBadResponse},
		{"connect", own, 501, session.KindBadResponse},
	} {
		f := compat.Response{Status: c.status, Body: []byte(c.body), Complete: true, At: now}.EngineError(c.op)
		var got session.ErrorKind
		if f != nil {
			got = f.Kind
		}
		if got != c.want {
			t.Errorf("%s %d %s: %q, want %q", c.op, c.status, c.body, got, c.want)
		}
	}
}

// A state route may report in words that no phone is paired, as chrishubert/whatsapp-api#376 does.
func TestSessionReport_UnpairedInWords(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]bool{
		`{"success":false,"state":null,"message":"session_not_connected"}`:           true,
		`{"success":false,"error":"The phone is disconnected"}`:                      true,
		`{"success":false,"error":"Sessão não está conectada"}`:                      true,
		`{"success":false,"error":"not found or not connected"}`:                     false,
		`{"success":false,"error":"Database not connected"}`:                         false,
		`{"success":false,"error":"Redis client disconnected"}`:                      false,
		`{"success":false,"error":"MongoNotConnectedError: client is disconnected"}`: false,
		`{"success":false,"error":"session_not_found"}`:                              false,
		`{"success":true,"data":{"status":"connected","isConnected":true}}`:          false,
	} {
		for _, status := range []int{200, 500} {
			r := compat.Response{Status: status, Body: []byte(body), Complete: true, At: now}
			var err error
			if e := r.EngineError(session.OpStatus); e != nil {
				err = e
			}
			isError := status == 500 || !want && strings.Contains(body, "false,")
			report, err := r.SessionReport(session.OpStatus, session.Ref{ID: 1}, err)
			if report.IsUnpaired != want || (err != nil) != isError {
				t.Errorf("%d %s: %t %v", status, body, report.IsUnpaired, err)
			}
		}
	}
}

// A body that exceeds the bound is no response, however it begins.
func TestEngineError_IncompleteBody(t *testing.T) {
	t.Parallel()
	f := compat.Response{Status: 200, Body: []byte(`{"success":true}`), At: now}.EngineError("list")
	if f == nil || f.Kind != session.KindBadResponse {
		t.Errorf("%v", f)
	}
}

// Engines put code and message into several fields.
func TestErrorText(t *testing.T) {
	t.Parallel()
	for body, want := range map[string][2]string{
		`{"error":"E","code":"C"}`:                                    {"C", "E"},
		`{"error":"E","message":"E","code":"C"}`:                      {"C", "E"},
		`{"message":"M","errorCode":"C"}`:                             {"C", "M"},
		`{"error":"Bad Request","message":"M"}`:                       {"", "Bad Request: M"},
		`{"error":{"code":"C","message":"M"}}`:                        {"C", "M"},
		`{"status":false,"err":"E"}`:                                  {"", "E"},
		`{"statusCode":400,"error":"Bad Request","message":["M"]}`:    {"", "Bad Request: M"},
		`{"error":"E","code":"no code at all"}`:                       {"", "E"},
		`{"error":"E","code":500}`:                                    {"", "E"},
		`{"error":"E","lastDisconnect":{"code":"X","message":"why"}}`: {"", "E (X why)"},
		// An error converted to text, and one of Node.js without its message.
		`{"error":"{\"status\":\"fail\",\"reason\":\"blocked\"}"}`: {"", "blocked"},
		`{"response":{"message":["Error: {\"statusCode\":405,\"message\":\"Connection Failure\"}"]}}`: {
			"", "Error: 405 Connection Failure"},
		`{"error":"E","message":"{\"tag\":\"stream:error\",\"attrs\":{\"code\":\"515\"}}"}`: {"", `E: <stream:error code="515">`},
		`{"error":"E {\"code\":\"ECONNREFUSED\",\"syscall\":\"connect\",\"address\":\"10.0.0.1\",\"port\":80}"}`: {
			"", "E connect ECONNREFUSED 10.0.0.1:80"},
		`{"error":{"code":"ENOTFOUND","syscall":"getaddrinfo","hostname":"web.whatsapp.com"}}`: {
			"ENOTFOUND", "getaddrinfo ENOTFOUND web.whatsapp.com"},
		`{"error":"{\"a\":1}"}`: {"", "{\"a\":1}"}, `{"error":"E {b}"}`: {"", "E {b}"},
		`{}`: {"", ""},
	} {
		o := object(t, body)
		if got := [2]string{compat.ErrorCode(o), compat.ErrorText(o)}; got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

// Both forms of a limit are read, each with its own clock (contract 1.4).
func TestRateLimits(t *testing.T) {
	t.Parallel()
	at := time.Date(2025, 11, 6, 6, 33, 1, 0, time.UTC)
	for name, c := range map[string]struct {
		lines string
		want  []session.RateLimit
	}{
		"as recorded": {"X-RateLimit-Limit: 30|X-RateLimit-Remaining: 26|X-RateLimit-Reset: 1762410821|RateLimit-Limit: 1000|RateLimit-Remaining: 919|RateLimit-Reset: 640",
			[]session.RateLimit{{Max: 30, Remaining: 26, Reset: 40 * time.Second}, {Max: 1000, Remaining: 919, Reset: 640 * time.Second}}},
		"the engine's clock is an hour ahead": {"Date: Thu, 06 Nov 2025 07:33:01 GMT|X-RateLimit-Limit: 30|X-RateLimit-Remaining: 26|X-RateLimit-Reset: 1762414421",
			[]session.RateLimit{{Max: 30, Remaining: 26, Reset: 40 * time.Second}}},
		"seconds behind an X":   {"X-RateLimit-Limit: 30|X-RateLimit-Remaining: 26|X-RateLimit-Reset: 40", []session.RateLimit{{Max: 30, Remaining: 26, Reset: 40 * time.Second}}},
		"with a policy":         {"RateLimit-Limit: 30, 30;w=60|RateLimit-Remaining: 5|RateLimit-Reset: 9", []session.RateLimit{{Max: 30, Remaining: 5, Reset: 9 * time.Second}}},
		"a window long over":    {"X-RateLimit-Limit: 30|X-RateLimit-Remaining: 26|X-RateLimit-Reset: 1000000000", []session.RateLimit{{Max: 30, Remaining: 26}}},
		"a window without end":  {"RateLimit-Limit: 30|RateLimit-Remaining: 26|RateLimit-Reset: 4000000000", []session.RateLimit{{Max: 30, Remaining: 26, Reset: time.Hour}}},
		"more left than there":  {"RateLimit-Limit: 30|RateLimit-Remaining: 99|RateLimit-Reset: 1", []session.RateLimit{{Max: 30, Remaining: 30, Reset: time.Second}}},
		"a part is missing":     {"RateLimit-Limit: 30|RateLimit-Reset: 1", nil},
		"what is no number":     {"RateLimit-Limit: many|RateLimit-Remaining: some|RateLimit-Reset: soon", nil},
		"less than nothing":     {"RateLimit-Limit: 30|RateLimit-Remaining: -1|RateLimit-Reset: 1", nil},
		"beyond every integer":  {"RateLimit-Limit: 99999999999999999999|RateLimit-Remaining: 1|RateLimit-Reset: 1", nil},
		"no header":             {"", nil},
		"the documents' spaces": {"RateLimit-Limit:  30 |RateLimit-Remaining: 5 |RateLimit-Reset: 9 ", []session.RateLimit{{Max: 30, Remaining: 5, Reset: 9 * time.Second}}},
	} {
		if diff := cmp.Diff(c.want, compat.RateLimits(headers(c.lines), at)); diff != "" {
			t.Errorf("%s\n%s", name, diff)
		}
	}
}

// Every form of a window's end, in each family, is the same moment (fault B5).
func TestRateLimits_EveryForm(t *testing.T) {
	t.Parallel()
	at := time.Date(2025, 11, 6, 6, 33, 1, 0, time.UTC)
	want := []session.RateLimit{{Max: 30, Remaining: 26, Reset: 40 * time.Second}}
	for _, reset := range []string{
		"40", "40.0", "40000", "40s", "40000ms", "1762410821", "1762410821.0", "1762410821000",
		"Thu, 06 Nov 2025 06:33:41 GMT", "Thursday, 06-Nov-25 06:33:41 GMT", "2025-11-06T06:33:41Z", "2025-11-06T07:33:41.000+01:00",
	} {
		for _, family := range []string{"X-RateLimit-", "X-Rate-Limit-", "RateLimit-"} {
			lines := strings.NewReplacer("@", family, "RESET", reset).Replace("@Limit: 30|@Remaining: 26|@Reset: RESET")
			if diff := cmp.Diff(want, compat.RateLimits(headers(lines), at)); diff != "" {
				t.Errorf("%s\n%s", lines, diff)
			}
		}
	}
	for _, lines := range []string{
		"RateLimit: limit=30, remaining=26, reset=40", "ratelimit: limit=30,remaining=26,reset=40|RateLimit-Policy: 30;w=60",
		`RateLimit: "default";r=26;t=40|RateLimit-Policy: "default";q=30;w=60`, "RateLimit: default;r=26;t=40|RateLimit-Policy: default;q=30;w=60",
		`RateLimit: "a"; r=26; t=40|RateLimit-Policy: "b";q=9;w=1, "a";q=30;w=60;qu="requests"`, `RateLimit: "default";q=30;r=26;t=40`,
	} {
		if diff := cmp.Diff(want, compat.RateLimits(headers(lines), at)); diff != "" {
			t.Errorf("%s\n%s", lines, diff)
		}
	}
	both := compat.RateLimits(headers(`RateLimit: "burst";r=1;t=1, "day";r=900;t=3000|RateLimit-Policy: "burst";q=5;w=1,"day";q=1000;w=86400`), at)
	if diff := cmp.Diff([]session.RateLimit{{Max: 5, Remaining: 1, Reset: time.Second}, {Max: 1000, Remaining: 900, Reset: 3000 * time.Second}}, both); diff != "" {
		t.Error(diff)
	}
	for _, lines := range []string{
		"X-RateLimit-Limit: 30|X-RateLimit-Remaining: 26|X-RateLimit-Reset: soon", "RateLimit: 30", "RateLimit: limit=30", "RateLimit: ",
		"X-RateLimit-Limit: NaN|X-RateLimit-Remaining: 26|X-RateLimit-Reset: 40", "X-RateLimit-Limit: 30|X-RateLimit-Remaining: 26|X-RateLimit-Reset: NaN",
	} {
		if got := compat.RateLimits(headers(lines), at); got != nil {
			t.Errorf("%s: %v", lines, got)
		}
	}
}

// Retry-After is seconds or a date, and never more than an hour.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	at := time.Date(2025, 11, 6, 6, 33, 1, 0, time.UTC)
	for line, want := range map[string]time.Duration{
		"Retry-After: 7": 7 * time.Second, "Retry-After: 0": 0, "Retry-After: -5": 0, "Retry-After: 999999": time.Hour, "Retry-After: soon": 0, "": 0, "Retry-After: 1.5": 1500 * time.Millisecond, "Retry-After: NaN": 0,
		"Retry-After: 30s": 30 * time.Second, "Retry-After: 1762410811": 30 * time.Second, "Retry-After: 2025-11-06T06:33:31Z": 30 * time.Second,
		"Retry-After: Thu, 06 Nov 2025 06:33:31 GMT": 30 * time.Second, "Retry-After: Thu, 06 Nov 2025 06:00:00 GMT": 0,
		"Retry-After: Thu, 06 Nov 2025 08:33:31 GMT|Date: Thu, 06 Nov 2025 08:33:01 GMT": 30 * time.Second,
	} {
		if got := compat.RetryAfter(headers(line), at); got != want {
			t.Errorf("%q: %v, want %v", line, got, want)
		}
	}
}

// A cache in front of the engine returns an old code: it lives as much shorter as the cache has had it.
func TestSessionReport_CachedCode(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, age, expiresAt string
		want                 session.Expiry
	}{
		{name: "no cache"},
		{name: "no cache, stated", expiresAt: "2026-01-02T03:05:00.000Z", want: session.Expiry{Known: true, In: 56 * time.Second}},
		{name: "cached", age: "45", want: session.Expiry{Known: true, In: 15 * time.Second}},
		{name: "cached, stated", age: "30", expiresAt: "2026-01-02T03:05:00.000Z", want: session.Expiry{Known: true, In: 26 * time.Second}},
		{name: "no age", age: "old"},
	} {
		at := time.Date(2026, 1, 2, 3, 4, 4, 0, time.UTC)
		h := http.Header{"Date": {at.Format(http.TimeFormat)}}
		if c.age != "" {
			h.Set("Age", c.age)
		}
		if n, err := time.ParseDuration(c.age + "s"); err == nil {
			at = at.Add(n)
		}
		body := fmt.Sprintf(`{"data":{"qrCode":"2@ref,noise,identity,adv,1","expiresAt":%q}}`, c.expiresAt)
		r := compat.Response{Status: 200, Header: h, Body: []byte(body), Complete: true, At: at}
		report, err := r.SessionReport(session.OpQR, session.Ref{ID: 1}, nil)
		late := report.Expiry.In - c.want.In
		if err != nil || report.Expiry.Known != c.want.Known || late < -time.Second || late > time.Second {
			t.Errorf("%s: %+v, %v, want %+v", c.name, report.Expiry, err, c.want)
		}
	}
}

// What a cache returns for longer than any code lives is no response of the engine's.
func TestEngineError_OldResponseOfACache(t *testing.T) {
	t.Parallel()
	e := errorOf("qr", 200, `{"data":{"qrCode":"2@ref,noise,identity,adv,1"}}`, "Age: 600")
	if e == nil || e.Kind != session.KindBadResponse || e.Reason != "from a cache in front of the engine, 10m0s old" {
		t.Errorf("%+v", e)
	}
	if e := errorOf("status", 200, `{"data":{}}`, "Age: 600"); e != nil {
		t.Errorf("a state: %v", e)
	}
}

func headers(lines string) http.Header {
	h := http.Header{}
	for line := range strings.SplitSeq(lines, "|") {
		if name, value, ok := strings.Cut(line, ":"); ok {
			h.Set(name, strings.TrimPrefix(value, " "))
		}
	}
	return h
}
