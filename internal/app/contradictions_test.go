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

// The documents of the engine's API contradict one another and the engine. Each test here settles one
// contradiction (contract 2) for every client at once. C25 and C26 do not concern a gateway.

// Half of the clients read data.id, the other half data.session.id.
func TestC01_CreateCarriesTheSessionTwice(t *testing.T) {
	for name, engine := range map[string]*enginesim.Engine{
		"flat":   {CreateShape: enginesim.CreateFlat, FirstID: 61},
		"nested": {CreateShape: enginesim.CreateNested, FirstID: 61},
		"both":   {CreateShape: enginesim.CreateBoth, FirstID: 61},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, engine, func(r *rig) {
				res := r.post("/api/sessions", `{"sessionId":"crm-1","sessionName":"Test"}`)
				res.wants(http.StatusCreated)
				for _, at := range []string{"data", "data.session"} {
					if res.text(at+".id") != "61" || res.text(at+".sessionId") != "crm-1" || res.text(at+".sessionName") != "Test" || res.text(at+".status") == "" {
						r.Errorf("%s is incomplete: %s", at, res.body)
					}
				}
			})
		})
	}
}

// An older engine names no id, and another sends session:null; the list has the id.
func TestC01_CreateWithoutAnID(t *testing.T) {
	for name, body := range map[string]string{
		"no id":        `{"success":true,"data":{"sessionId":"crm-1","status":"qr","qrCode":null}}`,
		"session null": `{"success":true,"data":{"session":null}}`,
		"no data":      `{"success":true}`,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, &enginesim.Engine{FirstID: 61}, func(r *rig) {
				if got := r.create("crm-1"); got != "61" {
					r.Errorf("data.session.id is %q", got)
				}
			}, replaced("POST", "/api/sessions", http.StatusCreated, body))
		})
	}
}

// replaced responds to a route in the engine's place, after the engine has executed the request.
func replaced(method, path string, status int, body string) func(*setup) {
	return before(func(e *enginesim.Engine) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Method != method || req.URL.Path != path {
				e.ServeHTTP(w, req)
				return
			}
			e.ServeHTTP(httptest.NewRecorder(), req)
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		})
	})
}

// Seven clients accept nothing but 201.
func TestC02_CreateIs201(t *testing.T) {
	bubble(t, &enginesim.Engine{}, func(r *rig) { r.create("crm-1") },
		replaced("POST", "/api/sessions", http.StatusOK, `{"success":true,"data":{"session":{"id":1,"sessionId":"crm-1","status":"disconnected"}}}`))
}

// The first state has been pending, disconnected, qr_code and qr; a state that promises a code must have one.
func TestC03_FirstState(t *testing.T) {
	for name, c := range map[string]struct {
		engine *enginesim.Engine
		states string
		hasQR  bool
	}{
		"disconnected":        {engine: &enginesim.Engine{}, states: "disconnected connecting"},
		"pending":             {engine: &enginesim.Engine{States: map[enginesim.Phase]string{enginesim.Fresh: "pending"}}, states: "connecting"},
		"qr_code with a code": {engine: &enginesim.Engine{CreateConnects: true, CreateCarriesQR: true}, states: "qr_code", hasQR: true},
		"qr with a code": {engine: &enginesim.Engine{CreateConnects: true, CreateCarriesQR: true,
			States: map[enginesim.Phase]string{enginesim.Showing: "qr"}}, states: "qr_code", hasQR: true},
		"qr_code without a code": {engine: &enginesim.Engine{CreateConnects: true}, states: "connecting qr_code"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, c.engine, func(r *rig) {
				res := r.post("/api/sessions", `{"sessionId":"crm-1","sessionName":"Test"}`)
				for _, at := range []string{"data", "data.session"} {
					if got := res.text(at + ".status"); got == "" || !strings.Contains(c.states, got) {
						r.Errorf("%s.status is %q, want one of %s", at, got, c.states)
					}
					if got := res.text(at+".qrCode") != ""; got != c.hasQR {
						r.Errorf("%s carries a code: %t, want %t", at, got, c.hasQR)
					}
				}
			})
		})
	}
}

