package enginesim_test

import (
	"strings"
	"testing"
	"time"

	"qrgate/internal/test/enginesim"
)

// shown is the QR's response once the code is there.
func shown(c *testClient) reply {
	c.started()
	sleep(4)
	return c.want(c.qr("1"), 200)
}

func TestDialects(t *testing.T) {
	t.Parallel()
	tryQuirks(t, map[string]quirk{
		"States": {
			set: func(e *enginesim.Engine) { e.States = map[enginesim.Phase]string{enginesim.Showing: "pending"} },
			sign: func(c *testClient) bool {
				return shown(c).body.Data["status"] == "pending" && c.state("1") == "pending"
			},
		},
		"QRFieldName": {
			set: func(e *enginesim.Engine) { e.QRFieldName = "qr" },
			sign: func(c *testClient) bool {
				data := shown(c).body.Data
				return data["qr"] != nil && data["qrCode"] == nil
			},
		},
		"BareBase64": {
			set: func(e *enginesim.Engine) { e.BareBase64 = true },
			sign: func(c *testClient) bool {
				text, _ := shown(c).body.Data["qrCode"].(string)
				return strings.HasPrefix(text, "iVBOR")
			},
		},
		"RawCode": {
			set: func(e *enginesim.Engine) { e.RawCode = true },
			sign: func(c *testClient) bool {
				return shown(c).body.Data["qrCode"] == c.engine.Snapshot()[0].Code
			},
		},
		"NoExpiry": {
			set: func(e *enginesim.Engine) { e.NoExpiry = true },
			sign: func(c *testClient) bool {
				return !strings.Contains(shown(c).text+c.do("GET", "/api/sessions", "").text, "xpires")
			},
		},
		"ListHidesQR": {
			set: func(e *enginesim.Engine) { e.ListHidesQR = true },
			sign: func(c *testClient) bool {
				shown(c)
				return strings.Contains(c.do("GET", "/api/sessions", "").text, `"qrCode":null`)
			},
		},
		"ListLags": {
			set: func(e *enginesim.Engine) { e.ListLags = true },
			sign: func(c *testClient) bool {
				shown(c)
				return strings.Contains(c.do("GET", "/api/sessions", "").text, `"status":"connecting"`)
			},
		},
		"NumericIDsOnly": {
			set: func(e *enginesim.Engine) { e.NumericIDsOnly = true },
			sign: func(c *testClient) bool {
				c.started()
				return c.status("one").status == 404 && c.status("1").status == 200
			},
		},
		"StringIDsOnly": {
			set: func(e *enginesim.Engine) { e.StringIDsOnly = true },
			sign: func(c *testClient) bool {
				c.create("one")
				return c.status("1").status == 404 && c.status("one").status == 200
			},
		},
		"NullLastActivity": {
			set: func(e *enginesim.Engine) { e.NullLastActivity = true },
			sign: func(c *testClient) bool {
				c.started()
				return strings.Contains(c.status("1").text, `"lastActivity":null`) &&
					strings.Contains(c.do("GET", "/api/sessions", "").text, `"lastActivity":null`)
			},
		},
		"NumericBooleans": {
			set: func(e *enginesim.Engine) { e.NumericBooleans = true },
			sign: func(c *testClient) bool {
				c.started()
				return strings.Contains(c.status("1").text, `"isConnected":0,"hasQR":0`)
			},
		},
		"Dates": {
			set:  func(e *enginesim.Engine) { e.Dates = func(t time.Time) any { return t.Unix() } },
			sign: func(c *testClient) bool { return shown(c).body.Data["expiresAt"] == float64(946684864) },
		},
		"ClockSkew": {
			set: func(e *enginesim.Engine) { e.ClockSkew = time.Hour },
			sign: func(c *testClient) bool {
				got := shown(c)
				return got.body.Data["expiresAt"] == "2000-01-01T01:01:04.000Z" &&
					got.header.Get("Date") == "Sat, 01 Jan 2000 01:00:04 GMT"
			},
		},
		"QRLife": {
			set:  func(e *enginesim.Engine) { e.QRTTL = 20 * time.Second },
			sign: func(c *testClient) bool { return shown(c).body.Data["expiresAt"] == "2000-01-01T00:00:24.000Z" },
		},
		"Codes": {
			set: func(e *enginesim.Engine) { e.Codes = func(s string, n int) string { return s + string(rune('0'+n)) } },
			sign: func(c *testClient) bool {
				shown(c)
				return c.engine.Snapshot()[0].Code == "one1"
			},
		},
	})
}

func TestNotYet_Status(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		status int
		null   bool
		want   string // at the beginning of the body
	}{
		"500":       {500, false, `{"success":false,"error":`},
		"202":       {202, false, `{"success":false,"error":`},
		"200":       {200, false, `{"success":false,"error":`},
		"200, null": {200, true, `{"success":true,"data":{"qrCode":null`},
		"404":       {404, false, `{"success":false`},
		"425":       {425, false, `{"success":false`},
		"503":       {503, false, `{"success":false`},
		"204":       {204, false, ``},
		"502":       {502, false, "<html>\r\n<head><title>502 Bad Gateway"},
		"504":       {504, false, "<html>\r\n<head><title>504 Gateway Timeout"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			engine := &enginesim.Engine{QRDelay: time.Second, NotYet: test.status, NotYetNull: test.null}
			bubble(t, engine, func(c *testClient) {
				c.started()
				got := c.want(c.qr("1"), test.status)
				if !strings.HasPrefix(got.text, test.want) || test.want == "" && got.text != "" {
					t.Errorf("the body is %.80q", got.text)
				}
				sleep(1)
				c.want(c.qr("1"), 200)
			})
		})
	}
}
