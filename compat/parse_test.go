package compat_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/compat"
	"qrgate/internal/session"
)

var now = time.Date(2025, 11, 6, 6, 33, 1, 429e6, time.UTC)

// object parses a fixture.
func object(t testing.TB, text string) compat.Object {
	t.Helper()
	o, err := compat.Parse([]byte(text))
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return o
}

// text is a value as JSON, with its keys in order.
func text(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestParse(t *testing.T) {
	t.Parallel()
	for body, ok := range map[string]bool{
		`{}`: true, ` {"a":1} `: true, "\ufeff{}": true, "\ufeff\ufeff{}": false, `{"a":{"b":[1,2]}}`: true,
		``: false, `null`: false, `[]`: false, `"x"`: false, `{}{}`: false, `{} x`: false, `{"a"`: false, "<html>": false, "\x00": false,
	} {
		if _, err := compat.Parse([]byte(body)); (err == nil) != ok {
			t.Errorf("%q: %v", body, err)
		}
	}
}

// The session is read from every shape of a response, without the envelope's fields (C1).
func TestSessionOf(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"success":true,"data":{"session":{"id":1}}}`:               `{"id":1}`,
		`{"success":true,"data":{"id":1,"session":{"id":2}}}`:        `{"id":2}`,
		`{"success":true,"data":{"id":1}}`:                           `{"id":1}`,
		`{"success":true,"data":{"id":1,"session":null}}`:            `{"id":1}`,
		`{"success":true,"data":null}`:                               `{}`,
		`{"success":true,"message":"x"}`:                             `{}`,
		`{"id":1,"sessionId":"crm-1"}`:                               `{"id":1,"sessionId":"crm-1"}`,
		`{"success":true,"data":{"session":{}}}`:                     `{}`,
		`{"success":true,"data":{"session":"x","status":"pending"}}`: `{"status":"pending"}`,
	} {
		if got := text(t, compat.SessionOf(object(t, body))); got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
}

// The list is read from five places; items that are no objects are skipped (C14).
func TestSessionsOf(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"data":{"sessions":[{"id":1},7,null,{"id":2}]}}`: `[{"id":1},{"id":2}]`,
		`{"data":{"items":[{"id":1}]}}`:                    `[{"id":1}]`,
		`{"data":{"data":[{"id":1}]}}`:                     `[{"id":1}]`,
		`{"data":[{"id":1}]}`:                              `[{"id":1}]`,
		`{"sessions":[{"id":1}]}`:                          `[{"id":1}]`,
		`{"data":{"sessions":[]}}`:                         `[]`,
		`{"data":{}}`:                                      `null`,
	} {
		if got := text(t, compat.SessionsOf(object(t, body))); got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
}

// Ids are numbers or text; anything else is no id.
func TestRefOf(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]session.Ref{
		`{"id":61,"sessionId":"crm-1"}`:       {ID: 61, Name: "crm-1"},
		`{"id":"61","sessionId":"5550100"}`:   {ID: 61, Name: "5550100"},
		`{"id":61.5,"sessionId":"a b"}`:       {},
		`{"id":-1,"sessionId":7}`:             {},
		`{"id":null}`:                         {},
		`{"id":9223372036854775807}`:          {ID: 9223372036854775807},
		`{"id":92233720368547758070}`:         {},
		`{"id":1e3}`:                          {},
		`{"sessionId":"` + repeat(101) + `"}`: {},
	} {
		if diff := cmp.Diff(want, compat.RefOf(object(t, body))); diff != "" {
			t.Errorf("%s\n%s", body, diff)
		}
	}
}

func repeat(n int) string { return strings.Repeat("x", n) }

// The word and isConnected together decide the state; a stale row is not connected (quirk 7).
func TestStateOf(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]session.State{
		`{"status":"connected","isConnected":true}`:     session.Connected,
		`{"status":"connected"}`:                        session.Connected,
		`{"status":"connected","isConnected":false}`:    session.Disconnected,
		`{"status":"CONNECTED","isConnected":0}`:        session.Disconnected,
		`{"status":"connected","isConnected":1}`:        session.Connected,
		`{"status":"connected","connected":false}`:      session.Disconnected,
		`{"status":"linked","connected":false}`:         session.Disconnected,
		`{"status":"connected","connected":true}`:       session.Connected,
		`{"connected":false,"loggedIn":true}`:           session.Connected,
		`{"status":null,"isConnected":true}`:            session.Connected,
		`{"isConnected":"true"}`:                        session.Connected,
		`{"Connected":true,"LoggedIn":true}`:            session.Connected,
		`{"Connected":true,"LoggedIn":false}`:           session.Unknown,
		`{"authenticated":true,"qr":null}`:              session.Connected,
		`{"status":"ready"}`:                            session.Connected,
		`{"status":"READY","qr":"2@a,b,c"}`:             session.AwaitingScan,
		`{"status":"qr_code","loggedIn":true}`:          session.AwaitingScan,
		`{"isConnected":1}`:                             session.Connected,
		`{"status":"disconnected","isConnected":false}`: session.Disconnected,
		`{"status":"connecting","isConnected":false}`:   session.Connecting,
		`{"status":"Qr_Code"}`:                          session.AwaitingScan,
		`{"status":" QR "}`:                             session.AwaitingScan,
		`{"status":"success","state":"open"}`:           session.Connected,
		`{"connection":"open","qr":null}`:               session.Connected,
		`{"connection":{"a":1},"status":"connecting"}`:  session.Connecting,
		`{"status":"unheard of"}`:                       session.Unknown,
		`{}`:                                            session.Unknown,
	} {
		if got := compat.StateOf(object(t, body)); got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
}