// Whether a create connects or not, connect after it works, and so does asking without one where it does.
func TestC04_CreateThatConnectsByItself(t *testing.T) {
	for name, connects := range map[string]bool{"with a connect": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			bubble(t, &enginesim.Engine{CreateConnects: true, QRDelay: 4 * time.Second}, func(r *rig) {
				id := r.create("crm-1")
				if connects {
					r.connect(id)
				}
				r.qr(id)
				if n := r.engine.Snapshot()[0].Connects; n > 2 {
					r.Errorf("%d connects", n)
				}
			})
		})
	}
}

// A session that no client connected has no QR, and a request for it connects nothing.
func TestC04_CreateDoesNotConnect(t *testing.T) {
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		id := r.create("crm-1")
		r.get("/api/sessions/"+id+"/qr").wantsCode(http.StatusAccepted, "QR_NOT_READY")
		time.Sleep(2 * time.Minute)
		if s := r.engine.Snapshot()[0]; s.Connects+s.Restarts != 0 {
			r.Errorf("qrgate connected a session that no client did: %+v", s)
		}
	})
}

// No client parses the engine's texts; they pass.
func TestC05_TextsPassThrough(t *testing.T) {
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		res := r.post("/api/sessions", `{"sessionId":"crm-1","sessionName":"Test"}`)
		b := r.post("/api/sessions/crm-1/connect", "")
		if res.text("message") != "Sesión creada correctamente" || b.text("message") != "Sesión iniciada, generando QR o reconectando..." {
			r.Errorf("messages %q and %q", res.text("message"), b.text("message"))
		}
	})
}

// Clients read data.qrCode and nothing else; engines use other names too.
func TestC06_QRNames(t *testing.T) {
	for _, field := range []string{"qrCode", "qr_code", "qr", "qr_data", "qr_code_data_url", "base64", "qrcode"} {
		t.Run(field, func(t *testing.T) {
			bubble(t, &enginesim.Engine{QRFieldName: field}, func(r *rig) {
				id := r.create("crm-1")
				r.connect(id)
				r.qr(id)
				list := r.get("/api/sessions")
				if !strings.HasPrefix(list.text("data.sessions.0.qrCode"), "data:image/png;base64,") || list.at("data.sessions.0.hasQR") != true {
					r.Errorf("the list's item: %.300s", list.body)
				}
			})
		})
	}
}

// The documented form is a data URL, whatever the engine sends.
func TestC07_QRIsDataURL(t *testing.T) {
	for name, engine := range map[string]*enginesim.Engine{
		"data URL": {}, "bare base64": {BareBase64: true}, "the text inside": {RawCode: true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, engine, func(r *rig) {
				id := r.create("crm-1")
				r.connect(id)
				code := r.qr(id).text("data.qrCode")
				for path, at := range map[string]string{"": "data.sessions.0.qrCode", "/" + id: "data.session.qrCode"} {
					if got := r.get("/api/sessions" + path).text(at); got != code {
						r.Errorf("GET /api/sessions%s: %s is %.40q, want what /qr says", path, at, got)
					}
				}
			})
		})
	}
}

// The state beside a QR has been pending; it is qr_code.
func TestC08_StateBesideQR(t *testing.T) {
	for _, word := range []string{"pending", "QR", "Qr_Code", "waiting_qr"} {
		t.Run(word, func(t *testing.T) {
			bubble(t, &enginesim.Engine{States: map[enginesim.Phase]string{enginesim.Showing: word}}, func(r *rig) {
				id := r.create("crm-1")
				r.connect(id)
				r.qr(id)
				res := r.get("/api/sessions/" + id + "/status")
				if res.text("data.status") != "qr_code" || res.at("data.hasQR") != true {
					r.Errorf("/status says %s", res.body)
				}
			})
		})
	}
}
