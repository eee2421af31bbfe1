package app_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"qrgate/internal/test/enginesim"
)

// The key decides; a bearer token means nothing here and is forwarded.
func TestC16_KeyDecides(t *testing.T) {
	bubble(t, &enginesim.Engine{Keys: map[string]string{"key-a": "a"}}, func(r *rig) {
		id := r.create("crm-1", "Authorization", "Bearer token-1")
		r.connect(id)
		r.qr(id, "Authorization", "Bearer token-2")
		if got := r.engine.Calls()[0].Header.Get("Authorization"); got != "Bearer token-1" {
			r.Errorf("the engine saw Authorization %q", got)
		}
		for _, path := range []string{"", "/" + id, "/" + id + "/status", "/" + id + "/qr", "/" + id + "/qr/status"} {
			r.get("/api/sessions"+path, "X-API-Key", "-").wantsCode(http.StatusUnauthorized, "MISSING_API_KEY")
			r.get("/api/sessions"+path, "X-API-Key", "-", "Authorization", "Bearer token-1").wantsCode(http.StatusUnauthorized, "MISSING_API_KEY")
			r.get("/api/sessions"+path, "X-API-Key", "key-b").wantsCode(http.StatusUnauthorized, "INVALID_API_KEY")
		}
	})
}

// Some clients read error, some message: the body has both, and the engine's code and details.
func TestC17_BothTextsOfAnError(t *testing.T) {
	for name, c := range map[string]struct{ body, text, code string }{
		"as recorded":      {`{"success":false,"error":"No","code":"OWN","timestamp":"2000-01-01T00:00:00.429Z"}`, "No", "OWN"},
		"message alone":    {`{"success":false,"message":"No","code":"OWN"}`, "No", "OWN"},
		"both, differing":  {`{"success":false,"error":"Bad Request","message":"No","code":"OWN"}`, "No", "OWN"},
		"a word alone":     {`{"error":"No"}`, "No", "VALIDATION_ERROR"},
		"nothing at all":   {`{}`, "The engine refused the request.", "VALIDATION_ERROR"},
		"an object inside": {`{"success":false,"error":{"code":"OWN","message":"No"}}`, "No", "OWN"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, &enginesim.Engine{}, func(r *rig) {
				r.create("crm-1")
				res := r.get("/api/sessions/crm-1")
				res.wantsCode(http.StatusUnprocessableEntity, c.code)
				if res.text("error") != c.text || res.text("message") != c.text {
					r.Errorf("error %q, message %q", res.text("error"), res.text("message"))
				}
			}, replaced("GET", "/api/sessions/1", http.StatusUnprocessableEntity, c.body))
		})
	}
}

// A 404 of /status sends the portal to the list, and from there to "disconnected", which ends its wizard.
// The engine denied sessions there that it served elsewhere.
func TestC18_StatusIsNeverDenied(t *testing.T) {
	for name, engine := range map[string]*enginesim.Engine{
		"until linked": {Status404UntilLinked: true, QRDelay: 4 * time.Second}, "without a socket": {Status404WithoutSocket: true, QRDelay: 4 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, engine, func(r *rig) {
				says := func(states string) {
					r.Helper()
					res := r.get("/api/sessions/crm-1/status")
					res.wants(http.StatusOK)
					if got := res.text("data.status"); got == "" || !strings.Contains(states, got) {
						r.Errorf("after %v the state is %q, want one of %s", time.Since(epoch), got, states)
					}
				}
				r.create("crm-1")
				says("disconnected")
				r.connect("crm-1")
				says("connecting")
				time.Sleep(6 * time.Second)
				says("qr_code connecting")
				r.qr("crm-1")
				says("qr_code")
				r.reboot()
				says("qr_code")
				time.Sleep(3 * time.Minute)
				says("qr_code disconnected")
				r.post("/api/sessions/crm-1/disconnect", "").wants(http.StatusOK)
				says("disconnected")
			})
		})
	}
}