// Every known word for a state maps to one of the five wire states (contract 3.1, 3.2).
func TestParseState_EveryAliasHasAWireState(t *testing.T) {
	t.Parallel()
	words := map[string]string{
		"disconnected": "disconnected", "NOT_FOUND": "disconnected", "connecting": "connecting", "CONNECTING": "connecting",
		"qr_code": "qr_code", "Qr_Code": "qr_code", "QR_CODE": "qr_code", "qr": "qr_code", "QR": "qr_code", "pending": "qr_code",
		"qr_required": "qr_code", "qr_code_required": "qr_code", "QR Code Required": "qr_code", "QR Code": "qr_code", "QR Pending": "qr_code",
		"connected": "connected", "CONNECTED": "connected", "error": "error", "timeout": "error", "rate_limited": "error",
		"reconnecting": "connecting", "initializing": "connecting", "generating": "connecting", "open": "connected", "expired": "disconnected",
		"ready": "connected", "authenticated": "connected", "inChat": "connected", "isLogged": "connected", "online": "connected",
		"notLogged": "disconnected", "autocloseCalled": "disconnected", "LOGGED_OUT": "disconnected", "awaiting_scan": "qr_code",
		"created": "disconnected", "": "disconnected", "unheard of": "disconnected",
	}
	for word, want := range words {
		if got := compat.Wire(compat.ParseState(word)); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
	for _, s := range session.States() {
		switch compat.Wire(s) {
		case "connecting", "qr_code", "connected", "disconnected", "error":
		default:
			t.Errorf("%s is %q on the wire", s, compat.Wire(s))
		}
	}
}

// An expiry is relative to the engine's own clock; an invalid date is none.
func TestExpiryOf(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]session.Expiry{
		`{"expiresAt":"2025-11-06T06:34:01.429Z"}`:       {Known: true, In: time.Minute},
		`{"expiresAt":"2025-11-06T01:34:01.429-05:00"}`:  {Known: true, In: time.Minute},
		`{"qrCodeExpiresAt":"2025-11-06T06:33:00.429Z"}`: {Known: true, In: -time.Second},
		`{"expires_at":"2025-11-06T06:34:01.429Z"}`:      {Known: true, In: time.Minute},
		`{"expiresAt":1762410841429}`:                    {Known: true, In: time.Minute},
		`{"expiresAt":1762410841}`:                       {Known: true, In: time.Minute - 429*time.Millisecond},
		`{"expiresAt":"soon"}`:                           {},
		`{"expiresAt":60}`:                               {},
		`{"expiresAt":null}`:                             {},
		`{}`:                                             {},
		`{"expiresAt":null,"qrCodeExpiresAt":"2025-11-06T06:34:01.429Z"}`:            {Known: true, In: time.Minute},
		`{"expiresAt":"2025-11-06T06:34:01.429Z","qrCodeExpiresAt":"2000-01-01T0Z"}`: {Known: true, In: time.Minute},
	} {
		if diff := cmp.Diff(want, compat.ExpiryOf(object(t, body), now)); diff != "" {
			t.Errorf("%s\n%s", body, diff)
		}
	}
}

// Only a field of its own states that no phone is paired, and another such field may state the contrary.
func TestParseSession_IsUnpaired(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]bool{
		`{"status":"unknown word","isConnected":false}`:  true,
		`{"logged_in":false,"connected":true}`:           true,
		`{"isConnected":0}`:                              true,
		`{"authenticated":"false"}`:                      true,
		`{"isConnected":true,"isAuthenticated":false}`:   false,
		`{"status":"unknown word"}`:                      false,
		`{"connected":false}`:                            false, // the socket
		`{"status":"unknown word","isConnected":"null"}`: false,
	} {
		if report, _ := compat.ParseSession(object(t, body), now, now); report.IsUnpaired != want {
			t.Errorf("%s: %t, want %t", body, report.IsUnpaired, want)
		}
	}
}

// The reason of a disconnect is redacted.
func TestReasonOf(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"lastDisconnect":{"code":"LOGGED_OUT","message":"by 5550100123"}}`:                              "LOGGED_OUT by …",
		`{"lastDisconnect":{"message":"Error: {\"statusCode\":405,\"message\":\"Connection Failure\"}"}}`: "Error: 405 Connection Failure",
		`{"lastDisconnect":{"message":"x"}}`:                                                              "x",
		`{"error":"client_outdated"}`:                                                                     "client_outdated",
		`{"lastError":"client outdated"}`:                                                                 "client outdated",
		`{"disconnectReason":"logged_out","last_error":"logged_out"}`:                                     "logged_out",
		`{"lastError":{"output":{"payload":{"statusCode":405,"message":"Connection Failure"}}}}`:          "405 Connection Failure",
		`{"lastDisconnect":{"error":{"tag":"stream:error","attrs":{"code":"515"}}}}`:                      `<stream:error code="515">`,
		`{"lastDisconnect":{"error":{"tag":"failure","attrs":{"reason":"405","location":"rva"}}}}`:        `<failure reason="405">`,
		`{"lastDisconnect":{"error":{"tag":"stream:error","attrs":{},"content":[{"tag":"conflict"}]}}}`:   `<stream:error>`,
		`{"status":"close","reason":"invalid_session","isReconnecting":true}`:                             "invalid_session",
		`{"instance":"shop-1","state":"close","statusReason":405}`:                                        "405",
		`{}`: "",
	} {
		if got := compat.ReasonOf(object(t, body)); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}
