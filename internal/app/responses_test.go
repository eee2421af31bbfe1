package app_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"qrgate/internal/test/enginesim"
)

// A QR on the first request (contract 1.2 S5), with its headers.
func TestQR_FirstRequestReturnsIt(t *testing.T) {
	bubble(t, &enginesim.Engine{FirstID: 61}, func(r *rig) {
		r.create("crm-1")
		r.connect("61")
		res := r.qr("crm-1", "Origin", "https://crm.example")
		if res.text("data.id") != "61" || res.text("data.sessionId") != "crm-1" || res.text("data.generatedAt") == "" {
			r.Errorf("the body: %.300s", res.body)
		}
		if n, _ := strconv.Atoi(res.text("data.expiresIn")); n < 58 || n > 60 {
			r.Errorf("expiresIn %q", res.text("data.expiresIn"))
		}
		vary := strings.Join(res.Header.Values("Vary"), ", ")
		for _, name := range []string{"X-API-Key", "Authorization", "Prefer", "Accept-Language", "Origin"} {
			if !strings.Contains(vary, name) {
				r.Errorf("Vary %q lacks %s", vary, name)
			}
		}
		if res.Header.Get("Access-Control-Allow-Origin") != "https://crm.example" || res.Header.Get("Server-Timing") == "" || res.Header.Get("Etag") != "" {
			r.Errorf("headers %v", res.Header)
		}
	})
}

// Without a QR at the end of the wait: 202, and nothing in it that a client could misread.
func TestQR_NotReadyIs202(t *testing.T) {
	for name, c := range map[string]struct {
		path, prefer string
		age, wait    time.Duration
	}{
		"young":               {wait: 9 * time.Second},
		"older":               {age: 6 * time.Second, wait: 4500 * time.Millisecond},
		"at once":             {path: "?wait=0"},
		"as requested":        {path: "?wait=3", wait: 3 * time.Second},
		"as preferred":        {prefer: "wait=3", wait: 3 * time.Second},
		"among others":        {prefer: `respond-async, wait="3"; x`, wait: 3 * time.Second},
		"the query wins":      {path: "?wait=2", prefer: "wait=7", wait: 2 * time.Second},
		"a minute and more":   {path: "?wait=61", wait: time.Minute},
		"much more":           {path: "?wait=99999999999999999999", wait: time.Minute},
		"a minute at most":    {prefer: "wait=600", wait: time.Minute},
		"a preference apart":  {prefer: "return=minimal", wait: 9 * time.Second},
		"a number that isn't": {prefer: "wait=soon", wait: 9 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, &enginesim.Engine{QRDelay: time.Hour, FirstID: 429}, func(r *rig) {
				id := r.create("crm-4290")
				r.connect(id)
				time.Sleep(c.age)
				asked := time.Now()
				res := r.get("/api/sessions/"+id+"/qr"+c.path, "Prefer", c.prefer)
				res.wantsCode(http.StatusAccepted, "QR_NOT_READY")
				if waited := time.Since(asked); waited != c.wait {
					r.Errorf("waited for %v, want %v", waited, c.wait)
				}
				if c.wait > 0 && c.path == "" && c.prefer != "" && strings.Contains(c.prefer, "wait=") && c.prefer != "wait=soon" &&
					res.Header.Get("Preference-Applied") != "wait="+strconv.Itoa(int(c.wait/time.Second)) {
					r.Errorf("Preference-Applied %q", res.Header.Get("Preference-Applied"))
				}
				if res.Header.Get("Retry-After") == "" || res.at("data") != nil || strings.Contains(res.body, "crm-") {
					r.Errorf("headers %v, body %s", res.Header, res.body)
				}
			})
		})
	}
}

// A wait that is no number of seconds from 0 to 60 is refused, without a call to the engine.
func TestQR_InvalidWaitIs400(t *testing.T) {
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		id := r.create("crm-1")
		n := len(r.engine.Calls())
		for _, wait := range []string{"-1", "1.5", "soon", "", "1s"} {
			for _, route := range []string{"/qr", "/qr/status"} {
				r.get("/api/sessions/"+id+route+"?wait="+wait).wantsCode(http.StatusBadRequest, "VALIDATION_ERROR")
			}
		}
		if more := r.calls(n); more != 0 {
			r.Errorf("%d calls reached the engine", more)
		}
	})
}

