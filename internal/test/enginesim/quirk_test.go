package enginesim_test

import (
	"strings"
	"testing"
	"time"

	"qrgate/internal/test/enginesim"
)

// quirk is a field of the engine together with what it makes visible. Each is tried twice: with the field set the
// sign must show, and without it must not. So no check here can be one that is always true.
type quirk struct {
	set  func(*enginesim.Engine)
	sign func(*testClient) bool
}

func tryQuirks(t *testing.T, quirks map[string]quirk) {
	t.Helper()
	for name, q := range quirks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, on := range []bool{true, false} {
				engine := &enginesim.Engine{QRDelay: 4 * time.Second}
				if on {
					q.set(engine)
				}
				bubble(t, engine, func(c *testClient) {
					if got := q.sign(c); got != on {
						t.Errorf("set: %v, its sign shows: %v", on, got)
					}
				})
			}
		})
	}
}

func TestQuirks_Connect(t *testing.T) {
	t.Parallel()
	tryQuirks(t, map[string]quirk{
		"ConnectFailures": {
			set: func(e *enginesim.Engine) { e.ConnectFailures = 2 },
			sign: func(c *testClient) bool {
				c.create("one")
				first, second := c.connect("1"), c.connect("1")
				c.want(c.connect("1"), 200)
				return first.status == 500 && second.body.Code == "CONNECTION_ERROR" && len(second.text) == 117
			},
		},
		"ConnectFailures without end": {
			set: func(e *enginesim.Engine) { e.ConnectFailures = -1 },
			sign: func(c *testClient) bool {
				c.create("one")
				for range 20 {
					if c.connect("1").status != 500 {
						return false
					}
				}
				return true
			},
		},
		"StuckUntilReconnect": {
			set: func(e *enginesim.Engine) { e.StuckUntilReconnect = true },
			sign: func(c *testClient) bool {
				c.started()
				sleep(600)
				stuck := c.state("1") == "connecting"
				c.connect("1")
				sleep(4)
				c.want(c.qr("1"), 200)
				return stuck
			},
		},
		"StuckUntilForce": {
			set: func(e *enginesim.Engine) { e.StuckUntilForce = true },
			sign: func(c *testClient) bool {
				c.started()
				c.connect("1")
				sleep(600)
				stuck := c.state("1") == "connecting"
				c.do("POST", "/api/sessions/1/connect", `{"force":true}`)
				sleep(4)
				c.want(c.qr("1"), 200)
				return stuck
			},
		},
		"StuckUntilRestart": {
			set: func(e *enginesim.Engine) { e.StuckUntilRestart = true },
			sign: func(c *testClient) bool {
				c.started()
				c.do("POST", "/api/sessions/1/connect", `{"force":true}`)
				sleep(600)
				stuck := c.state("1") == "connecting"
				c.want(c.do("POST", "/api/sessions/1/restart", ""), 200)
				sleep(4)
				c.want(c.qr("1"), 200)
				return stuck
			},
		},
		"EveryConnectStartsOver": {
			set: func(e *enginesim.Engine) { e.EveryConnectStartsOver = true },
			sign: func(c *testClient) bool {
				c.started()
				sleep(3)
				c.connect("1")
				sleep(1)
				late := c.qr("1").status == 500
				sleep(3)
				c.want(c.qr("1"), 200)
				return late
			},
		},
		"ErrorInsteadOfQR": {
			set: func(e *enginesim.Engine) { e.ErrorInsteadOfQR = true },
			sign: func(c *testClient) bool {
				c.started()
				sleep(4)
				return c.state("1") == "error" && c.qr("1").status == 500
			},
		},
		"QRAfterAsks": {
			set: func(e *enginesim.Engine) { e.QRAfterRequests = 2 },
			sign: func(c *testClient) bool {
				c.started()
				sleep(60)
				first, second := c.qr("1"), c.qr("1")
				c.want(c.qr("1"), 200)
				return first.status == 500 && second.status == 500
			},
		},
		"ConnectLatency": {
			set: func(e *enginesim.Engine) { e.ConnectLatency = 131 * time.Millisecond },
			sign: func(c *testClient) bool {
				begin := time.Now()
				c.started()
				return time.Since(begin) == 131*time.Millisecond
			},
		},
		"QRLatency": {
			set: func(e *enginesim.Engine) { e.QRLatency = 73 * time.Millisecond },
			sign: func(c *testClient) bool {
				c.started()
				begin := time.Now()
				c.qr("1")
				return time.Since(begin) == 73*time.Millisecond
			},
		},
		"Latency": {
			set: func(e *enginesim.Engine) { e.Latency = time.Second },
			sign: func(c *testClient) bool {
				begin := time.Now()
				c.do("GET", "/health", "")
				return time.Since(begin) == time.Second
			},
		},
	})
}

