package proxy_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"qrgate/compat"
	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/proxy"
)

var noon = time.Date(2025, 11, 6, 12, 0, 0, 429e6, time.UTC)

// shown is a code of a given age with a minute of life, last confirmed some time ago.
func shown(age, confirmed time.Duration) session.QR {
	image, _ := compat.RenderQR("a code")
	seen := noon.Add(-age)
	return session.QR{Image: image, Sequence: 1, SeenAt: seen, ConfirmedAt: noon.Add(-confirmed), ExpiresAt: seen.Add(time.Minute)}
}

func TestDecideQR(t *testing.T) {
	t.Parallel()
	ref := session.Ref{ID: 61, Name: "crm-1"}
	fault := func(kind session.ErrorKind, status int, code string) error {
		return &session.EngineError{Op: session.OpQR, Kind: kind, Status: status, Code: code, Text: "the engine's text"}
	}
	about := func(code diagnosis.Code) *session.Snapshot {
		return &session.Snapshot{Authorized: true, Session: session.Session{State: session.Connecting}, Diagnosis: diagnosis.New(code, "evidence")}
	}
	inferred := func(waited time.Duration) *session.Snapshot {
		v := about(diagnosis.DNSFailed)
		v.Diagnosis.Since, v.Diagnosis.Inferred = noon.Add(-waited), true
		return v
	}
	view := func(known bool, state session.State, q session.QR) *session.Snapshot {
		s := session.Session{Ref: ref, State: state, QR: q}
		return &session.Snapshot{Authorized: known, Ready: s.QRUsable(noon), Session: s}
	}
	for name, c := range map[string]struct {
		view   *session.Snapshot
		err    error
		status int
		code   string
		retry  time.Duration
	}{
		"a fresh code":                        {view(true, session.AwaitingScan, shown(0, 0)), nil, 200, "", 0},
		"an older one, confirmed":             {view(true, session.AwaitingScan, shown(20*time.Second, time.Second)), nil, 200, "", 0},
		"an older one, unconfirmed":           {view(true, session.AwaitingScan, shown(20*time.Second, 5*time.Second)), nil, 202, "QR_NOT_READY", 2 * time.Second},
		"one that became old since the wait":  {view(true, session.AwaitingScan, shown(20*time.Second, session.RevalidatedFor+50*time.Millisecond)), nil, 200, "", 0},
		"one that was old before":             {view(true, session.AwaitingScan, shown(20*time.Second, session.RevalidatedFor+150*time.Millisecond)), nil, 202, "QR_NOT_READY", 2 * time.Second},
		"one about to expire":                 {view(true, session.AwaitingScan, shown(51*time.Second, 0)), nil, 202, "QR_NOT_READY", 2 * time.Second},
		"an expired one":                      {view(true, session.AwaitingScan, shown(2*time.Minute, 0)), nil, 202, "QR_NOT_READY", 2 * time.Second},
		"a fresh code, not authorized":        {view(false, session.AwaitingScan, shown(0, 0)), nil, 202, "QR_NOT_READY", 2 * time.Second},
		"connected":                           {view(true, session.Connected, session.QR{}), nil, 409, "SESSION_ALREADY_CONNECTED", 0},
		"connected, not authorized":           {view(false, session.Connected, session.QR{}), nil, 202, "QR_NOT_READY", 2 * time.Second},
		"nothing yet":                         {view(true, session.Connecting, session.QR{}), nil, 202, "QR_NOT_READY", 2 * time.Second},
		"waiting for the rate limit":          {&session.Snapshot{Authorized: true, Session: session.Session{State: session.Connecting}, RateLimitWait: 17 * time.Second}, nil, 202, "QR_NOT_READY", 17 * time.Second},
		"unknown session":                     {&session.Snapshot{}, nil, 202, "QR_NOT_READY", 2 * time.Second},
		"failed, cause unknown":               {view(true, session.Failed, session.QR{}), nil, 202, "QR_NOT_READY", 2 * time.Second},
		"the client is outdated":              {about(diagnosis.ClientOutdated), nil, 503, "client_outdated", 5 * time.Second},
		"the account is banned":               {about(diagnosis.AccountBanned), nil, 503, "account_banned", 5 * time.Second},
		"a passkey is wanted":                 {about(diagnosis.PasskeyRequired), nil, 503, "passkey_required", 5 * time.Second},
		"logged out":                          {about(diagnosis.LoggedOut), nil, 503, "logged_out", 5 * time.Second},
		"too many sessions":                   {about(diagnosis.SessionLimit), nil, 503, "session_limit", 5 * time.Second},
		"the engine is unreachable":           {about(diagnosis.EngineUnreachable), nil, 503, "engine_unreachable", 5 * time.Second},
		"the engine times out":                {about(diagnosis.EngineTimeout), nil, 503, "engine_timeout", 5 * time.Second},
		"the engine sends no API response":    {about(diagnosis.EngineBadResponse), nil, 503, "engine_bad_response", 5 * time.Second},
		"the engine has no DNS":               {about(diagnosis.DNSFailed), nil, 503, "dns_failed", 5 * time.Second},
		"qrgate has none, within the delay":   {inferred(29 * time.Second), nil, 202, "QR_NOT_READY", 2 * time.Second},
		"qrgate has none, after the delay":    {inferred(30 * time.Second), nil, 503, "dns_failed", 5 * time.Second},
		"a diagnosis that may resolve itself": {about(diagnosis.QRNotEmitted), nil, 202, "QR_NOT_READY", 2 * time.Second},
		"the rate limit is reached":           {about(diagnosis.RateLimited), nil, 202, "QR_NOT_READY", 2 * time.Second},

		"the engine's 401":                    {&session.Snapshot{}, fault(session.KindKeyRefused, 401, "OWN"), 401, "OWN", 0},
		"the engine's 403":                    {&session.Snapshot{}, fault(session.KindKeyRefused, 403, ""), 403, "INVALID_API_KEY", 0},
		"a refused key without a status":      {&session.Snapshot{}, fault(session.KindKeyRefused, 0, ""), 401, "INVALID_API_KEY", 0},
		"the engine's 404":                    {&session.Snapshot{}, fault(session.KindSessionNotFound, 404, "OWN"), 404, "OWN", 0},
		"an unknown session without a status": {&session.Snapshot{}, fault(session.KindSessionNotFound, 0, ""), 404, "SESSION_NOT_FOUND", 0},
		"the engine's 429":                    {&session.Snapshot{}, fault(session.KindRateLimited, 429, ""), 429, "RATE_LIMIT_EXCEEDED", time.Second},
		"an engine's error":                   {&session.Snapshot{}, fault(session.KindServerError, 500, "OWN"), 503, "OWN", 5 * time.Second},
		"a bad response":                      {&session.Snapshot{}, fault(session.KindBadResponse, 200, ""), 503, "ENGINE_BAD_ANSWER", 5 * time.Second},
		"no connection":                       {&session.Snapshot{}, fault(session.KindUnreachable, 0, ""), 503, "ENGINE_UNREACHABLE", 5 * time.Second},
		"timeout":                             {&session.Snapshot{}, fault(session.KindTimeout, 0, ""), 503, "ENGINE_TIMEOUT", 5 * time.Second},
		"qrgate stops":                        {&session.Snapshot{}, context.Canceled, 503, "GATE_STOPPING", 5 * time.Second},
		"a code, and the engine's 401": {view(true, session.AwaitingScan, shown(0, 0)), fault(session.KindKeyRefused, 401, "OWN"), 401, "OWN",
			0},
	} {
		t.Run(name, func(t *testing.T) {
			c.view.At = noon
			r := proxy.DecideQR(c.view, c.err, noon)
			if r.Status != c.status || r.Code != c.code || r.Retry != c.retry {
				t.Errorf("%d %q, again after %v; want %d %q, %v", r.Status, r.Code, r.Retry, c.status, c.code, c.retry)
			}
			wantBody(t, r)
		})
	}
}

