package app_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"qrgate/internal/app"
	"qrgate/internal/pairpage"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/internal/store/memory"
	"qrgate/internal/test/enginesim"
	"qrgate/internal/test/redistest"
	"qrgate/proxy"
)

// visitor is the holder of a link, and the caller who issues it.
type visitor struct {
	*testing.T
	base string
	key  http.Header
}

// ask sends a request and returns the status and the body. Only requests with a key send one.
func (p visitor) ask(method, path, body string, hasKey bool) (int, map[string]any) {
	p.Helper()
	if !strings.HasPrefix(path, "http") {
		path = p.base + path
	}
	r, err := http.NewRequestWithContext(p.Context(), method, path, strings.NewReader(body))
	if err != nil {
		p.Fatal(err)
	}
	if hasKey {
		r.Header = p.key.Clone()
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		p.Fatal(err)
	}
	defer res.Body.Close()
	var a map[string]any
	_ = json.NewDecoder(res.Body).Decode(&a) // a page is no JSON
	if policy := res.Header.Get("Referrer-Policy"); policy != "no-referrer" && strings.Contains(path, "/pair/") {
		p.Errorf("%s: the Referrer-Policy is %q", path, policy)
	}
	return res.StatusCode, a
}

// link issues a link at a path.
func (p visitor) link(path, body string) string {
	p.Helper()
	status, a := p.ask(http.MethodPost, path, body, true)
	data, _ := a["data"].(map[string]any)
	link, _ := data["url"].(string)
	if status != http.StatusCreated || link == "" {
		p.Fatalf("link: %d %v", status, a)
	}
	return link
}

// stream follows a link and returns its states.
func (p visitor) stream(link string) <-chan pairpage.Status {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), 30*time.Second)
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, link+"/events", nil)
	r.Header.Set("Accept", "text/event-stream")
	res, err := http.DefaultClient.Do(r)
	if err != nil || res.StatusCode != http.StatusOK {
		p.Fatalf("stream: %v %v", res, err)
	}
	states := make(chan pairpage.Status, 16)
	ended := make(chan struct{})
	p.Cleanup(func() { cancel(); <-ended })
	go func() {
		defer close(ended)
		defer close(states)
		defer res.Body.Close()
		lines := bufio.NewScanner(res.Body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				var s pairpage.Status
				_ = json.Unmarshal([]byte(data), &s)
				states <- s
			}
		}
	}()
	return states
}

// until reads states until one has a phase.
func (p visitor) until(states <-chan pairpage.Status, phase pairpage.Phase) (last pairpage.Status) {
	p.Helper()
	for last = range states {
		if last.Phase == phase {
			return last
		}
	}
	p.Fatalf("the stream ended in %+v, want %s", last, phase)
	return last
}

// pair issues a link, opens it, scans the code and follows it to linked.
func (p visitor) pair(sim *enginesim.Engine, route, id string) {
	p.Helper()
	stranger := visitor{p.T, p.base, http.Header{"X-Api-Key": {"wrong"}, "Apikey": {"wrong"}, "Token": {"wrong"}}}
	if status, a := stranger.ask(http.MethodPost, route, "{}", true); status < 400 || status >= 500 {
		p.Errorf("a link with a wrong key: %d %v", status, a)
	}
	link := p.link(route, `{}`)
	if status, _ := p.ask(http.MethodGet, link, "", false); status != http.StatusOK {
		p.Fatalf("the page: %d", status)
	}
	states := p.stream(link)
	if status, a := p.ask(http.MethodPost, link+"/connect", "", false); status != http.StatusNoContent {
		p.Fatalf("connect: %d %v", status, a)
	}
	shown := p.until(states, pairpage.Scan)
	if code := mustRead(p.T, secret.NewSecret(shown.QRCode)); code != sim.Snapshot()[0].Code {
		p.Error("the code is not the engine's")
	}
	if err := sim.Link(id); err != nil {
		p.Fatal(err)
	}
	p.until(states, pairpage.Linked)
	if status, a := p.ask(http.MethodGet, link+"/events", "", false); status != http.StatusGone || a["code"] != "LINK_USED" {
		p.Errorf("the link after its use: %d %v", status, a)
	}
	if status, _ := p.ask(http.MethodGet, link, "", false); status != http.StatusOK {
		p.Errorf("the page after its use: %d", status)
	}
	if status, _ := p.ask(http.MethodPost, link+"/connect", "", false); status != http.StatusGone {
		p.Errorf("connect after the use: %d", status)
	}
}

