package app_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"qrgate/internal/test/enginesim"
)

// Clients use the integer and the sessionId alike; engines have refused the one or the other.
func TestC09_BothIdentifiersEverywhere(t *testing.T) {
	names := []string{"crm-1", "5550100", "stats", "frappe", "a_b-C", strings.Repeat("x", 100)}
	for _, name := range names {
		t.Run(name[:min(len(name), 12)], func(t *testing.T) {
			bubble(t, &enginesim.Engine{NumericIDsOnly: true, FirstID: 61, QRDelay: time.Second}, func(r *rig) {
				r.create(name)
				r.connect(name)
				for _, id := range []string{name, "61"} {
					r.speaksOf(id, name)
				}
				r.reboot() // nothing is in mind any more
				for _, id := range []string{"61", name} {
					r.speaksOf(id, name)
				}
			})
		})
	}
}

// speaksOf requests a session by id on every route that reads, and checks that both its ids come back.
func (r *rig) speaksOf(id, name string) {
	r.Helper()
	for _, route := range []string{"/qr", "/status", "", "/qr/status"} {
		if id == "stats" && route == "" {
			continue // a route of its own, which precedes the parameter
		}
		res := r.get("/api/sessions/" + id + route)
		if res.StatusCode != http.StatusOK || res.text("data.id") != "61" || res.text("data.sessionId") != name {
			r.Errorf("GET %s%s: %d %.200s", id, route, res.StatusCode, res.body)
		}
	}
}

// Every route that changes something takes both too.
func TestC09_BothIdentifiersChange(t *testing.T) {
	for _, id := range []string{"crm-1", "61"} {
		t.Run(id, func(t *testing.T) {
			bubble(t, &enginesim.Engine{NumericIDsOnly: true, FirstID: 61}, func(r *rig) {
				r.create("crm-1")
				r.reboot()
				for _, verb := range []string{"connect", "restart", "disconnect"} {
					res := r.post("/api/sessions/"+id+"/"+verb, "")
					res.wants(http.StatusOK)
					if res.text("data.id") != "61" || res.text("data.sessionId") != "crm-1" {
						r.Errorf("%s: %s", verb, res.body)
					}
				}
				r.send("DELETE", "/api/sessions/"+id, "").wants(http.StatusOK)
				if left := len(r.engine.Snapshot()); left != 0 {
					r.Errorf("%d sessions are left", left)
				}
			})
		})
	}
}

// The static routes stay ahead of the parameter.
func TestC09_StaticRoutes(t *testing.T) {
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		r.create("crm-1")
		for path, route := range map[string]string{"/stats": "stats", "/frappe/sessions": "frappe-sessions", "/crm-1/frappe/status": "frappe-status"} {
			req, _ := http.NewRequest("GET", r.base+"/api/sessions"+path, nil)
			req.Header.Set("X-API-Key", "key-a")
			res, err := r.checker.next.RoundTrip(req) // these pass through as they are
			if err != nil {
				r.Fatal(err)
			}
			_ = res.Body.Close()
			if got := res.Header.Get("X-Route"); got != route || res.StatusCode != http.StatusOK {
				r.Errorf("%s reached the engine's %q: %d", path, got, res.StatusCode)
			}
		}
	})
}

// A connect has no body, an empty one, {} or {"force":true}.
func TestC10_ConnectBody(t *testing.T) {
	for name, body := range map[string]string{"none": "", "empty object": "{}", "force": `{"force":true}`, "blank": " \n"} {
		t.Run(name, func(t *testing.T) {
			bubble(t, &enginesim.Engine{QRDelay: time.Second, States: map[enginesim.Phase]string{enginesim.Connecting: "pending"}}, func(r *rig) {
				id := r.create("crm-1")
				for range 2 {
					res := r.post("/api/sessions/"+id+"/connect", body)
					res.wants(http.StatusOK)
					if res.text("data.status") != "connecting" || res.text("data.id") != id || res.text("data.sessionId") != "crm-1" || res.text("message") == "" {
						r.Errorf("connect: %s", res.body)
					}
				}
				forced := false
				for _, c := range r.engine.Calls() {
					forced = forced || strings.Contains(string(c.Body), "force")
				}
				if forced != (name == "force") {
					r.Errorf("the engine was asked to force: %t", forced)
				}
				r.qr(id)
			})
		})
	}
}

// id and hasQR are in /status even if the engine leaves them out, and the booleans are booleans.
func TestC11_StatusBody(t *testing.T) {
	bodies := map[string]string{
		"as documented first": `{"success":true,"data":{"sessionId":"crm-1","status":"connected","phoneNumber":null,"lastActivity":null,"isConnected":true}}`,
		"numeric booleans":    `{"success":true,"data":{"sessionId":"crm-1","status":"connected","isConnected":1,"hasQR":0}}`,
		"nested":              `{"success":true,"data":{"session":{"id":1,"sessionId":"crm-1","status":"CONNECTED","isConnected":true}}}`,
	}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			bubble(t, &enginesim.Engine{}, func(r *rig) {
				r.create("crm-1")
				res := r.get("/api/sessions/crm-1/status")
				res.wants(http.StatusOK)
				if res.text("data.id") != "1" || res.at("data.isConnected") != true || res.at("data.hasQR") != false ||
					res.text("data.status") != "connected" || res.text("data.lastActivity") == "" {
					r.Errorf("/status: %s", res.body)
				}
				r.get("/api/sessions/crm-1/qr?wait=0").wantsCode(http.StatusConflict, "SESSION_ALREADY_CONNECTED") // qrgate knows it now
			}, replaced("GET", "/api/sessions/1/status", http.StatusOK, body))
		})
	}
}

