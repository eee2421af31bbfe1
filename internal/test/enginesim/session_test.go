package enginesim_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"qrgate/internal/test/enginesim"
)

func TestCreate_Validation(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		body, contentType string
		want              int
	}{
		"good":              {`{"sessionId":"abc","sessionName":"x"}`, "application/json", 201},
		"name instead":      {`{"sessionId":"abc","name":"x"}`, "application/json", 201},
		"id too short":      {`{"sessionId":"ab","sessionName":"x"}`, "application/json", 400},
		"id too long":       {`{"sessionId":"` + strings.Repeat("a", 101) + `","sessionName":"x"}`, "application/json", 400},
		"id with a slash":   {`{"sessionId":"a/b","sessionName":"x"}`, "application/json", 400},
		"no name":           {`{"sessionId":"abc"}`, "application/json", 400},
		"name too long":     {`{"sessionId":"abc","sessionName":"` + strings.Repeat("x", 256) + `"}`, "application/json", 400},
		"no JSON":           {`sessionId=abc`, "application/json", 400},
		"not said to be so": {`{"sessionId":"abc","sessionName":"x"}`, "text/plain", 400},
		"too much":          {`{"sessionId":"abc","sessionName":"x","pad":"` + strings.Repeat("x", 1<<20) + `"}`, "application/json", 413},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, &enginesim.Engine{}, func(c *testClient) {
				c.want(c.do("POST", "/api/sessions", test.body, "Content-Type", test.contentType), test.want)
			})
		})
	}
}

func TestCreate_NamesUniquePerAccount(t *testing.T) {
	t.Parallel()
	bubble(t, &enginesim.Engine{Keys: map[string]string{"key-a": "a", "key-a2": "a", "key-b": "b"}}, func(c *testClient) {
		c.want(c.create("one"), 201)
		c.want(c.create("one"), 409)
		c.key = "key-a2"
		c.want(c.status("one"), 200)
		c.key = "key-b"
		c.want(c.status("1"), 404)
		c.want(c.do("DELETE", "/api/sessions/1", ""), 404)
		if list := c.want(c.do("GET", "/api/sessions", ""), 200).text; strings.Contains(list, "one") {
			t.Errorf("another account sees %s", list)
		}
		c.want(c.create("one"), 201)
		if c.status("one").body.Data["id"] != 2.0 {
			t.Error("one name leads to another account's session")
		}
		c.key = ""
		if got := c.want(c.status("1"), 401); got.body.Code != "MISSING_API_KEY" {
			t.Errorf("without a key: %s", got.text)
		}
	})
}

func TestCreate_NameOfDigits(t *testing.T) {
	t.Parallel()
	bubble(t, &enginesim.Engine{}, func(c *testClient) {
		c.want(c.create("one"), 201)
		c.want(c.create("001"), 201)
		c.want(c.create("777"), 201)
		for path, want := range map[string]any{"1": "one", "777": "777", "3": "777", "%37%37%37": "777"} {
			if got := c.status(path).body.Data["sessionId"]; got != want {
				t.Errorf("%s is %v, want %v", path, got, want)
			}
		}
	})
}

func TestDisconnectDeleteAndRestart(t *testing.T) {
	t.Parallel()
	bubble(t, &enginesim.Engine{}, func(c *testClient) {
		c.started()
		c.want(c.do("POST", "/api/sessions/1/disconnect", ""), 200)
		if c.state("1") != "disconnected" {
			t.Error("disconnect left the session", c.state("1"))
		}
		c.want(c.connect("1"), 200)
		c.engine.Restart()
		if c.state("1") != "disconnected" {
			t.Error("a restart left the session", c.state("1"))
		}
		c.want(c.do("POST", "/api/sessions/1/restart", ""), 200)
		c.want(c.qr("1"), 200)
		c.want(c.do("DELETE", "/api/sessions/1", ""), 200)
		c.want(c.do("DELETE", "/api/sessions/1", ""), 404)
	})
}

func TestList_FiltersAndPages(t *testing.T) {
	t.Parallel()
	bubble(t, &enginesim.Engine{}, func(c *testClient) {
		for i := range 12 {
			c.want(c.create("name-"+string(rune('a'+i))), 201)
		}
		c.connect("3")
		if text := c.do("GET", "/api/sessions?limit=200", "").text; !strings.Contains(text, `"limit":100`) {
			t.Errorf("a limit of 200 is taken as %s", text)
		}
		tests := map[string]int{
			"": 10, "?limit=200": 12, "?page=2": 2, "?page=9": 0, "?limit=5&page=3": 2,
			"?status=qr_code": 1, "?status=connected": 0, "?limit=-1": 10, "?limit=x": 10,
		}
		for query, want := range tests {
			sessions, _ := c.want(c.do("GET", "/api/sessions"+query, ""), 200).body.Data["sessions"].([]any)
			if len(sessions) != want {
				t.Errorf("%q shows %d sessions, want %d", query, len(sessions), want)
			}
		}
	})
}