// A link pairs a session in front of an engine of the documented API, of each other API, and with the native front.
func TestPairing_EveryEngineKind(t *testing.T) {
	t.Parallel()
	t.Run("documented", func(t *testing.T) {
		t.Parallel()
		sim := &enginesim.Engine{QRDelay: 500 * time.Millisecond, Keys: map[string]string{"key-a": "a"}}
		server := httptest.NewServer(sim)
		t.Cleanup(func() { sim.Close(); server.CloseClientConnections(); server.Close() })
		base, _ := url.Parse(server.URL)
		p := visitor{t, runGateway(t, app.Config{EngineURL: base}).URL(), http.Header{"X-Api-Key": {"key-a"}}}
		p.ask(http.MethodPost, "/api/sessions", `{"sessionId":"shop-1","sessionName":"a shop"}`, true)
		p.pair(sim, "/api/sessions/shop-1/qr/link", "shop-1")
	})
	keys := map[string]http.Header{"evolution": {"Apikey": {"key-a"}}, "waha": {"X-Api-Key": {"key-a"}}}
	for _, d := range app.Dialects() {
		t.Run(d.Kind, func(t *testing.T) {
			t.Parallel()
			sim := &enginesim.Engine{QRDelay: 500 * time.Millisecond, Keys: map[string]string{"key-a": "a"}}
			base := serveFace(t, sim, d.Kind)
			documented := runGateway(t, app.Config{EngineURL: base, Dialect: d})
			p := visitor{t, documented.URL(), http.Header{"X-Api-Key": {"key-a"}}}
			p.ask(http.MethodPost, "/api/sessions", `{"sessionId":"shop-1","sessionName":"a shop"}`, true)
			name := sim.Snapshot()[0].Name
			if keys[d.Kind] == nil {
				p.pair(sim, "/api/sessions/shop-1/qr/link", name)
				return
			}
			native := runGateway(t, app.Config{EngineURL: base, Dialect: d, NativeFront: true})
			visitor{t, native.URL(), keys[d.Kind]}.pair(sim, "/_qrgate/sessions/shop-1/qr/link", name)
		})
	}
}

// Two replicas share links through Redis: one issues, the other serves the page, and a revocation on the first ends the
// open page on the second.
func TestPairing_ReplicasShareLinks(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	sim := &enginesim.Engine{QRDelay: 200 * time.Millisecond, Keys: map[string]string{"key-a": "a"}}
	server := httptest.NewServer(sim)
	t.Cleanup(func() { sim.Close(); server.CloseClientConnections(); server.Close() })
	base, _ := url.Parse(server.URL)
	cfg := app.Config{
		EngineURL: base, RedisURL: secret.NewSecret(redis.URL()), RedisTimeout: redisTimeout, Secret: secret.NewSecret("a secret of the tests"),
		PublicURL: "https://qr.example/wa/",
	}
	a := visitor{t, runGateway(t, cfg).URL(), http.Header{"X-Api-Key": {"key-a"}}}
	b := visitor{t, runGateway(t, cfg).URL(), a.key}
	a.ask(http.MethodPost, "/api/sessions", `{"sessionId":"shop-1","sessionName":"a shop"}`, true)
	link := a.link("/api/sessions/shop-1/qr/link", `{"locale":"es"}`)
	path, ok := strings.CutPrefix(link, "https://qr.example/wa")
	if !ok {
		t.Fatalf("the link is %s", link)
	}
	states := b.stream(b.base + path)
	b.ask(http.MethodPost, path+"/connect", "", false)
	b.until(states, pairpage.Scan)
	if status, _ := a.ask(http.MethodDelete, "/api/sessions/1/qr/link", "", true); status != http.StatusOK {
		t.Fatalf("revoke: %d", status)
	}
	b.until(states, pairpage.Ended)
	for _, p := range []visitor{a, b} {
		if status, body := p.ask(http.MethodGet, path+"/events", "", false); status != http.StatusNotFound || body["code"] != "LINK_NOT_FOUND" {
			t.Errorf("after the revocation: %d %v", status, body)
		}
	}
}

