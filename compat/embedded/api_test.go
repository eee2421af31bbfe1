package embedded_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/compat/embedded"
)

func TestAPI_StatusAndCodeOfEachRoute(t *testing.T) {
	t.Parallel()
	r := startIdle(t, embedded.Config{})
	r.make("first")
	r.make("12345") // a name of digits
	long := strings.Repeat("x", 256)
	tests := map[string]struct {
		key, method, path, body string
		status                  int
		code                    string
	}{
		"root":                     {"", "GET", "/", "", 200, ""},
		"health":                   {"", "GET", "/health", "", 200, ""},
		"no key":                   {"", "GET", "/api/sessions", "", 401, "MISSING_API_KEY"},
		"wrong key":                {"key-c-000000000000", "GET", "/api/sessions", "", 401, "INVALID_API_KEY"},
		"no key, no session":       {"", "GET", "/api/sessions/none/qr", "", 401, "MISSING_API_KEY"},
		"unknown session":          {keyA, "GET", "/api/sessions/none/qr", "", 404, "SESSION_NOT_FOUND"},
		"unknown id":               {keyA, "GET", "/api/sessions/999", "", 404, "SESSION_NOT_FOUND"},
		"digits as a name":         {keyA, "GET", "/api/sessions/12345", "", 200, ""},
		"other account's name":     {keyB, "GET", "/api/sessions/12345", "", 404, "SESSION_NOT_FOUND"},
		"other account's id":       {keyB, "DELETE", "/api/sessions/1", "", 404, "SESSION_NOT_FOUND"},
		"no code yet":              {keyA, "GET", "/api/sessions/first/qr", "", 500, "QR_GENERATION_ERROR"},
		"duplicate":                {keyA, "POST", "/api/sessions", `{"sessionId":"first","sessionName":"x"}`, 409, "SESSION_ALREADY_EXISTS"},
		"same name, other account": {keyB, "POST", "/api/sessions", `{"sessionId":"first","sessionName":"x"}`, 201, ""},
		"unused fields":            {keyA, "POST", "/api/sessions", `{"sessionId":"more","sessionName":"x","webhookUrl":"https://example.com/hook","fromFrappe":true}`, 201, ""},
		"short id":                 {keyA, "POST", "/api/sessions", `{"sessionId":"ab","sessionName":"x"}`, 400, "VALIDATION_ERROR"},
		"bad id":                   {keyA, "POST", "/api/sessions", `{"sessionId":"a b c","sessionName":"x"}`, 400, "VALIDATION_ERROR"},
		"no name":                  {keyA, "POST", "/api/sessions", `{"sessionId":"noname"}`, 400, "VALIDATION_ERROR"},
		"long name":                {keyA, "POST", "/api/sessions", `{"sessionId":"long","sessionName":"` + long + `"}`, 400, "VALIDATION_ERROR"},
		"not JSON":                 {keyA, "POST", "/api/sessions", `sessionId=first`, 400, "VALIDATION_ERROR"},
		"no body":                  {keyA, "POST", "/api/sessions", ``, 400, "VALIDATION_ERROR"},
		"body too large":           {keyA, "POST", "/api/sessions", strings.Repeat(" ", 64<<10) + "{}", 413, "PAYLOAD_TOO_LARGE"},
		"bad connect":              {keyA, "POST", "/api/sessions/first/connect", `force`, 400, "VALIDATION_ERROR"},
		"wrong method":             {keyA, "GET", "/api/sessions/first/connect", "", 405, "METHOD_NOT_ALLOWED"},
		"wrong method, all":        {keyA, "DELETE", "/api/sessions", "", 405, "METHOD_NOT_ALLOWED"},
		"webhook":                  {keyA, "PUT", "/api/sessions/first/webhook", `{"webhookUrl":"https://example.com/hook","webhookSecret":"s"}`, 200, ""},
		"webhook without TLS":      {keyA, "PUT", "/api/sessions/first/webhook", `{"webhookUrl":"http://example.com/hook"}`, 400, "VALIDATION_ERROR"},
		"private webhook":          {keyA, "PUT", "/api/sessions/first/webhook", `{"webhookUrl":"https://169.254.169.254/x"}`, 400, "VALIDATION_ERROR"},
		"private webhook, create":  {keyA, "POST", "/api/sessions", `{"sessionId":"more2","sessionName":"x","webhookUrl":"https://10.0.0.1/"}`, 400, "VALIDATION_ERROR"},
		"contacts":                 {keyA, "GET", "/api/sessions/first/contacts", "", 501, "NOT_IMPLEMENTED"},
		"frappe":                   {keyA, "GET", "/api/sessions/frappe/sessions", "", 501, "NOT_IMPLEMENTED"},
		"messages":                 {keyA, "POST", "/api/messages/first/send", `{}`, 501, "NOT_IMPLEMENTED"},
		"messages, no key":         {"", "POST", "/api/messages/first/send", `{}`, 401, "MISSING_API_KEY"},
		"messages, wrong key":      {"key-c-000000000000", "POST", "/api/messages/first/send", `{}`, 401, "INVALID_API_KEY"},
		"unknown path":             {keyA, "GET", "/unknown", "", 404, "NOT_FOUND"},
		"doubled slash":            {keyA, "GET", "/api//sessions", "", 404, "NOT_FOUND"},
		"dot segments":             {keyA, "GET", "/api/x/../sessions", "", 404, "NOT_FOUND"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := r.callAs(tt.key, tt.method, tt.path, tt.body)
			if a.status != tt.status || a.code() != tt.code {
				t.Fatalf("%d %s, want %d %s", a.status, a.raw, tt.status, tt.code)
			}
			if a.status >= 400 && (a.body["success"] != false || a.body["error"] != a.body["message"] || a.body["error"] == "") {
				t.Errorf("not a documented error: %s", a.raw)
			}
			if a.status < 400 && a.body["success"] != true {
				t.Errorf("not a documented success: %s", a.raw)
			}
		})
	}
}