// wantBody checks what every body must have, and must not.
func wantBody(t *testing.T, r proxy.Response) {
	t.Helper()
	if r.Status == 200 {
		data, _ := r.Body["data"].(map[string]any)
		if r.Body["success"] != true || data["id"] != 61.0 || data["sessionId"] != "crm-1" || data["status"] != "qr_code" || data["qrCode"] == "" || data["expiresAt"] == "" {
			t.Errorf("body %v", r.Body)
		}
		return
	}
	text, _ := r.Body["message"].(string)
	if r.Body["success"] != false || text == "" || r.Body["error"] != text || r.Body["code"] != r.Code || r.Body["timestamp"] != "2025-11-06T12:00:00Z" {
		t.Errorf("body %v", r.Body)
	}
	if r.Status == 202 && strings.ContainsAny(text, "0123456789") {
		t.Errorf("a number in %q", text)
	}
}

func TestDecideQR_RetryAfterOfA429(t *testing.T) {
	t.Parallel()
	r := proxy.DecideQR(&session.Snapshot{At: noon}, &session.EngineError{Kind: session.KindRateLimited, RetryAfter: 17 * time.Second}, noon)
	if r.Retry != 17*time.Second {
		t.Errorf("again after %v", r.Retry)
	}
}

// A diagnosis that needs a person is a 503, every other a 202 with the diagnosis or a 503.
func TestDecideQR_EveryDiagnosis(t *testing.T) {
	t.Parallel()
	for _, code := range diagnosis.Codes() {
		d := diagnosis.New(code)
		r := proxy.DecideQR(&session.Snapshot{Authorized: true, At: noon, Session: session.Session{State: session.Connecting}, Diagnosis: d}, nil, noon)
		if shown, _ := r.Body["diagnosis"].(map[string]any); r.Status == 202 && shown["code"] != string(code) {
			t.Errorf("%s: a 202 without its diagnosis: %v", code, r.Body)
		}
		if d.NeedsPerson() && (r.Status != 503 || !strings.Contains(r.Body["message"].(string), d.Help)) || r.Status != 503 && r.Status != 202 {
			t.Errorf("%s: %d %v", code, r.Status, r.Body)
		}
	}
}