// A link that was used stays so when the phone removes the device, even if no page was open when it was linked.
func TestPairing_UnlinkedSessionKeepsLinkUsed(t *testing.T) {
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		r.create("shop-1")
		link := r.post("/api/sessions/shop-1/qr/link", "{}")
		link.wants(http.StatusCreated)
		path := "/pair/" + link.text("data.token")
		r.connect("shop-1")
		r.qr("shop-1")
		_ = r.engine.Link("shop-1")
		time.Sleep(5 * time.Second)
		r.get("/api/sessions/shop-1/status") // a client sees that it is linked
		r.post("/api/sessions/shop-1/qr/link", "{}").wants(http.StatusConflict)
		_ = r.engine.Unlink("shop-1")
		r.connect("shop-1")
		res := r.insists("shop-1", 30*time.Second)
		res.wants(http.StatusOK)
		if res := r.get(path+"/events", "X-API-Key", "-"); res.StatusCode != http.StatusGone {
			t.Errorf("the old link: %d %s", res.StatusCode, res.body)
		}
	}, withLinks)
}

// What a caller may ask of a link.
func TestPairing_RequestsAreChecked(t *testing.T) {
	var routes sync.Map
	bubble(t, &enginesim.Engine{Keys: map[string]string{"key-a": "a"}}, func(r *rig) {
		r.create("shop-1")
		const route = "/api/sessions/shop-1/qr/link"
		for body, want := range map[string]int{
			`{"redirectUrl":"https://crm.example/done?x=1"}`:   201,
			`{"redirectUrl":"http://localhost:3000/done"}`:     201,
			`{"redirectUrl":"http://127.0.0.1/"}`:              201,
			`{"redirectUrl":"http://crm.example/"}`:            400,
			`{"redirectUrl":"javascript:alert(1)"}`:            400,
			`{"redirectUrl":["https://crm.example"]}`:          400,
			`{"redirectUrl":null,"locale":null}`:               201,
			`{"locale":1}`:                                     400,
			`{"redirectUrl":"https://user:word@crm.example/"}`: 400,
			`{"redirectUrl":"//crm.example/"}`:                 400,
			`{"redirectUrl":"data:text/html,x"}`:               400,
			`{"locale":"pt-BR"}`:                               201,
			`{"locale":"fr"}`:                                  400,
			`{"expiresIn":1800}`:                               201,
			`{"expiresIn":1801}`:                               400,
			`{"expiresIn":0}`:                                  400,
			`{"expiresIn":-5}`:                                 400,
			`{"expiresIn":"soon"}`:                             400,
			`[1]`:                                              400,
			``:                                                 201,
		} {
			if res := r.post(route, body); res.StatusCode != want {
				t.Errorf("%s: %d %s, want %d", body, res.StatusCode, res.body, want)
			}
		}
		for path, headers := range map[string][]string{
			route:                            {"X-API-Key", "wrong-key"},
			"/api/sessions/nobody/qr/link":   {},
			"/api/sessions/shop%2D1/qr/link": {},
		} {
			if res := r.post(path, "{}", headers...); res.StatusCode < 400 || res.StatusCode > 404 {
				t.Errorf("%s %v: %d %s", path, headers, res.StatusCode, res.body)
			}
		}
		link := r.post(route, `{"expiresIn":60}`)
		path := "/pair/" + link.text("data.token")
		for request, want := range map[string]int{
			"PUT " + path: 405, "POST " + path + "/events": 405, "GET " + path + "/connect": 405, "GET " + path + "/": 404,
			"GET " + path + "/qr": 404, "OPTIONS " + path + "/x": 404, "GET /pair/": 404,
			"GET /pair/" + strings.ToLower(link.text("data.token")): 404,
		} {
			method, target, _ := strings.Cut(request, " ")
			before := len(r.engine.Calls())
			res := r.send(method, target, "", "X-API-Key", "-")
			if res.StatusCode != want {
				t.Errorf("%s: %d, want %d", request, res.StatusCode, want)
			}
			allow := map[string]string{"PUT": "GET, HEAD", "POST": "GET, HEAD", "GET": "POST"}[method]
			if got := res.Header.Get("Allow"); want == 405 && got != allow {
				t.Errorf("%s: Allow is %q, want %q", request, got, allow)
			}
			if n := len(r.engine.Calls()) - before; n > 0 {
				t.Errorf("%s reached the engine", request)
			}
		}
		r.get(path, "X-API-Key", "-").wants(http.StatusOK)
		time.Sleep(time.Minute)
		r.get(path, "X-API-Key", "-").wants(http.StatusNotFound)
		r.get(path+"/events", "X-API-Key", "-").wants(http.StatusNotFound)
	}, withLinks, func(s *setup) {
		configure := s.proxy
		s.proxy = func(c *proxy.Config) {
			configure(c)
			c.Observe = func(e session.RequestLog) { routes.Store(e.Method+" "+e.Route, true) }
		}
	})
	for _, want := range []string{
		"POST /api/sessions/{id}/qr/link", "GET /pair/{token}", "GET /pair/{token}/events", "GET /pair/{token}/connect",
		"GET unmatched",
	} {
		if _, ok := routes.Load(want); !ok {
			t.Errorf("no request is logged as %s", want)
		}
	}
}