// Some clients read the flat id, others the nested one.
func TestAPI_BodiesHaveFlatAndNestedIDs(t *testing.T) {
	t.Parallel()
	r := startIdle(t, embedded.Config{})
	a := r.call("POST", "/api/sessions", `{"sessionId":"first","sessionName":"A name"}`)
	nested, _ := a.data()["session"].(map[string]any)
	if a.status != 201 || a.data()["id"] != 1.0 || nested["id"] != 1.0 || nested["sessionId"] != "first" || nested["status"] != "disconnected" {
		t.Fatalf("create: %d %s", a.status, a.raw)
	}
	for _, body := range []string{"", "{}", `{"force":true}`} {
		a := r.call("POST", "/api/sessions/1/connect", body)
		if a.status != 200 || a.data()["status"] != "connecting" || a.data()["id"] != 1.0 || a.data()["sessionId"] != "first" {
			t.Errorf("connect with %q: %d %s", body, a.status, a.raw)
		}
	}
	r.code("first")
	for _, id := range []string{"1", "first"} {
		one, _ := r.call("GET", "/api/sessions/"+id).data()["session"].(map[string]any)
		if one["status"] != "qr_code" || one["hasQR"] != true || one["isConnected"] != false || one["lastActivity"] == "" {
			t.Errorf("get %s: %v", id, one)
		}
	}
	list := r.call("GET", "/api/sessions").data()["sessions"].([]any)[0].(map[string]any)
	if text, _ := list["qrCode"].(string); decode(t, text) == "" || list["qrCodeExpiresAt"] == nil {
		t.Errorf("list: %v", list)
	}
	if a := r.call("POST", "/api/sessions/1/disconnect"); a.status != 200 || a.data()["status"] != "disconnected" {
		t.Errorf("disconnect: %d %s", a.status, a.raw)
	}
	if d := r.call("GET", "/api/sessions/1/status").data(); d["status"] != "disconnected" || d["hasQR"] != false {
		t.Errorf("status: %v", d)
	}
	if a := r.call("POST", "/api/sessions/1/restart"); a.status != 200 || a.data()["status"] != "connecting" {
		t.Errorf("restart: %d %s", a.status, a.raw)
	}
	r.code("first")
}