func TestContacts_NeedLinkedPhone(t *testing.T) {
	t.Parallel()
	bubble(t, &enginesim.Engine{}, func(c *testClient) {
		c.started()
		for _, call := range []string{"GET contacts", "POST sync", "POST repair-conversations"} {
			method, route, _ := strings.Cut(call, " ")
			c.want(c.do(method, "/api/sessions/1/"+route, ""), 400)
		}
		_ = c.engine.Link("one")
		for _, call := range []string{"GET contacts", "POST sync", "POST repair-conversations"} {
			method, route, _ := strings.Cut(call, " ")
			c.want(c.do(method, "/api/sessions/1/"+route, ""), 200)
		}
	})
}

func TestConfigure(t *testing.T) {
	t.Parallel()
	bubble(t, &enginesim.Engine{}, func(c *testClient) {
		c.want(c.do("POST", "/api/sessions", `{"sessionId":"one","sessionName":"x"}`, "X-Frappe-Origin", "true"), 201)
		status := func() any { return c.do("GET", "/api/sessions/1/frappe/status", "").body.Data["sendToFrappe"] }
		if status() != true {
			t.Error("the header was not recorded")
		}
		c.want(c.do("POST", "/api/sessions/1/frappe/configure", `{"sendToFrappe":false}`), 200)
		if status() != false {
			t.Error("the setting was not kept")
		}
		c.want(c.do("POST", "/api/sessions", `{"sessionId":"two","sessionName":"x","fromFrappe":true}`), 201)
		if got := c.do("GET", "/api/sessions/2/frappe/status", "").body.Data["sendToFrappe"]; got != true {
			t.Error("the body was not recorded")
		}
		c.want(c.do("PUT", "/api/sessions/1/webhook", `{"webhookUrl":"https://crm.test/hook"}`), 200)
		if text := c.do("GET", "/api/sessions/1", "").text; !strings.Contains(text, "https://crm.test/hook") {
			t.Errorf("the webhook was not kept: %s", text)
		}
	})
}

func TestCalls_Recorded(t *testing.T) {
	t.Parallel()
	bubble(t, &enginesim.Engine{}, func(c *testClient) {
		c.started()
		sleep(5)
		since := time.Now()
		c.want(c.do("POST", "/api/sessions/one/connect?a=1", `{"force":true}`, "X-Mark", "m"), 200)
		c.do("GET", "/nothing", "")
		calls := c.engine.Calls()
		got := calls[2]
		if got.Route != enginesim.RouteConnect || got.Path != "/api/sessions/one/connect" || got.Query != "a=1" ||
			got.Account != "key-a" || got.Status != 200 || !got.At.Equal(since) || string(got.Body) != `{"force":true}` ||
			got.Header.Get("X-Mark") != "m" {
			t.Errorf("taken down: %+v", got)
		}
		counts := map[enginesim.Route]int{enginesim.RouteConnect: 1, enginesim.RouteCreate: 0, enginesim.AnyRoute: 2}
		for route, want := range counts {
			if got := c.engine.CountSince(route, since); got != want {
				t.Errorf("%s was called %d times, want %d", route, got, want)
			}
		}
		c.engine.Reset()
		if len(c.engine.Calls()) != 0 || len(c.engine.Snapshot()) != 0 {
			t.Error("a reset leaves something behind")
		}
		if !strings.Contains(c.create("one").text, `"id":1,`) {
			t.Error("ids go on after a reset")
		}
	})
}

func TestConditionalRequest(t *testing.T) {
	t.Parallel()
	bubble(t, &enginesim.Engine{Dates: func(time.Time) any { return "now" }}, func(c *testClient) {
		c.want(c.create("one"), 201)
		tag := c.want(c.status("1"), 200).header.Get("ETag")
		if !strings.HasPrefix(tag, `W/"`) {
			t.Errorf("the tag is %q", tag)
		}
		got := c.want(c.do("GET", "/api/sessions/1/status", "", "If-None-Match", tag), http.StatusNotModified)
		if got.text != "" {
			t.Errorf("not modified, with %q", got.text)
		}
	})
}

func TestStaleDatabase_OnlyLinkedSessions(t *testing.T) {
	t.Parallel()
	bubble(t, &enginesim.Engine{StaleDatabase: true}, func(c *testClient) {
		c.started()
		c.engine.Restart()
		if list := c.do("GET", "/api/sessions", "").text; !strings.Contains(list, `"status":"disconnected"`) {
			t.Errorf("a session that was never linked is %s", list)
		}
	})
}