func TestQuirks_Create(t *testing.T) {
	t.Parallel()
	immediately := func(e *enginesim.Engine) { e.CreateConnects, e.QRDelay = true, 0 }
	tryQuirks(t, map[string]quirk{
		"CreateConnects": {
			set: func(e *enginesim.Engine) { e.CreateConnects = true },
			sign: func(c *testClient) bool {
				c.create("one")
				sleep(4)
				return c.qr("1").status == 200
			},
		},
		"CreateCarriesQR": {
			set: func(e *enginesim.Engine) { immediately(e); e.CreateCarriesQR = true },
			sign: func(c *testClient) bool {
				return strings.Contains(c.create("one").text, `"qrCode":"data:image/png`)
			},
		},
		"CreateFlat": {
			set: func(e *enginesim.Engine) { e.CreateShape = enginesim.CreateFlat },
			sign: func(c *testClient) bool {
				data := c.create("one").body.Data
				return data["id"] == 1.0 && data["session"] == nil
			},
		},
		"CreateBoth": {
			set: func(e *enginesim.Engine) { e.CreateShape = enginesim.CreateBoth },
			sign: func(c *testClient) bool {
				data := c.create("one").body.Data
				return data["id"] == 1.0 && data["session"] != nil
			},
		},
		"FirstID": {
			set:  func(e *enginesim.Engine) { e.FirstID = 429 },
			sign: func(c *testClient) bool { return strings.Contains(c.create("one").text, `"id":429`) },
		},
		"Keys": {
			set:  func(e *enginesim.Engine) { e.Keys = map[string]string{"other": "account"} },
			sign: func(c *testClient) bool { return c.create("one").body.Code == "INVALID_API_KEY" },
		},
	})
}

func TestQuirks_Read(t *testing.T) {
	t.Parallel()
	tryQuirks(t, map[string]quirk{
		"Status404UntilLinked": {
			set: func(e *enginesim.Engine) { e.Status404UntilLinked = true },
			sign: func(c *testClient) bool {
				c.started()
				hidden := c.status("1").body.Code == "SESSION_NOT_FOUND"
				sleep(4)
				c.want(c.qr("1"), 200)
				_ = c.engine.Link("one")
				c.want(c.status("1"), 200)
				return hidden
			},
		},
		"Status404WithoutSocket": {
			set: func(e *enginesim.Engine) { e.Status404WithoutSocket = true },
			sign: func(c *testClient) bool {
				c.create("one")
				hidden := c.status("1").status == 404
				c.connect("1")
				c.want(c.status("1"), 200)
				c.engine.Restart()
				return hidden && c.status("1").status == 404
			},
		},
		"StaleDatabase": {
			set: func(e *enginesim.Engine) { e.StaleDatabase = true },
			sign: func(c *testClient) bool {
				c.started()
				sleep(4)
				_ = c.engine.Link("one")
				c.engine.Restart()
				list := c.do("GET", "/api/sessions", "").text
				return strings.Contains(list, `"status":"connected"`) && strings.Contains(list, `"isConnected":false`) &&
					c.state("1") == "disconnected"
			},
		},
		"ContactsDropSession": {
			set: func(e *enginesim.Engine) { e.ContactsDropSession = true },
			sign: func(c *testClient) bool {
				c.started()
				sleep(4)
				_ = c.engine.Link("one")
				c.want(c.do("GET", "/api/sessions/1/contacts", ""), 200)
				return c.state("1") == "disconnected"
			},
		},
		"DiesAt": {
			set: func(e *enginesim.Engine) {
				e.DiesAt = bubbleStart().Add(6 * time.Second)
			},
			sign: func(c *testClient) bool {
				c.started()
				sleep(4)
				c.want(c.qr("1"), 200)
				sleep(2)
				dead := c.state("1") == "disconnected"
				c.connect("1") // it dies only once
				sleep(4)
				c.want(c.qr("1"), 200)
				return dead
			},
		},
		"DownFor": {
			set: func(e *enginesim.Engine) {
				e.DiesAt, e.DownFor = bubbleStart(), time.Minute
			},
			sign: func(c *testClient) bool {
				cut := c.do("GET", "/health", "").err != nil
				sleep(60)
				c.want(c.do("GET", "/health", ""), 200)
				return cut
			},
		},
		"PageSize": {
			set: func(e *enginesim.Engine) { e.PageSize = 1 },
			sign: func(c *testClient) bool {
				c.create("one")
				c.create("two")
				list := c.do("GET", "/api/sessions", "").text
				return !strings.Contains(list, `"one"`) && strings.Contains(list, `"pages":2`)
			},
		},
		"StrictLimit": {
			set:  func(e *enginesim.Engine) { e.StrictLimit = true },
			sign: func(c *testClient) bool { return c.do("GET", "/api/sessions?limit=200", "").status == 400 },
		},
	})
}

// bubbleStart is when every bubble of testing/synctest begins.
func bubbleStart() time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) }