func TestList_PagesAndFilters(t *testing.T) {
	t.Parallel()
	r := startIdle(t, embedded.Config{})
	for n := range 25 {
		r.make(fmt.Sprintf("session-%02d", n))
	}
	r.call("POST", "/api/sessions/session-03/connect")
	r.code("session-03")
	tests := map[string]struct {
		query string
		first string
		count int
		total float64
	}{
		"default":         {"", "session-24", 20, 25},
		"second page":     {"?page=2", "session-04", 5, 25},
		"beyond":          {"?page=9", "", 0, 25},
		"beyond all":      {"?page=99999999999999999999", "", 0, 25},
		"limit":           {"?limit=3&page=2", "session-21", 3, 25},
		"over the limit":  {"?limit=200", "session-24", 25, 25},
		"invalid numbers": {"?limit=x&page=-1", "session-24", 20, 25},
		"state":           {"?status=qr_code", "session-03", 1, 1},
		"old spelling":    {"?status=PENDING", "session-03", 1, 1},
		"other state":     {"?status=connected", "", 0, 0},
		"unknown state":   {"?status=purple", "", 0, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := r.call("GET", "/api/sessions"+tt.query).data()
			all, ok := d["sessions"].([]any)
			if !ok || len(all) != tt.count || d["total"] != tt.total {
				t.Fatalf("%d sessions of %v, want %d of %v", len(all), d["total"], tt.count, tt.total)
			}
			if tt.count > 0 && all[0].(map[string]any)["sessionId"] != tt.first {
				t.Errorf("the first is %v, want %s", all[0], tt.first)
			}
		})
	}
	want := map[string]any{"total": 25.0, "connecting": 0.0, "qr_code": 1.0, "connected": 0.0, "disconnected": 24.0, "error": 0.0}
	if diff := cmp.Diff(want, r.call("GET", "/api/sessions/stats").data()); diff != "" {
		t.Errorf("stats (-want +got)\n%s", diff)
	}
}

func TestCreate_AboveSessionLimitIs422(t *testing.T) {
	t.Parallel()
	r := startIdle(t, embedded.Config{Limits: embedded.Limits{Sessions: 1}})
	r.make("first")
	if a := r.call("POST", "/api/sessions", `{"sessionId":"second","sessionName":"x"}`); a.status != 422 || a.code() != "SESSION_LIMIT" {
		t.Errorf("%d %s", a.status, a.raw)
	}
	if a := r.callAs(keyB, "POST", "/api/sessions", `{"sessionId":"second","sessionName":"x"}`); a.status != 201 {
		t.Errorf("another account: %d %s", a.status, a.raw)
	}
	r.call("DELETE", "/api/sessions/first")
	r.make("second")
}

// The name owns the sessions: each of its keys sees them, and so does a new key.
func TestKeys_RotatedKeyKeepsSessions(t *testing.T) {
	t.Parallel()
	c := embedded.Config{DataDir: t.TempDir(), Keys: keys(t, "a:"+keyA+",a:a-second-key-0000")}
	r := startIdle(t, c)
	r.make("first")
	if a := r.callAs("a-second-key-0000", "GET", "/api/sessions/first"); a.status != 200 {
		t.Errorf("the second key: %d %s", a.status, a.raw)
	}
	r.stop()
	c.Keys = keys(t, "a:a-third-key-00000,b:"+keyA)
	again := startIdle(t, c)
	if a := again.callAs("a-third-key-00000", "GET", "/api/sessions/first"); a.status != 200 {
		t.Errorf("the new key: %d %s", a.status, a.raw)
	}
	if a := again.callAs(keyA, "GET", "/api/sessions/first"); a.status != 404 {
		t.Errorf("the old key, now of another account: %d %s", a.status, a.raw)
	}
}

func TestEngine_RespondsAfterClose(t *testing.T) {
	t.Parallel()
	r := startIdle(t, embedded.Config{})
	r.connect("first")
	r.code("first")
	began := time.Now()
	r.stop()
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("close took %v", took)
	}
	if a := r.call("POST", "/api/sessions/first/connect"); a.status != 503 {
		t.Errorf("connect: %d %s", a.status, a.raw)
	}
	if a := r.call("POST", "/api/sessions", `{"sessionId":"second","sessionName":"x"}`); a.status != 503 {
		t.Errorf("create: %d %s", a.status, a.raw)
	}
}

// The engine says what it serves: at the root, in a create, and in place of what it does not serve.
func TestAPI_NamesItsFeatures(t *testing.T) {
	t.Parallel()
	r := startIdle(t, embedded.Config{})
	for _, a := range []response{
		r.call("GET", "/"), r.call("POST", "/api/sessions", `{"sessionId":"first","sessionName":"x"}`), r.call("GET", "/api/messages/first/chats"),
	} {
		if list, _ := a.body["features"].([]any); !slices.Contains(list, any("qr")) || slices.Contains(list, any("messages")) {
			t.Errorf("%d %s", a.status, a.raw)
		}
	}
}