// Sessions pile up (quirk 13): one that is on no first page of the list any more is not denied either.
func TestC18_AmongManySessions(t *testing.T) {
	bubble(t, &enginesim.Engine{Status404UntilLinked: true}, func(r *rig) {
		id := r.create("crm-1")
		for i := range 120 {
			r.create(fmt.Sprintf("other-%d", i))
		}
		time.Sleep(2 * time.Minute)
		r.reboot()
		n := len(r.engine.Calls())
		res := r.get("/api/sessions/" + id + "/status")
		res.wants(http.StatusOK)
		if res.text("data.sessionId") != "crm-1" || res.text("data.status") != "disconnected" || r.calls(n) > 2 {
			r.Errorf("after %d calls: %s", r.calls(n), res.body)
		}
	})
}

// An engine without a route for one session has its list all the same.
func TestC18_WithoutARouteForOne(t *testing.T) {
	bubble(t, &enginesim.Engine{Status404UntilLinked: true}, func(r *rig) {
		r.create("crm-1")
		time.Sleep(2 * time.Minute)
		r.get("/api/sessions/1/status").wants(http.StatusOK)
	}, replaced("GET", "/api/sessions/1", http.StatusNotFound, `{"success":false,"error":"Ruta no encontrada","code":"NOT_FOUND"}`))
}

// An engine whose database lags denies a new session for a moment. qrgate has recorded its create.
func TestC18_SessionJustCreated(t *testing.T) {
	lags := before(func(e *enginesim.Engine) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Method == "GET" {
				req.Header.Set("X-API-Key", "nobody's")
			}
			e.ServeHTTP(w, req)
		})
	})
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		id := r.create("crm-1")
		res := r.get("/api/sessions/" + id + "/status")
		res.wants(http.StatusOK)
		if res.text("data.status") != "disconnected" || res.text("data.id") != id {
			r.Errorf("/status: %s", res.body)
		}
	}, lags)
}

// While it is not known whether there is such a session, the response is no 404.
func TestC18_UnknownSession(t *testing.T) {
	for _, kind := range []enginesim.FaultKind{enginesim.ServerError, enginesim.HTML502, enginesim.Garbage} {
		bubbleAlone(t, &enginesim.Engine{Status404UntilLinked: true}, func(r *rig) {
			id := r.create("crm-1")
			r.engine.Change(func(e *enginesim.Engine) {
				e.Faults = map[enginesim.Route]enginesim.Fault{enginesim.RouteGet: {Kind: kind}, enginesim.RouteList: {Kind: kind}}
			})
			time.Sleep(2 * time.Minute)
			r.get("/api/sessions/" + id + "/status").wants(http.StatusServiceUnavailable)
		})
	}
}

// epoch is when every bubble begins.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// The engine denies a session that does not exist.
func TestC18_StatusOfNoSession(t *testing.T) {
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		for _, path := range []string{"/none", "/none/status", "/none/qr", "/none/qr/status", "/77/qr", "/77/status", "/77/qr/status"} {
			r.get("/api/sessions"+path).wantsCode(http.StatusNotFound, "SESSION_NOT_FOUND")
		}
	})
}

