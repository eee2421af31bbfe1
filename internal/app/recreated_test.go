package app_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"qrgate/compat"
	"qrgate/internal/test/enginesim"
)

// past makes a call of a client that does not use this gateway: another replica, or the engine's own dashboard.
func (r *rig) past(method, path, body string) {
	r.Helper()
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	req.Header.Set("X-API-Key", "key-a")
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	r.engine.ServeHTTP(w, req)
	if w.Code >= http.StatusBadRequest {
		r.Fatalf("%s %s past qrgate: %d %s", method, path, w.Code, w.Body)
	}
}

// replaced makes a session through qrgate, up to its QR, and then another one of its name past it.
func (r *rig) replaced() {
	r.Helper()
	r.create("crm-1")
	r.connect("crm-1")
	r.qr("crm-1")
	r.past(http.MethodDelete, "/api/sessions/crm-1", "")
	r.past(http.MethodPost, "/api/sessions", `{"sessionId":"crm-1","sessionName":"again"}`)
}

// A session that was deleted and made again past qrgate has another integer. A client that uses its name is served,
// whatever is asked first; the integer that is gone is denied.
func TestRecreated_ElsewhereIsNoticed(t *testing.T) {
	for name, first := range map[string]func(r *rig) response{
		"connect":    func(r *rig) response { return r.post("/api/sessions/crm-1/connect", `{"force":false}`) },
		"restart":    func(r *rig) response { return r.post("/api/sessions/crm-1/restart", ``) },
		"disconnect": func(r *rig) response { return r.post("/api/sessions/crm-1/disconnect", `{}`) },
		"status": func(r *rig) response {
			time.Sleep(2 * time.Minute) // until then qrgate uses what it cached
			return r.get("/api/sessions/crm-1/status")
		},
		"get":    func(r *rig) response { return r.get("/api/sessions/crm-1") },
		"delete": func(r *rig) response { return r.send(http.MethodDelete, "/api/sessions/crm-1", "") },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, &enginesim.Engine{}, func(r *rig) {
				r.replaced()
				a := first(r)
				a.wants(http.StatusOK)
				if !strings.Contains(a.body, `"id":2`) {
					r.Errorf("it is not the session of now: %s", a.body)
				}
				if left := len(r.engine.Snapshot()); (left == 0) != (name == "delete") {
					r.Errorf("the engine has %d sessions", left)
				}
				if got := r.get("/api/sessions/1/qr"); got.StatusCode != http.StatusNotFound {
					r.Errorf("the integer that is gone: %d %s", got.StatusCode, got.body)
				}
			})
		})
	}
}

// A polling client gets the code of the deleted session until the next poll at most, and never a 404.
func TestRecreated_ElsewhereWhilePolled(t *testing.T) {
	bubble(t, &enginesim.Engine{RawCode: true}, func(r *rig) {
		r.replaced()
		r.past(http.MethodPost, "/api/sessions/crm-1/connect", `{}`)
		began := time.Now()
		for range 20 {
			time.Sleep(2 * time.Second)
			res, status := r.get("/api/sessions/crm-1/qr"), r.get("/api/sessions/crm-1/status")
			res.wants(http.StatusOK)
			status.wants(http.StatusOK)
			now, _ := compat.RenderQR(r.engine.Snapshot()[0].Code)
			if gone := res.text("data.qrCode") != now.Reveal(); gone && time.Since(began) > 12*time.Second {
				r.Errorf("after %v: the code of a session that is gone", time.Since(began))
			}
		}
		if res := r.get("/api/sessions/crm-1/qr"); res.text("data.id") != "2" {
			r.Errorf("%s", res.body)
		}
	})
}
