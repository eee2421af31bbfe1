package app_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"qrgate/internal/test/enginesim"
)

// Another client recreates the session, not through qrgate: its old integer is not valid any more.
func TestC22_RecreatedSessionElsewhere(t *testing.T) {
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		r.create("crm-1")
		r.connect("crm-1")
		r.send("DELETE", "/api/sessions/crm-1", "").wants(http.StatusOK)
		req := httptest.NewRequest("POST", "/api/sessions", strings.NewReader(`{"sessionId":"crm-1","sessionName":"x"}`))
		req.Header.Set("X-API-Key", "key-a")
		req.Header.Set("Content-Type", "application/json")
		r.engine.ServeHTTP(httptest.NewRecorder(), req)
		time.Sleep(2 * time.Second)
		r.connect("crm-1")
		if got := r.qr("crm-1").text("data.id"); got != "2" {
			r.Errorf("the QR is of session %s", got)
		}
	})
}

// A connect that is retried counts as young, and a client's request meanwhile brings the retry forward.
func TestQR_AfterFailedConnectRecovers(t *testing.T) {
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		id := r.create("crm-1")
		r.spoil(enginesim.RouteConnect, enginesim.ServerError)
		r.connect(id) // the response comes after 8.5 s
		r.heal()
		r.qr(id)
	})
}

// A session that was linked before qrgate started gets its 409 within the first wait.
func TestQR_OldPairedSessionIs409(t *testing.T) {
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		id := r.create("crm-1")
		r.connect(id)
		r.qr(id)
		_ = r.engine.Link(id)
		r.reboot()
		r.get("/api/sessions/"+id+"/qr").wantsCode(http.StatusConflict, "SESSION_ALREADY_CONNECTED")
	})
}

// The engine's refusal is cached for a second, whatever the number of requests.
func TestWrongKey_CostsOneCallPerSecond(t *testing.T) {
	bubble(t, &enginesim.Engine{Keys: map[string]string{"key-a": "a"}}, func(r *rig) {
		id := r.create("crm-1")
		n := len(r.engine.Calls())
		var wg sync.WaitGroup
		for range 40 {
			wg.Go(func() {
				for range 10 {
					r.get("/api/sessions/"+id+"/qr", "X-API-Key", "key-b").wants(http.StatusUnauthorized)
					time.Sleep(time.Second)
				}
			})
		}
		wg.Wait()
		if calls := r.calls(n); calls > 12 {
			r.Errorf("%d calls in 10 s", calls)
		}
	})
}