// A QR lives as long as the engine states, by the engine's clock, and a minute at most.
func TestC19_QRLifetime(t *testing.T) {
	for name, c := range map[string]struct {
		engine *enginesim.Engine
		life   time.Duration
	}{
		"a minute":             {&enginesim.Engine{}, time.Minute},
		"as documented":        {&enginesim.Engine{QRTTL: 5 * time.Minute}, time.Minute},
		"not said":             {&enginesim.Engine{NoExpiry: true}, time.Minute},
		"a clock ahead":        {&enginesim.Engine{ClockSkew: time.Hour}, time.Minute},
		"a clock behind":       {&enginesim.Engine{ClockSkew: -time.Hour}, time.Minute},
		"a date in another":    {&enginesim.Engine{Dates: func(t time.Time) any { return t.In(time.FixedZone("", -5*3600)).Format(time.RFC3339) }}, time.Minute},
		"UNIX milliseconds":    {&enginesim.Engine{QRTTL: 40 * time.Second, Dates: func(t time.Time) any { return t.UnixMilli() }}, 40 * time.Second},
		"what is no date":      {&enginesim.Engine{Dates: func(time.Time) any { return "soon" }}, time.Minute},
		"far beyond all sense": {&enginesim.Engine{QRTTL: 1000 * time.Hour}, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, c.engine, func(r *rig) {
				id := r.create("crm-1")
				r.connect(id)
				res := r.qr(id)
				expires, err := time.Parse(time.RFC3339, res.text("data.expiresAt"))
				if left := time.Until(expires); err != nil || left > c.life || left < c.life-2*time.Second {
					r.Errorf("expires in %v (%v), want about %v", left, err, c.life)
				}
			})
		})
	}
}

// The documents advise to wait 2 to 40 s before the request. The request alone is enough, at any time.
func TestC20_ClientsNeedNotWait(t *testing.T) {
	for _, wait := range []time.Duration{0, 2 * time.Second, 3 * time.Second, 10 * time.Second, 40 * time.Second} {
		t.Run(wait.String(), func(t *testing.T) {
			bubble(t, enginesim.Incident(), func(r *rig) {
				id := r.create("crm-1")
				r.connect(id)
				time.Sleep(wait)
				asked := time.Now()
				r.qr(id)
				if took := time.Since(asked); took > max(4*time.Second-wait, 0)+700*time.Millisecond {
					r.Errorf("waited for %v", took)
				}
			})
		})
	}
}

// The status shows a QR once there is one, and not before.
func TestC21_StatusIsTruthful(t *testing.T) {
	bubble(t, enginesim.Incident(), func(r *rig) {
		id := r.create("crm-1")
		r.connect(id)
		for at := time.Duration(0); at < 8*time.Second; at += 500 * time.Millisecond {
			res := r.get("/api/sessions/" + id + "/status")
			shows := res.at("data.hasQR") == true
			if shows != (res.text("data.status") == "qr_code") || shows && at < 4*time.Second || !shows && at > 4700*time.Millisecond {
				r.Errorf("after %v: %s", at, res.body)
			}
			time.Sleep(500 * time.Millisecond)
		}
	})
}

// Production "disconnects" by DELETE, twice in a row. Whatever the engine responds to the first, the client
// reads 200, and nothing goes on in the background.
func TestC22_DeleteDropsEverything(t *testing.T) {
	for name, behind := range map[string]func(*setup){
		"200": func(*setup) {}, "204": deletes(http.StatusNoContent), "202": deletes(http.StatusAccepted), "200, no body": deletes(http.StatusOK),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, &enginesim.Engine{QRDelay: 20 * time.Second}, func(r *rig) {
				id := r.create("crm-1")
				r.connect(id)
				waited := make(chan response, 1)
				go func() { waited <- r.get("/api/sessions/" + id + "/qr?wait=30") }()
				time.Sleep(3 * time.Second)
				res := r.send("DELETE", "/api/sessions/"+id, "")
				res.wants(http.StatusOK)
				if res.at("success") != true || res.text("data.sessionId") != "crm-1" || res.text("data.status") != "disconnected" || res.text("message") == "" {
					r.Errorf("DELETE: %s", res.body)
				}
				gone := time.Now()
				if b := <-waited; b.StatusCode == http.StatusOK || time.Since(gone) > time.Second {
					r.Errorf("the waiting request ended %v later with %d", time.Since(gone), b.StatusCode)
				}
				time.Sleep(2 * time.Second)
				n := len(r.engine.Calls())
				time.Sleep(2 * time.Minute)
				if more := r.calls(n); more != 0 {
					r.Errorf("%d calls after the delete", more)
				}
				for _, route := range []string{"/qr", "/status", "/qr/status", ""} {
					r.get("/api/sessions/"+id+route).wantsCode(http.StatusNotFound, "SESSION_NOT_FOUND")
				}
				r.send("DELETE", "/api/sessions/"+id, "").wantsCode(http.StatusNotFound, "SESSION_NOT_FOUND")
			}, behind)
		})
	}
}

