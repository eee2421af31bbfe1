package app_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"qrgate/internal/app"
	"qrgate/internal/pairpage"
	"qrgate/internal/test/enginesim"
)

// offersNumber reports whether a page offers to pair by phone number.
func (p visitor) offersNumber(link string) bool {
	p.Helper()
	res, err := http.Get(link)
	if err != nil {
		p.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	page, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		p.Fatalf("the page: %d %v", res.StatusCode, err)
	}
	return strings.Contains(string(page), `"pairsByPhone":true`)
}

// pairByNumber issues a link, requests a code for a number on its page, types it in and follows the page to linked.
func (p visitor) pairByNumber(face *enginesim.Face, route, name string) {
	p.Helper()
	link := p.link(route, "{}")
	if !p.offersNumber(link) {
		p.Fatal("the page does not offer to pair by phone number")
	}
	states := p.stream(link)
	if status, _ := p.ask(http.MethodPost, link+"/code", `{"phoneNumber":"12"}`, false); status != http.StatusBadRequest {
		p.Errorf("a number of two digits: %d", status)
	}
	p.ask(http.MethodPost, link+"/connect", "", false)
	p.until(states, pairpage.Scan)
	status, a := p.ask(http.MethodPost, link+"/code", `{"phoneNumber":"+1 555 0100 23"}`, false)
	data, _ := a["data"].(map[string]any)
	code, _ := data["pairingCode"].(string)
	if seconds, _ := data["expiresIn"].(float64); status != http.StatusOK || seconds < 20 || len(data) != 2 {
		p.Fatalf("the code: %d %v", status, a)
	}
	if err := face.EnterCode(name, code); err != nil {
		p.Fatal(err)
	}
	p.until(states, pairpage.Linked)
}

// A page pairs by phone number in front of an engine of each other API, whatever its clients speak.
func TestPairing_ByNumberEveryDialect(t *testing.T) {
	t.Parallel()
	keys := map[string]http.Header{"evolution": {"Apikey": {"key-a"}}, "waha": {"X-Api-Key": {"key-a"}}}
	for _, d := range app.Dialects() {
		t.Run(d.Kind, func(t *testing.T) {
			t.Parallel()
			sim := &enginesim.Engine{QRDelay: 500 * time.Millisecond, Keys: map[string]string{"key-a": "a"}}
			face := enginesim.Faces()[d.Kind](sim)
			base := serve(t, sim, face)
			p := visitor{t, runGateway(t, app.Config{EngineURL: base, Dialect: d}).URL(), http.Header{"X-Api-Key": {"key-a"}}}
			p.ask(http.MethodPost, "/api/sessions", `{"sessionId":"shop-1","sessionName":"a shop"}`, true)
			p.ask(http.MethodPost, "/api/sessions", `{"sessionId":"shop-2","sessionName":"a shop"}`, true)
			p.pairByNumber(face, "/api/sessions/shop-1/qr/link", "shop-1")
			if keys[d.Kind] != nil {
				native := runGateway(t, app.Config{EngineURL: base, Dialect: d, NativeFront: true})
				visitor{t, native.URL(), keys[d.Kind]}.pairByNumber(face, "/_qrgate/sessions/shop-2/qr/link", "shop-2")
			}
		})
	}
}

// With an engine of the documented API, qrgate detects whether it has the route, with one request for several links.
func TestPairing_ByNumberIfEngineServesIt(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		body   string
		offers bool
	}{
		"a number is required": {400, `{"success":false,"error":"phoneNumber is required"}`, true},
		"validation":           {422, `{"success":false,"error":"phoneNumber"}`, true},
		"no such route":        {404, `{"success":false,"error":"Not found"}`, false},
		"not implemented":      {501, `{"success":false,"error":"Not implemented"}`, false},
		"another method":       {405, `{"success":false}`, false},
		"a page":               {400, `<html>Bad Request</html>`, false},
		"a success":            {200, `{"success":true}`, false},
		"broken":               {500, `{"success":false}`, false},
		"too many requests":    {429, `{"success":false}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			sim := &enginesim.Engine{Keys: map[string]string{"key-a": "a"}}
			base := serve(t, sim, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !strings.HasSuffix(r.URL.Path, "/pairing-code") {
					sim.ServeHTTP(w, r)
					return
				}
				if body, _ := io.ReadAll(r.Body); string(body) != "{}" || r.Header.Get("X-Api-Key") != "key-a" {
					t.Errorf("the engine is asked with %q", body)
				}
				asked.Add(1)
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			}))
			p := visitor{t, runGateway(t, app.Config{EngineURL: base}).URL(), http.Header{"X-Api-Key": {"key-a"}}}
			p.ask(http.MethodPost, "/api/sessions", `{"sessionId":"shop-1","sessionName":"a shop"}`, true)
			for range 2 {
				link := p.link("/api/sessions/shop-1/qr/link", "{}")
				if p.offersNumber(link) != test.offers {
					t.Errorf("the page offers it: %t", !test.offers)
				}
				if test.offers {
					continue
				}
				if status, _ := p.ask(http.MethodPost, link+"/code", `{}`, false); status != http.StatusNotFound {
					t.Errorf("a code that is not offered: %d", status)
				}
			}
			if n := asked.Load(); n != 1 && test.status != http.StatusTooManyRequests {
				t.Errorf("the engine is asked %d times", n)
			}
		})
	}
}