// withLinks lets a rig's gateway issue links.
func withLinks(s *setup) {
	s.proxy = func(c *proxy.Config) { c.Pairing.Links = pairpage.NewLinks(c.Sealer, memory.New(memory.Config{})) }
}

// A page names the cause and who must act. It contains nothing of the engine: its address and its texts are for operators.
func TestPairing_ProblemHasNoEvidence(t *testing.T) {
	bubble(t, &enginesim.Engine{QRDelay: time.Hour}, func(r *rig) {
		r.create("shop-1")
		path := "/pair/" + r.post("/api/sessions/shop-1/qr/link", `{"locale":"pt"}`).text("data.token") + "/events"
		r.connect("shop-1")
		r.engine.Change(func(e *enginesim.Engine) {
			e.Faults = map[enginesim.Route]enginesim.Fault{enginesim.AnyRoute: {Kind: enginesim.HTML502}}
		})
		time.Sleep(20 * time.Second)
		res := r.get(path, "X-API-Key", "-")
		res.wants(http.StatusOK)
		if res.text("data.phase") != "problem" || res.text("data.problem.code") != "engine_unreachable" ||
			res.text("data.problem.who") != "operator" || res.text("data.problem.title") != "O motor não pode ser alcançado" {
			t.Errorf("the page shows %s", res.body)
		}
		for _, word := range []string{"evidence", "engine.test", "502", "help", "QRGATE"} {
			if strings.Contains(res.body, word) {
				t.Errorf("%q is in %s", word, res.body)
			}
		}
	}, withLinks)
}

// With several engines, a link leads to the engine that has its session.
func TestPairing_SeveralEngines(t *testing.T) {
	t.Parallel()
	f := newFleet(t, nil)
	names, _ := f.spread()
	for engine, name := range names {
		p := visitor{t, f.base, http.Header{"X-Api-Key": {"key-a"}}}
		link := p.link("/api/sessions/"+name+"/qr/link", "{}")
		states := p.stream(link)
		if status, a := p.ask(http.MethodPost, link+"/connect", "", false); status != http.StatusNoContent {
			t.Fatalf("connect at %s: %d %v", engine, status, a)
		}
		p.until(states, pairpage.Scan)
		if err := f.engines[engine].Link(name); err != nil {
			t.Fatal(err)
		}
		p.until(states, pairpage.Linked)
	}
}
