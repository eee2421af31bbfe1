package app_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"qrgate/compat"
	"qrgate/internal/test/enginesim"
)

// routes that return something about a session.
var telling = []string{"", "/qr", "/status", "/qr/status", "/qr?wait=0", "/qr/status?wait=2"}

// A key that the engine refuses gets the engine's 401 on every route, also while the right key's QR is at
// hand.
func TestIsolation_WrongKeyGetsNothing(t *testing.T) {
	bubble(t, &enginesim.Engine{Keys: map[string]string{"key-a": "a"}, RawCode: true}, func(r *rig) {
		id := r.create("crm-1")
		r.connect(id)
		code := r.qr(id).text("data.qrCode")
		for _, wrong := range []string{"key-b", "key-", "KEY-A", "key-a2", "-"} {
			for _, session := range []string{id, "crm-1"} {
				for _, route := range telling {
					res := r.get("/api/sessions/"+session+route, "X-API-Key", wrong)
					if res.StatusCode != http.StatusUnauthorized || strings.Contains(res.body, code) || res.Header.Get("Server-Timing") != "" {
						r.Errorf("%s with %q: %d %.200s", route, wrong, res.StatusCode, res.body)
					}
				}
			}
			r.get("/api/sessions", "X-API-Key", wrong).wants(http.StatusUnauthorized)
		}
	})
}

// A wrong key that hammers shares its calls to the engine among those who ask at once.
func TestIsolation_WrongKeyIsCheap(t *testing.T) {
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
		began := time.Now()
		wg.Wait()
		if calls, seconds := r.calls(n), int(time.Since(began)/time.Second); calls > 20*seconds {
			r.Errorf("400 requests were %d calls in %d s", calls, seconds)
		}
	})
}

// Two tenants of one engine, whose sessions even share a name, never see each other's.
func TestIsolation_TenantsAreSeparate(t *testing.T) {
	bubble(t, &enginesim.Engine{RawCode: true, QRDelay: time.Second}, func(r *rig) {
		keys := []string{"key-a", "key-b"}
		ids := map[string]string{}
		for _, key := range keys {
			ids[key] = r.create("crm-1", "X-API-Key", key)
			r.connect(ids[key], "X-API-Key", key)
		}
		time.Sleep(3 * time.Second)
		for _, own := range r.engine.Snapshot() {
			image, err := compat.RenderQR(own.Code)
			if err != nil {
				r.Fatal(err)
			}
			for _, id := range []string{"crm-1", ids[own.Account]} {
				if got := r.qr(id, "X-API-Key", own.Account).text("data.qrCode"); got != image.Reveal() {
					r.Errorf("%s is shown another's code of %s", own.Account, id)
				}
			}
			for key, id := range ids {
				if key != own.Account {
					r.foreign(id, own.Account)
				}
			}
		}
		list := r.get("/api/sessions", "X-API-Key", "key-b")
		if n := strings.Count(list.body, `"sessionName"`); n != 1 || list.text("data.sessions.0.id") != ids["key-b"] {
			r.Errorf("the list of key-b: %.300s", list.body)
		}
	})
}

// foreign requests a session of another tenant by all routes with key, and expects the engine's 404.
func (r *rig) foreign(id, key string) {
	r.Helper()
	for _, route := range telling {
		r.get("/api/sessions/"+id+route, "X-API-Key", key).wantsCode(http.StatusNotFound, "SESSION_NOT_FOUND")
	}
	for _, verb := range []string{"connect", "restart", "disconnect"} {
		r.post("/api/sessions/"+id+"/"+verb, "", "X-API-Key", key).wantsCode(http.StatusNotFound, "SESSION_NOT_FOUND")
	}
	r.send("DELETE", "/api/sessions/"+id, "", "X-API-Key", key).wantsCode(http.StatusNotFound, "SESSION_NOT_FOUND")
}

// What a stranger does to a session id, by any route, does not touch the owner's flight.
func TestIsolation_OtherTenantCannotDisturb(t *testing.T) {
	bubble(t, enginesim.Incident(), func(r *rig) {
		id := r.create("crm-1")
		r.connect(id)
		waited := make(chan response, 1)
		go func() { waited <- r.get("/api/sessions/" + id + "/qr") }()
		for range 3 {
			r.foreign(id, "key-b")
			time.Sleep(time.Second)
		}
		a := <-waited
		a.wants(http.StatusOK)
		a.wantsQR()
	})
}