// Numeric booleans of an engine are booleans of qrgate; the wizard takes 1 for a no.
func TestC11_NumericBooleans(t *testing.T) {
	bubble(t, &enginesim.Engine{NumericBooleans: true, NullLastActivity: true}, func(r *rig) {
		id := r.create("crm-1")
		r.connect(id)
		r.qr(id)
		if err := r.engine.Link(id); err != nil {
			r.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		for path, at := range map[string]string{"/" + id + "/status": "data", "": "data.sessions.0", "/" + id: "data.session"} {
			res := r.get("/api/sessions" + path)
			if res.at(at+".isConnected") != true || res.at(at+".hasQR") != false || res.text(at+".lastActivity") == "" {
				r.Errorf("%s: %s", path, res.body)
			}
		}
	})
}

// A filter of the list passes untouched, and a limit above 100 is cut down to it.
func TestC12_C13_ListQuery(t *testing.T) {
	for query, want := range map[string]string{
		"":                                 "",
		"?status=rate_limited&page=2":      "status=rate_limited&page=2",
		"?limit=100":                       "limit=100",
		"?limit=5&status=qr_code":          "limit=5&status=qr_code",
		"?page=1&limit=200":                "limit=100&page=1",
		"?limit=200&status=a%2Cb":          "limit=100&status=a%2Cb",
		"?limit=999999999999999999999":     "limit=100",
		"?limit=101&limit=7&includes=x%20": "limit=100&includes=x+",
	} {
		t.Run(query, func(t *testing.T) {
			bubble(t, &enginesim.Engine{StrictLimit: true}, func(r *rig) {
				r.get("/api/sessions" + query).wants(http.StatusOK)
				if got := r.engine.Calls()[0].Query; !sameQuery(got, want) {
					r.Errorf("the engine was asked %q, want %q", got, want)
				}
			})
		})
	}
}

// sameQuery compares without regard to order.
func sameQuery(a, b string) bool {
	x, y := strings.Split(a, "&"), strings.Split(b, "&")
	for _, part := range x {
		if !strings.Contains("&"+b+"&", "&"+part+"&") {
			return false
		}
	}
	return len(x) == len(y)
}

// Engines have five forms of the list; clients read data.sessions, data.pagination and data.total.
func TestC14_ListFrame(t *testing.T) {
	const item = `[{"id":61,"sessionId":"crm-1","sessionName":"Test","status":"DISCONNECTED","lastActivity":null}]`
	for name, body := range map[string]string{
		"data.sessions": `{"success":true,"data":{"sessions":` + item + `}}`,
		"data.items":    `{"success":true,"data":{"items":` + item + `,"total":1}}`,
		"data.data":     `{"success":true,"data":{"data":` + item + `}}`,
		"a bare list":   `{"success":true,"data":` + item + `}`,
		"at the top":    `{"success":true,"sessions":` + item + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, &enginesim.Engine{}, func(r *rig) {
				res := r.get("/api/sessions?page=1&limit=20")
				res.wants(http.StatusOK)
				one := "data.sessions.0"
				if res.text(one+".id") != "61" || res.text(one+".status") != "disconnected" || res.text(one+".lastActivity") == "" || res.at(one+".isConnected") != false {
					r.Errorf("the item: %s", res.body)
				}
				p, _ := json.Marshal(res.at("data.pagination"))
				if string(p) != `{"limit":20,"page":1,"pages":1,"total":1}` || res.text("data.total") != "1" {
					r.Errorf("the counts: %s and %s", p, res.text("data.total"))
				}
			}, replaced("GET", "/api/sessions", http.StatusOK, body))
		})
	}
}

// States are in lower case, whatever case the engine writes.
func TestC15_StatesAreInLowerCase(t *testing.T) {
	upper := map[enginesim.Phase]string{}
	for phase, word := range map[enginesim.Phase]string{enginesim.Fresh: "DISCONNECTED", enginesim.Connecting: "Connecting",
		enginesim.Showing: "Qr_Code", enginesim.Linked: "CONNECTED", enginesim.Lost: "Disconnected"} {
		upper[phase] = word
	}
	bubble(t, &enginesim.Engine{States: upper, QRDelay: 2 * time.Second}, func(r *rig) {
		says := func(want string) {
			r.Helper()
			for path, at := range map[string]string{"/crm-1/status": "data.status", "": "data.sessions.0.status", "/crm-1": "data.session.status"} {
				if got := r.get("/api/sessions" + path).text(at); got != want {
					r.Errorf("GET %s: %q, want %q", path, got, want)
				}
			}
		}
		r.create("crm-1")
		says("disconnected")
		r.connect("crm-1")
		says("connecting")
		r.qr("crm-1")
		says("qr_code")
		if err := r.engine.Link("crm-1"); err != nil {
			r.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		says("connected")
		if err := r.engine.Unlink("crm-1"); err != nil {
			r.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		says("disconnected")
	})
}