// deletes responds to DELETE with a status and no body.
func deletes(status int) func(*setup) {
	return before(func(e *enginesim.Engine) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			said := httptest.NewRecorder()
			if e.ServeHTTP(said, req); req.Method == "DELETE" && said.Code < 300 {
				w.WriteHeader(status)
				return
			}
			for name, values := range said.Header() {
				w.Header()[name] = values
			}
			w.WriteHeader(said.Code)
			_, _ = w.Write(said.Body.Bytes())
		})
	})
}

// A session that was deleted and created anew under its old name is another session.
func TestC22_RecreatedSession(t *testing.T) {
	bubble(t, &enginesim.Engine{RawCode: true}, func(r *rig) {
		old := r.create("crm-1")
		r.connect(old)
		first := r.qr("crm-1").text("data.qrCode")
		r.send("DELETE", "/api/sessions/crm-1", "").wants(http.StatusOK)
		id := r.create("crm-1")
		r.connect("crm-1")
		second := r.qr("crm-1")
		if id == old || second.text("data.id") != id || second.text("data.qrCode") == first {
			r.Errorf("ids %s and %s, the QR is of %s", old, id, second.text("data.id"))
		}
	})
}

// A disconnect and a restart drop the code that was there.
func TestC22_OldCodeIsGone(t *testing.T) {
	bubble(t, &enginesim.Engine{RawCode: true, EveryConnectStartsOver: true}, func(r *rig) {
		id := r.create("crm-1")
		r.connect(id)
		first := r.qr(id).text("data.qrCode")
		r.post("/api/sessions/"+id+"/restart", "").wants(http.StatusOK)
		if second := r.qr(id).text("data.qrCode"); second == first {
			r.Error("after a restart the old code is handed out")
		}
		res := r.post("/api/sessions/"+id+"/disconnect", "")
		if res.text("data.status") != "disconnected" || res.text("data.id") != id || res.text("message") == "" {
			r.Errorf("disconnect: %s", res.body)
		}
		r.get("/api/sessions/"+id+"/qr?wait=0").wantsCode(http.StatusAccepted, "QR_NOT_READY")
		r.connect(id)
		r.qr(id)
	})
}

// What switches the engine's webhooks on reaches it byte for byte (contract 6).
func TestC23_WebhookSettingsReachTheEngine(t *testing.T) {
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		body := `{"sessionId":"crm-1", "sessionName":"Ünï", "fromFrappe":true,"webhookUrl":"https://crm.example/hook","webhookEvents":["session.qr"],"n":1.50}`
		r.post("/api/sessions", body, "X-Frappe-Origin", "true").wants(http.StatusCreated)
		c := r.engine.Calls()[0]
		if string(c.Body) != body || c.Header.Get("X-Frappe-Origin") != "true" || c.Header.Get("Content-Type") != "application/json" {
			r.Errorf("the engine saw %s %v", c.Body, c.Header)
		}
		r.send("PUT", "/api/sessions/crm-1/webhook", `{"webhookUrl":"https://crm.example/other"}`).wants(http.StatusOK)
	})
}

// Every other route passes unchanged, the engine's own 500 included.
func TestC24_OtherRoutesPassThrough(t *testing.T) {
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		for _, status := range []string{"200", "400", "404", "429", "500"} {
			res := r.post("/api/messages/crm-1/send", `{"to":"5550100"}`, "X-Sim-Status", status)
			if res.Status[:3] != status || res.text("path") != "/api/messages/crm-1/send" || res.text("method") != "POST" {
				r.Errorf("status %s, body %s", res.Status, res.body)
			}
		}
	})
}