// A linked session has no QR: 409 on /qr, and the state on every other route.
func TestQR_PairedSessionIs409(t *testing.T) {
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		id := r.create("crm-1")
		r.connect(id)
		r.qr(id)
		if err := r.engine.Link(id); err != nil {
			r.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		asked := time.Now()
		r.get("/api/sessions/"+id+"/qr").wantsCode(http.StatusConflict, "SESSION_ALREADY_CONNECTED")
		if waited := time.Since(asked); waited > 2*time.Second {
			r.Errorf("waited for %v", waited)
		}
		r.reboot() // a restarted gateway detects it for the waiting request
		r.get("/api/sessions/"+id+"/qr?wait=10").wantsCode(http.StatusConflict, "SESSION_ALREADY_CONNECTED")
		res := r.get("/api/sessions/" + id + "/qr/status")
		if res.text("data.status") != "connected" || res.at("data.ready") != false || res.at("data.diagnosis") != nil {
			r.Errorf("/qr/status: %s", res.body)
		}
	})
}

// A cause that only a person can remove is reported at once, with who must do what.
func TestQR_CauseForPersonIs503(t *testing.T) {
	const body = `{"success":false,"error":"WhatsApp refuses this version","code":"CLIENT_OUTDATED"}`
	bubble(t, &enginesim.Engine{QRDelay: time.Hour}, func(r *rig) {
		id := r.create("crm-1")
		r.connect(id)
		asked := time.Now()
		res := r.get("/api/sessions/" + id + "/qr")
		res.wantsCode(http.StatusServiceUnavailable, "client_outdated")
		if time.Since(asked) > 2*time.Second || !strings.Contains(res.text("message"), "Update the engine") {
			r.Errorf("after %v: %s", time.Since(asked), res.body)
		}
		for _, path := range []string{"/qr", "/qr/status"} {
			res = r.get("/api/sessions/"+id+path, "Accept-Language", "es-MX,es;q=0.9,en;q=0.8")
			if res.Header.Get("Content-Language") != "es" || !strings.Contains(res.body, "Actualice el motor") {
				r.Errorf("%s in Spanish: %s %s", path, res.Header.Get("Content-Language"), res.body)
			}
		}
	}, replaced("GET", "/api/sessions/1/qr", http.StatusInternalServerError, body))
}

// An engine that cannot be reached for the whole wait: 503, and who must act.
func TestQR_EngineUnreachable(t *testing.T) {
	for name, kind := range map[string]struct {
		fault enginesim.FaultKind
		code  string
	}{
		"cut": {enginesim.CutConnection, "engine_unreachable"}, "502": {enginesim.HTML502, "engine_unreachable"},
		"504": {enginesim.HTML504, "engine_timeout"}, "garbage": {enginesim.Garbage, "engine_bad_response"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, &enginesim.Engine{QRDelay: 10 * time.Second}, func(r *rig) {
				id := r.create("crm-1")
				r.connect(id)
				r.engine.Change(func(e *enginesim.Engine) {
					e.Faults = map[enginesim.Route]enginesim.Fault{enginesim.AnyRoute: {Kind: kind.fault}}
				})
				r.get("/api/sessions/"+id+"/qr").wantsCode(http.StatusServiceUnavailable, kind.code)
			})
		})
	}
}

