package app_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"qrgate/internal/test/enginesim"
)

// cookies lets an engine know its clients by a cookie as well, as one does that serves a dashboard too.
func cookies(e *enginesim.Engine) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := r.Cookie("key"); err == nil {
			r.Header.Set("X-API-Key", c.Value)
		}
		e.ServeHTTP(w, r)
	})
}

// A client that the engine identifies by something else than a key gets what it gets without qrgate, and no other client
// gets it: qrgate cannot distinguish clients without a key.
func TestUnkeyed_CookieSeparatesClients(t *testing.T) {
	bubble(t, &enginesim.Engine{RawCode: true, QRDelay: 2 * time.Second}, func(r *rig) {
		mine := []string{"X-API-Key", "-", "Cookie", "key=key-a"}
		id := r.create("crm-1", mine...)
		r.connect(id, mine...)
		if res := r.get("/api/sessions/"+id+"/qr", mine...); res.StatusCode != http.StatusAccepted {
			r.Errorf("before the code: %d %s", res.StatusCode, res.body)
		}
		time.Sleep(3 * time.Second)
		code := r.qr(id, mine...).text("data.qrCode")
		for _, others := range [][]string{{"X-API-Key", "-"}, {"X-API-Key", "-", "Cookie", "key=key-b"}} {
			for _, session := range []string{id, "crm-1"} {
				for _, route := range telling {
					if res := r.get("/api/sessions/"+session+route, others...); res.StatusCode < 400 || strings.Contains(res.body, code) {
						r.Errorf("%s with %q: %d %.200s", route, others, res.StatusCode, res.body)
					}
				}
			}
		}
	}, before(cookies))
}
