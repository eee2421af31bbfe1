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
	sign func(*desk) bool
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
				bubble(t, engine, func(d *desk) {
					if got := q.sign(d); got != on {
						t.Errorf("set: %v, its sign shows: %v", on, got)
					}
				})
			}
		})
	}
}

func TestQuirksOfConnecting(t *testing.T) {
	t.Parallel()
	tryQuirks(t, map[string]quirk{
		"ConnectFailures": {
			set: func(e *enginesim.Engine) { e.ConnectFailures = 2 },
			sign: func(d *desk) bool {
				d.create("one")
				first, second := d.connect("1"), d.connect("1")
				d.want(d.connect("1"), 200)
				return first.status == 500 && second.body.Code == "CONNECTION_ERROR" && len(second.text) == 117
			},
		},
		"ConnectFailures without end": {
			set: func(e *enginesim.Engine) { e.ConnectFailures = -1 },
			sign: func(d *desk) bool {
				d.create("one")
				for range 20 {
					if d.connect("1").status != 500 {
						return false
					}
				}
				return true
			},
		},
		"StuckUntilReconnect": {
			set: func(e *enginesim.Engine) { e.StuckUntilReconnect = true },
			sign: func(d *desk) bool {
				d.started()
				sleep(600)
				stuck := d.state("1") == "connecting"
				d.connect("1")
				sleep(4)
				d.want(d.qr("1"), 200)
				return stuck
			},
		},
		"StuckUntilForce": {
			set: func(e *enginesim.Engine) { e.StuckUntilForce = true },
			sign: func(d *desk) bool {
				d.started()
				d.connect("1")
				sleep(600)
				stuck := d.state("1") == "connecting"
				d.do("POST", "/api/sessions/1/connect", `{"force":true}`)
				sleep(4)
				d.want(d.qr("1"), 200)
				return stuck
			},
		},
		"StuckUntilRestart": {
			set: func(e *enginesim.Engine) { e.StuckUntilRestart = true },
			sign: func(d *desk) bool {
				d.started()
				d.do("POST", "/api/sessions/1/connect", `{"force":true}`)
				sleep(600)
				stuck := d.state("1") == "connecting"
				d.want(d.do("POST", "/api/sessions/1/restart", ""), 200)
				sleep(4)
				d.want(d.qr("1"), 200)
				return stuck
			},
		},
		"EveryConnectStartsOver": {
			set: func(e *enginesim.Engine) { e.EveryConnectStartsOver = true },
			sign: func(d *desk) bool {
				d.started()
				sleep(3)
				d.connect("1")
				sleep(1)
				late := d.qr("1").status == 500
				sleep(3)
				d.want(d.qr("1"), 200)
				return late
			},
		},
		"ErrorInsteadOfQR": {
			set: func(e *enginesim.Engine) { e.ErrorInsteadOfQR = true },
			sign: func(d *desk) bool {
				d.started()
				sleep(4)
				return d.state("1") == "error" && d.qr("1").status == 500
			},
		},
		"QRAfterAsks": {
			set: func(e *enginesim.Engine) { e.QRAfterAsks = 2 },
			sign: func(d *desk) bool {
				d.started()
				sleep(60)
				first, second := d.qr("1"), d.qr("1")
				d.want(d.qr("1"), 200)
				return first.status == 500 && second.status == 500
			},
		},
		"ConnectLatency": {
			set: func(e *enginesim.Engine) { e.ConnectLatency = 131 * time.Millisecond },
			sign: func(d *desk) bool {
				begin := time.Now()
				d.started()
				return time.Since(begin) == 131*time.Millisecond
			},
		},
		"QRLatency": {
			set: func(e *enginesim.Engine) { e.QRLatency = 73 * time.Millisecond },
			sign: func(d *desk) bool {
				d.started()
				begin := time.Now()
				d.qr("1")
				return time.Since(begin) == 73*time.Millisecond
			},
		},
		"Latency": {
			set: func(e *enginesim.Engine) { e.Latency = time.Second },
			sign: func(d *desk) bool {
				begin := time.Now()
				d.do("GET", "/health", "")
				return time.Since(begin) == time.Second
			},
		},
	})
}

