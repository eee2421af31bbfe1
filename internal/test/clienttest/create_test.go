package clienttest_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/internal/test/clienttest"
	"qrgate/internal/test/enginesim"
)

func slow(d time.Duration, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server would not see the client leave
		select {
		case <-time.After(d):
			h(w, r)
		case <-r.Context().Done():
		}
	}
}

func TestCreateSession_PauseDependsOnResponse(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		qr   http.HandlerFunc
		want []int
	}{
		"500":              {say(500, `{"success":false}`), []int{0, 5, 10}},
		"500 without body": {say(500, ``), []int{0, 5, 10}},
		"500 in HTML":      {say(500, `<html>`), []int{0, 3, 6}},
		"502 in HTML":      {say(502, `<html>`), []int{0, 5, 10}},
		"200 false":        {say(200, `{"success":false}`), []int{0, 5, 10}},
		"200 in HTML":      {say(200, `<html>`), []int{0, 3, 6}},
		"202":              {say(202, `{"success":false}`), []int{0, 5, 10}},
		"404":              {say(404, `{"success":false}`), []int{0, 5, 10}},
		"429":              {say(429, `{"success":false}`), []int{0}},
		"waits for 14 s":   {slow(14*time.Second, say(202, `{}`)), []int{0, 19, 38}},
		"waits for 16 s":   {slow(16*time.Second, say(202, `{}`)), []int{0, 20, 40}},
	}
	for name, test := range tests {
		r := run(t, clienttest.CreateSession, replaceRoute(&enginesim.Engine{}, "/qr", test.qr))
		if diff := cmp.Diff(test.want, times(r, "/qr")); diff != "" || r.Err != nil {
			t.Errorf("%s: ended with %v\n%s", name, r.Err, diff)
		}
	}
}

func TestCreateSession_FailsAsOne(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		suffix  string
		handler http.HandlerFunc
		want    string
	}{
		"create without data.session": {"/api/sessions", say(201, `{"success":true,"data":{"id":1}}`), "abort"},
		"create with 202":             {"/api/sessions", say(202, `{"success":true}`), "abort"},
		"create with 200":             {"/api/sessions", say(200, `{"success":true,"data":{"session":{"id":1}}}`), "none"},
		"create in HTML":              {"/api/sessions", say(201, `<html>`), "crash"},
		"create takes 31 s":           {"/api/sessions", slow(31*time.Second, say(201, `{}`)), "crash"},
		"status null":                 {"/status", say(200, `{"success":true,"data":{"status":null}}`), "crash"},
		"status takes 31 s":           {"/status", slow(31*time.Second, say(200, `{}`)), "crash"},
		"status 404":                  {"/status", say(404, `{"success":false}`), "qr"},
		"connect takes 11 s":          {"/connect", slow(11*time.Second, say(200, `{}`)), "none"}, // ignored; not connected here
		"connect 500":                 {"/connect", say(500, `{}`), "none"},
	}
	for name, test := range tests {
		if got := outcome(run(t, clienttest.CreateSession, replaceRoute(&enginesim.Engine{}, test.suffix, test.handler))); got != test.want {
			t.Errorf("%s: ends with %s, want %s", name, got, test.want)
		}
	}
}

func TestCreateSession_ConnectTimeoutTenSeconds(t *testing.T) {
	t.Parallel()
	r := run(t, clienttest.CreateSession, &enginesim.Engine{ConnectLatency: time.Minute})
	if diff := cmp.Diff([]int{10}, times(r, "/status")); diff != "" || r.Err != nil {
		t.Errorf("ended with %v\n%s", r.Err, diff)
	}
}

func TestCreateSession_StripsPrefix(t *testing.T) {
	t.Parallel()
	for _, bare := range []bool{false, true} {
		r := run(t, clienttest.CreateSession, &enginesim.Engine{BareBase64: bare})
		if !strings.HasPrefix(r.QR, "iVBOR") {
			t.Errorf("bare %v: it holds %.20q", bare, r.QR)
		}
	}
}

func TestCreateSession_SendsOrigin(t *testing.T) {
	t.Parallel()
	engine := &enginesim.Engine{}
	run(t, clienttest.CreateSession, engine)
	call := engine.Calls()[0]
	if call.Header.Get("X-Frappe-Origin") != "true" || !strings.Contains(string(call.Body), `"fromFrappe":true`) {
		t.Errorf("create sent %s with %v", call.Body, call.Header)
	}
}

// A time-out is a pause between bytes, as in Python: a slow body of many pieces is no time-out.
func TestTimeout_CountsAsPause(t *testing.T) {
	t.Parallel()
	slow := enginesim.Fault{Kind: enginesim.SlowBody, ByteInterval: 9 * time.Second}
	for route, want := range map[enginesim.Route]string{enginesim.RouteStatus: "qr", enginesim.RouteConnect: "qr"} {
		engine := &enginesim.Engine{Faults: map[enginesim.Route]enginesim.Fault{route: slow}}
		r := run(t, clienttest.CreateSession, engine)
		if got := outcome(r); got != want || r.Took < 10*time.Minute {
			t.Errorf("slow %s: ends with %s after %v", route, got, r.Took)
		}
	}
}

func TestBaseClient_ThreeAttempts(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		handler http.HandlerFunc
		want    []int
		claims  bool
	}{
		"200":      {say(200, `{}`), []int{0}, true},
		"201":      {say(201, `{}`), []int{0}, true},
		"400":      {say(400, `{}`), []int{0}, false},
		"404":      {say(404, `{}`), []int{0}, false},
		"429":      {say(429, `{}`), []int{0, 0, 0}, false},
		"500":      {say(500, `{}`), []int{0, 0, 0}, false},
		"502":      {say(502, `<html>`), []int{0, 0, 0}, false},
		"202":      {say(202, `{}`), []int{0, 1, 3}, false},
		"204":      {say(204, ``), []int{0, 1, 3}, false},
		"too slow": {slow(40*time.Second, say(200, `{}`)), []int{0, 31, 63}, false},
	}
	for name, test := range tests {
		r := run(t, clienttest.Send, replaceRoute(&enginesim.Engine{}, "/send", test.handler))
		if diff := cmp.Diff(test.want, times(r, "/send")); diff != "" || r.Claims != test.claims {
			t.Errorf("%s: claims %v\n%s", name, r.Claims, diff)
		}
	}
}

func TestSessionStatus_UnexpectedBodyCrashes(t *testing.T) {
	t.Parallel()
	if got := outcome(run(t, clienttest.SessionStatus, &enginesim.Engine{NullLastActivity: true})); got != "crash" {
		t.Errorf("lastActivity null: ends with %s", got)
	}
	engine := &enginesim.Engine{}
	var posted atomic.Bool
	h := replaceRoute(engine, "/api/sessions", func(w http.ResponseWriter, r *http.Request) {
		if posted.CompareAndSwap(false, true) {
			engine.ServeHTTP(w, r)
			return
		}
		say(200, `{"success":true,"data":{"sessions":[]}}`)(w, r)
	})
	if got := outcome(run(t, clienttest.SessionStatus, h)); got != "crash" {
		t.Errorf("not in the list: ends with %s", got)
	}
	if got := outcome(run(t, clienttest.SessionStatus, &enginesim.Engine{StrictLimit: true})); got != "abort" {
		t.Errorf("a limit of 200 refused: ends with %s", got)
	}
}