// Paths and bodies that qrgate itself refuses, without a call to the engine.
func TestProxy_RefusesInvalidRequests(t *testing.T) {
	long := strings.Repeat("x", 101)
	for name, c := range map[string]struct {
		method, path, body string
		status             int
		code               string
	}{
		"a long id":            {"GET", "/api/sessions/" + long + "/qr", "", 400, "VALIDATION_ERROR"},
		"a dot":                {"GET", "/api/sessions/crm.1/qr", "", 400, "VALIDATION_ERROR"},
		"an escape":            {"GET", "/api/sessions/crm%2e1/status", "", 400, "VALIDATION_ERROR"},
		"an id on create":      {"POST", "/api/sessions", `{"sessionId":"crm 1","sessionName":"x"}`, 400, "VALIDATION_ERROR"},
		"no JSON on create":    {"POST", "/api/sessions", `sessionId=crm-1`, 400, "VALIDATION_ERROR"},
		"a list on create":     {"POST", "/api/sessions", `[1]`, 400, "VALIDATION_ERROR"},
		"null on create":       {"POST", "/api/sessions", `null`, 400, "VALIDATION_ERROR"},
		"two on create":        {"POST", "/api/sessions", `{}{}`, 400, "VALIDATION_ERROR"},
		"no JSON on connect":   {"POST", "/api/sessions/1/connect", `force`, 400, "VALIDATION_ERROR"},
		"no JSON on restart":   {"POST", "/api/sessions/1/restart", `"x"`, 400, "VALIDATION_ERROR"},
		"too large":            {"POST", "/api/sessions", `{"a":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "PAYLOAD_TOO_LARGE"},
		"too large to connect": {"POST", "/api/sessions/1/connect", `{"a":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "PAYLOAD_TOO_LARGE"},
		"a method":             {"POST", "/api/sessions/1/qr", "{}", 405, "METHOD_NOT_ALLOWED"},
		"another method":       {"DELETE", "/api/sessions/1/connect", "", 405, "METHOD_NOT_ALLOWED"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, &enginesim.Engine{}, func(r *rig) {
				res := r.send(c.method, c.path, c.body)
				res.wantsCode(c.status, c.code)
				if n := r.calls(0); n != 0 {
					r.Errorf("%d calls reached the engine", n)
				}
			})
		})
	}
}

// A second create, after a lost response to the first, gets the session in the 409, also where the engine refuses names
// in paths and where another gateway made the session. That takes one more call, and its connect by name none.
func TestCreate_ConflictHasSession(t *testing.T) {
	bubble(t, &enginesim.Engine{NumericIDsOnly: true}, func(r *rig) {
		id := r.create("crm-1")
		r.reboot()
		before := len(r.engine.Calls())
		res := r.post("/api/sessions", `{"sessionId":"crm-1","sessionName":"x"}`)
		res.wantsCode(http.StatusConflict, "CONFLICT")
		if res.text("data.sessionId") != "crm-1" || res.text("data.id") != id || res.text("data.session.id") != id {
			r.Errorf("the conflict has %s", res.body)
		}
		r.post("/api/sessions/crm-1/connect", "{}").wants(http.StatusOK)
		if n := len(r.engine.Calls()) - before; n != 3 {
			r.Errorf("%d calls for a create and a connect", n)
		}
	})
}

// Where names are unique among all keys, the conflict contains nothing about another key's session.
func TestCreate_ConflictHidesForeignSession(t *testing.T) {
	const taken = `{"success":false,"error":"La sesión ya existe"}`
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		res := r.post("/api/sessions", `{"sessionId":"crm-1","sessionName":"x"}`)
		res.wantsCode(http.StatusConflict, "CONFLICT")
		if strings.Contains(res.body, `"data"`) {
			r.Errorf("another key's session is in %s", res.body)
		}
	}, before(func(e *enginesim.Engine) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Method != http.MethodPost {
				e.ServeHTTP(w, req)
				return
			}
			req.Header.Set("X-Api-Key", "another-key")
			e.ServeHTTP(httptest.NewRecorder(), req)
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusConflict)
			fmt.Fprint(w, taken)
		})
	}))
}

// Refusals of the engine pass: status, code and text.
func TestQR_EngineRefusalsPassThrough(t *testing.T) {
	bubble(t, &enginesim.Engine{Keys: map[string]string{"key-a": "a"}}, func(r *rig) {
		r.create("crm-1")
		r.post("/api/sessions", `{"sessionId":"crm-1","sessionName":"x"}`).wantsCode(http.StatusConflict, "CONFLICT")
		r.post("/api/sessions", `{"sessionId":"x","sessionName":"x"}`).wantsCode(http.StatusBadRequest, "VALIDATION_ERROR")
		r.post("/api/sessions", ``).wantsCode(http.StatusBadRequest, "VALIDATION_ERROR")
		for _, verb := range []string{"connect", "restart", "disconnect"} {
			r.post("/api/sessions/none/"+verb, "").wantsCode(http.StatusNotFound, "SESSION_NOT_FOUND")
			r.post("/api/sessions/crm-1/"+verb, "", "X-API-Key", "key-b").wantsCode(http.StatusUnauthorized, "INVALID_API_KEY")
		}
		r.send("DELETE", "/api/sessions/none", "").wantsCode(http.StatusNotFound, "SESSION_NOT_FOUND")
	})
}