func TestQuirksOfCreating(t *testing.T) {
	t.Parallel()
	immediately := func(e *enginesim.Engine) { e.CreateConnects, e.QRDelay = true, 0 }
	tryQuirks(t, map[string]quirk{
		"CreateConnects": {
			set: func(e *enginesim.Engine) { e.CreateConnects = true },
			sign: func(d *desk) bool {
				d.create("one")
				sleep(4)
				return d.qr("1").status == 200
			},
		},
		"CreateCarriesQR": {
			set: func(e *enginesim.Engine) { immediately(e); e.CreateCarriesQR = true },
			sign: func(d *desk) bool {
				return strings.Contains(d.create("one").text, `"qrCode":"data:image/png`)
			},
		},
		"CreateFlat": {
			set: func(e *enginesim.Engine) { e.CreateShape = enginesim.CreateFlat },
			sign: func(d *desk) bool {
				data := d.create("one").body.Data
				return data["id"] == 1.0 && data["session"] == nil
			},
		},
		"CreateBoth": {
			set: func(e *enginesim.Engine) { e.CreateShape = enginesim.CreateBoth },
			sign: func(d *desk) bool {
				data := d.create("one").body.Data
				return data["id"] == 1.0 && data["session"] != nil
			},
		},
		"FirstID": {
			set:  func(e *enginesim.Engine) { e.FirstID = 429 },
			sign: func(d *desk) bool { return strings.Contains(d.create("one").text, `"id":429`) },
		},
		"Keys": {
			set:  func(e *enginesim.Engine) { e.Keys = map[string]string{"other": "account"} },
			sign: func(d *desk) bool { return d.create("one").body.Code == "INVALID_API_KEY" },
		},
	})
}

func TestQuirksOfAsking(t *testing.T) {
	t.Parallel()
	tryQuirks(t, map[string]quirk{
		"Status404UntilLinked": {
			set: func(e *enginesim.Engine) { e.Status404UntilLinked = true },
			sign: func(d *desk) bool {
				d.started()
				hidden := d.status("1").body.Code == "SESSION_NOT_FOUND"
				sleep(4)
				d.want(d.qr("1"), 200)
				_ = d.engine.Link("one")
				d.want(d.status("1"), 200)
				return hidden
			},
		},
		"Status404WithoutSocket": {
			set: func(e *enginesim.Engine) { e.Status404WithoutSocket = true },
			sign: func(d *desk) bool {
				d.create("one")
				hidden := d.status("1").status == 404
				d.connect("1")
				d.want(d.status("1"), 200)
				d.engine.Restart()
				return hidden && d.status("1").status == 404
			},
		},
		"StaleDatabase": {
			set: func(e *enginesim.Engine) { e.StaleDatabase = true },
			sign: func(d *desk) bool {
				d.started()
				sleep(4)
				_ = d.engine.Link("one")
				d.engine.Restart()
				list := d.do("GET", "/api/sessions", "").text
				return strings.Contains(list, `"status":"connected"`) && strings.Contains(list, `"isConnected":false`) &&
					d.state("1") == "disconnected"
			},
		},
		"ContactsDropSession": {
			set: func(e *enginesim.Engine) { e.ContactsDropSession = true },
			sign: func(d *desk) bool {
				d.started()
				sleep(4)
				_ = d.engine.Link("one")
				d.want(d.do("GET", "/api/sessions/1/contacts", ""), 200)
				return d.state("1") == "disconnected"
			},
		},
		"DiesAt": {
			set: func(e *enginesim.Engine) {
				e.DiesAt = bubbleStart().Add(6 * time.Second)
			},
			sign: func(d *desk) bool {
				d.started()
				sleep(4)
				d.want(d.qr("1"), 200)
				sleep(2)
				dead := d.state("1") == "disconnected"
				d.connect("1") // it dies only once
				sleep(4)
				d.want(d.qr("1"), 200)
				return dead
			},
		},
		"DownFor": {
			set: func(e *enginesim.Engine) {
				e.DiesAt, e.DownFor = bubbleStart(), time.Minute
			},
			sign: func(d *desk) bool {
				cut := d.do("GET", "/health", "").err != nil
				sleep(60)
				d.want(d.do("GET", "/health", ""), 200)
				return cut
			},
		},
		"PageSize": {
			set: func(e *enginesim.Engine) { e.PageSize = 1 },
			sign: func(d *desk) bool {
				d.create("one")
				d.create("two")
				list := d.do("GET", "/api/sessions", "").text
				return !strings.Contains(list, `"one"`) && strings.Contains(list, `"pages":2`)
			},
		},
		"StrictLimit": {
			set:  func(e *enginesim.Engine) { e.StrictLimit = true },
			sign: func(d *desk) bool { return d.do("GET", "/api/sessions?limit=200", "").status == 400 },
		},
	})
}

// bubbleStart is when every bubble of testing/synctest begins.
func bubbleStart() time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) }