// A caller known by a bearer token alone is another than one whose key has the same text.
func TestIsolation_BearerIsNoKey(t *testing.T) {
	engine := &enginesim.Engine{Keys: map[string]string{"key-a": "a", "Bearer key-a": "other"}}
	bubble(t, engine, func(r *rig) {
		id := r.create("crm-1")
		r.connect(id)
		r.qr(id)
		for _, headers := range [][]string{{"X-API-Key", "-", "Authorization", "key-a"}, {"X-API-Key", "-", "Authorization", "Bearer key-a"}} {
			r.get("/api/sessions/"+id+"/qr", headers...).wantsCode(http.StatusUnauthorized, "MISSING_API_KEY")
		}
		r.get("/api/sessions/"+id+"/qr", "X-API-Key", "Bearer key-a").wantsCode(http.StatusNotFound, "SESSION_NOT_FOUND")
	})
}

// A key that is revoked is refused within a minute in qrgate's own responses, and at once in forwarded ones.
func TestIsolation_KeyRevoked(t *testing.T) {
	bubble(t, &enginesim.Engine{Keys: map[string]string{"key-a": "a"}, QRTTL: 5 * time.Minute}, func(r *rig) {
		id := r.create("crm-1")
		r.connect(id)
		r.qr(id)
		r.engine.Change(func(e *enginesim.Engine) { e.Keys = map[string]string{"key-c": "a"} })
		r.get("/api/sessions/"+id).wantsCode(http.StatusUnauthorized, "INVALID_API_KEY")
		r.post("/api/sessions/"+id+"/connect", "").wantsCode(http.StatusUnauthorized, "INVALID_API_KEY")
		time.Sleep(time.Minute)
		n := len(r.engine.Calls())
		for _, route := range []string{"/qr", "/status", "/qr/status"} {
			r.get("/api/sessions/"+id+route).wantsCode(http.StatusUnauthorized, "INVALID_API_KEY")
		}
		if looks := r.calls(n); looks > 4 {
			r.Errorf("%d calls to say so", looks)
		}
		r.qr(id, "X-API-Key", "key-c") // the account's new key is proven by itself
	})
}

// A key revoked while a request waits with it: the request ends with the engine's 401.
func TestIsolation_KeyRevokedWhileWaiting(t *testing.T) {
	bubble(t, &enginesim.Engine{Keys: map[string]string{"key-a": "a"}, QRDelay: 30 * time.Second}, func(r *rig) {
		id := r.create("crm-1")
		r.connect(id)
		go func() {
			time.Sleep(2 * time.Second)
			r.engine.Change(func(e *enginesim.Engine) { e.Keys = map[string]string{} })
		}()
		asked := time.Now()
		r.get("/api/sessions/"+id+"/qr").wantsCode(http.StatusUnauthorized, "INVALID_API_KEY")
		if waited := time.Since(asked); waited > 4*time.Second {
			r.Errorf("waited for %v", waited)
		}
		n := len(r.engine.Calls())
		time.Sleep(time.Minute)
		if more := r.calls(n); more != 0 {
			r.Errorf("%d calls with a refused key in the background", more)
		}
	})
}

// A canary key and a canary code appear in no response but the QR itself.
func TestIsolation_NoLeakIntoOtherResponses(t *testing.T) {
	engine := &enginesim.Engine{RawCode: true, Codes: func(string, int) string { return "2@canary-code,canary,canary" }}
	bubble(t, engine, func(r *rig) {
		const key = "canary-key-7"
		id := r.create("crm-1", "X-API-Key", key)
		r.connect(id, "X-API-Key", key)
		r.qr(id, "X-API-Key", key)
		r.spoil(enginesim.RouteList, enginesim.ServerError)
		for _, route := range []string{"/status", "/qr/status"} {
			res := r.get("/api/sessions/"+id+route, "X-API-Key", key)
			head, _ := json.Marshal(res.Header)
			if text := res.body + string(head); strings.Contains(text, "canary") || strings.Contains(text, "base64") {
				r.Errorf("%s: %s", route, text)
			}
		}
	})
}