// A key without permission: the engine's 403 is the response, on every route.
func TestQR_ForbiddenKey(t *testing.T) {
	const body = `{"success":false,"error":"No autorizado","code":"AUTHORIZATION_FAILED"}`
	for _, route := range []string{"qr", "status", "qr/status"} {
		upstream := strings.TrimSuffix(route, "/status")
		if route == "status" {
			upstream = route
		}
		t.Run(route, func(t *testing.T) {
			bubble(t, &enginesim.Engine{}, func(r *rig) {
				r.create("crm-1")
				r.reboot() // without a restart, what the engine accepted a moment ago is not checked again
				res := r.get("/api/sessions/1/" + route)
				res.wantsCode(http.StatusForbidden, "AUTHORIZATION_FAILED")
				if res.text("message") != "No autorizado" {
					r.Errorf("message %q", res.text("message"))
				}
			}, replaced("GET", "/api/sessions/1/"+upstream, http.StatusForbidden, body))
		})
	}
}

// On session routes an engine's 500 is a 503 with its code; a failed connect is retried.
func TestQR_EngineErrors(t *testing.T) {
	for _, kind := range []enginesim.FaultKind{enginesim.ServerError, enginesim.HTML502, enginesim.HTML503, enginesim.HTML504,
		enginesim.Garbage, enginesim.EmptyBody, enginesim.Redirect, enginesim.TruncatedBody, enginesim.CutConnection} {
		t.Run(strconv.Itoa(int(kind)), func(t *testing.T) {
			bubble(t, &enginesim.Engine{}, func(r *rig) {
				id := r.create("crm-1")
				r.engine.Change(func(e *enginesim.Engine) {
					e.Faults = map[enginesim.Route]enginesim.Fault{enginesim.AnyRoute: {Kind: kind}}
				})
				for _, request := range []string{"POST ", "GET ", "GET /1", "GET /1/status", "POST /1/restart", "POST /1/disconnect"} {
					method, path, _ := strings.Cut(request, " ")
					body := ""
					if request == "POST " {
						body = `{"sessionId":"crm-2","sessionName":"x"}`
					}
					if res := r.send(method, "/api/sessions"+path, body); res.StatusCode != http.StatusServiceUnavailable {
						r.Errorf("%s: %d %s", request, res.StatusCode, res.body)
					}
				}
				began := time.Now()
				r.connect(id)
				if took := time.Since(began); took > 9*time.Second {
					r.Errorf("connect took %v", took)
				}
				r.engine.Change(func(e *enginesim.Engine) { e.Faults = nil })
				r.insists(id, 15*time.Second)
			})
		})
	}
}

// The response to a connect of an engine that hangs comes within its caller's ten seconds (contract 4.1).
func TestConnect_EngineHangs(t *testing.T) {
	bubble(t, &enginesim.Engine{Faults: map[enginesim.Route]enginesim.Fault{enginesim.RouteConnect: {Kind: enginesim.Hang, First: 1}}}, func(r *rig) {
		id := r.create("crm-1")
		began := time.Now()
		r.connect(id)
		if took := time.Since(began); took > 9*time.Second {
			r.Errorf("connect took %v", took)
		}
		r.qr(id)
	})
}

// A gateway that stops responds to late requests in the documented form.
func TestQR_GatewayStops(t *testing.T) {
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		id := r.create("crm-1")
		r.connect(id)
		r.stopAcquisition()
		for _, route := range []string{"/qr", "/qr/status"} {
			r.get("/api/sessions/"+id+route).wantsCode(http.StatusServiceUnavailable, "GATE_STOPPING")
		}
		r.get("/api/sessions/" + id + "/status").wants(http.StatusOK)
		r.send("DELETE", "/api/sessions/"+id, "").wants(http.StatusOK)
	})
}
