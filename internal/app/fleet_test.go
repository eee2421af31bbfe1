package app_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"qrgate/compat/embedded"
	"qrgate/internal/app"
	"qrgate/internal/fleet"
	"qrgate/internal/secret"
	"qrgate/internal/test/enginesim"
	"qrgate/internal/test/whatsappsim"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
)

// fleetRig is a gateway before two engines over real sockets.
type fleetRig struct {
	*rig
	engines map[string]*enginesim.Engine
	servers map[string]*httptest.Server
	cfg     app.Config
	stop    func() error
}

// newFleet starts two engines, a and b, which both count their sessions from 1, and a gateway.
func newFleet(t *testing.T, change func(*app.Config)) *fleetRig {
	t.Helper()
	f := &fleetRig{engines: map[string]*enginesim.Engine{}, servers: map[string]*httptest.Server{}}
	f.cfg = app.Config{Logger: slog.New(slog.DiscardHandler), DataDir: t.TempDir()}
	for _, name := range []string{"a", "b"} {
		engine := &enginesim.Engine{RawCode: true, PageSize: 20}
		server := httptest.NewServer(engine)
		t.Cleanup(func() { engine.Close(); server.Close() })
		base, _ := url.Parse(server.URL)
		f.engines[name], f.servers[name] = engine, server
		f.cfg.Engines = append(f.cfg.Engines, app.EngineConfig{Name: name, Base: base, Weight: 1})
	}
	if change != nil {
		change(&f.cfg)
	}
	f.rig, f.stop = running(t, nil, f.cfg)
	return f
}

// kill ends an engine as a crash does: its connections break, and new ones are refused.
func (f *fleetRig) kill(name string) {
	f.servers[name].Listener.Close()
	f.servers[name].CloseClientConnections()
}

// creates counts the accepted creates of a session at an engine.
func (f *fleetRig) creates(engine, name string) (n int) {
	for _, c := range f.engines[engine].Calls() {
		if c.Route == enginesim.RouteCreate && c.Status == http.StatusCreated && strings.Contains(string(c.Body), `"`+name+`"`) {
			n++
		}
	}
	return n
}

// engineOf is the engine that has a session.
func (f *fleetRig) engineOf(name string) string {
	switch a, b := f.creates("a", name), f.creates("b", name); {
	case a == 1 && b == 0:
		return "a"
	case b == 1 && a == 0:
		return "b"
	default:
		f.Fatalf("%s was created %d times at a and %d times at b", name, a, b)
		return ""
	}
}

// spread creates sessions until each engine has one, and returns the name and the id of one of each.
func (f *fleetRig) spread() (names, ids map[string]string) {
	f.Helper()
	names, ids = map[string]string{}, map[string]string{}
	for i := 0; len(names) < 2 && i < 40; i++ {
		name := fmt.Sprintf("spread-%d", i)
		id := f.create(name)
		engine := f.engineOf(name)
		names[engine], ids[engine] = name, id
	}
	if len(names) < 2 {
		f.Fatal("40 sessions are at one engine")
	}
	return names, ids
}

// The integers of both engines begin at 1, and clients store integers: each leads to its own session.
func TestFleet_SessionsOfTwoEngines(t *testing.T) {
	t.Parallel()
	f := newFleet(t, nil)
	names, ids := f.spread()
	if ids["a"] == ids["b"] {
		t.Fatalf("both sessions have the id %s", ids["a"])
	}
	for engine, name := range names {
		f.connect(ids[engine])
		if got := f.qr(ids[engine]).text("data.sessionId"); got != name {
			t.Errorf("the QR of %s is for %q", name, got)
		}
		f.qr(name)
		get := f.get("/api/sessions/" + ids[engine])
		get.wants(http.StatusOK)
		if got := get.text("data.session.id"); got != ids[engine] {
			t.Errorf("GET of %s shows the id %s", ids[engine], got)
		}
		before := len(f.engines[engine].Calls())
		f.get("/api/messages/" + name + "/chats").wants(http.StatusOK)
		if calls := f.engines[engine].Calls()[before:]; len(calls) == 0 || !strings.Contains(calls[len(calls)-1].Path, name) {
			t.Errorf("the messages of %s were not read at %s", name, engine)
		}
	}
	list := f.get("/api/sessions?limit=100")
	list.wants(http.StatusOK)
	for engine, name := range names {
		if !strings.Contains(list.body, name) || !strings.Contains(list.body, ids[engine]) {
			t.Errorf("the list lacks %s with %s: %.300s", name, ids[engine], list.body)
		}
	}
	if sessions := list.at("data.sessions").([]any); list.text("data.pagination.total") != fmt.Sprint(len(sessions)) {
		t.Errorf("the total is %s of %d", list.text("data.pagination.total"), len(sessions))
	}
	f.post("/api/sessions", `{"sessionId":"`+names["b"]+`","sessionName":"again"}`).wants(http.StatusConflict)
	f.engineOf(names["b"])
	f.send("DELETE", "/api/sessions/"+names["b"], "").wants(http.StatusOK)
	f.get("/api/sessions/" + names["b"] + "/qr?wait=0").wants(http.StatusNotFound)
}

// One engine dies: all creates succeed at the other, none is sent twice, and sessions of the other notice nothing.
func TestFleet_CreatesDuringOutage(t *testing.T) {
	t.Parallel()
	f := newFleet(t, nil)
	names, ids := f.spread()
	f.connect(ids["b"])
	f.qr(ids["b"])
	f.kill("a")
	// A create in the moment of the crash may be lost, as TestFleet_LostCreate shows; this is about the time after it.
	f.get("/api/sessions").wants(http.StatusOK)
	var clients sync.WaitGroup
	for i := range 100 {
		clients.Go(func() {
			name := fmt.Sprintf("outage-%d", i)
			f.post("/api/sessions", `{"sessionId":"`+name+`","sessionName":"x"}`).wants(http.StatusCreated)
			f.qr(ids["b"])
			f.get("/api/sessions/" + names["b"] + "/status").wants(http.StatusOK)
		})
	}
	clients.Wait()
	for i := range 100 {
		if name := fmt.Sprintf("outage-%d", i); f.engineOf(name) != "b" {
			t.Errorf("%s is at the dead engine", name)
		}
	}
	list := f.get("/api/sessions?limit=100")
	list.wants(http.StatusOK)
	if got := list.Header.Get(fleet.HeaderMissing); got != "a" || strings.Contains(list.body, `"`+names["a"]+`"`) {
		t.Errorf("the list names %q as missing", got)
	}
	if res := f.get("/api/sessions/" + names["a"] + "/qr?wait=0"); res.StatusCode == http.StatusNotFound {
		t.Errorf("a session of the dead engine is denied: %.200s", res.body)
	}
	f.kill("b")
	if res := f.get("/api/sessions"); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("without engines the list is %d %.200s", res.StatusCode, res.body)
	}
}

// A create whose response was lost is not sent again: the client's next create reaches the same engine, or the other
// one if that engine is down.
func TestFleet_LostCreate(t *testing.T) {
	t.Parallel()
	for _, acts := range []bool{true, false} {
		t.Run(fmt.Sprintf("engine acts %v", acts), func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, nil)
			for _, e := range f.engines {
				e.Faults = map[enginesim.Route]enginesim.Fault{
					enginesim.RouteCreate: {Kind: enginesim.CutConnection, Acts: acts, First: 1},
				}
			}
			create := func() response { return f.post("/api/sessions", `{"sessionId":"lost","sessionName":"x"}`) }
			if a := create(); a.StatusCode < 500 {
				t.Fatalf("a lost create is %d", a.StatusCode)
			}
			first, other := "a", "b"
			if f.sent("b") == 1 {
				first, other = "b", "a"
			}
			if f.sent(first) != 1 || f.sent(other) != 0 {
				t.Fatalf("the create was sent %d and %d times", f.sent("a"), f.sent("b"))
			}
			if acts {
				create().wants(http.StatusConflict)
				f.connect("lost")
				f.qr("lost")
				return
			}
			f.kill(first)
			f.engines[other].Change(func(e *enginesim.Engine) { e.Faults = nil })
			if a := create(); a.StatusCode != http.StatusCreated { // the first call that meets the outage may be the create
				create().wants(http.StatusCreated)
			}
			if f.creates(other, "lost") != 1 {
				t.Error("the session is not at the other engine")
			}
		})
	}
}

// sent counts the creates that reached an engine.
func (f *fleetRig) sent(engine string) int {
	return f.engines[engine].CountSince(enginesim.RouteCreate, time.Time{})
}

// An engine of weight 0 gets no new sessions, and serves those that it has.
func TestFleet_Drain(t *testing.T) {
	t.Parallel()
	f := newFleet(t, nil)
	names, ids := f.spread()
	if err := f.stop(); err != nil {
		t.Fatal(err)
	}
	f.cfg.Engines[0].Weight = 0
	f.rig, f.stop = running(t, nil, f.cfg)
	for i := range 20 {
		f.create(fmt.Sprintf("drained-%d", i))
		if f.engineOf(fmt.Sprintf("drained-%d", i)) != "b" {
			t.Error("a drained engine got a session")
		}
	}
	f.connect(ids["a"]) // found by asking: the directory was in memory
	f.qr(names["a"])
}

// The directory survives a restart in Redis, and is found by asking without.
func TestFleet_DirectoryInRedis(t *testing.T) {
	t.Parallel()
	shared := miniredis.RunT(t)
	f := newFleet(t, func(cfg *app.Config) {
		cfg.RedisURL, cfg.RedisTimeout = secret.NewSecret("redis://"+shared.Addr()), redisTimeout
		cfg.Secret = secret.NewSecret("a secret of the tests")
	})
	names, _ := f.spread()
	if err := f.stop(); err != nil {
		t.Fatal(err)
	}
	f.rig, f.stop = running(t, nil, f.cfg)
	other := len(f.engines["a"].Calls())
	f.connect(names["b"])
	f.qr(names["b"])
	for _, c := range f.engines["a"].Calls()[other:] {
		if c.Route != enginesim.RouteHealth {
			t.Errorf("the other engine was asked for a session that the store knows: %s %s", c.Method, c.Path)
		}
	}
	for _, key := range shared.Keys() {
		if value, _ := shared.DB(0).Get(key); strings.Contains(key+value, names["b"]) {
			t.Errorf("the name of a session is in Redis, in %s", key)
		}
	}
}

// Two engines have a session of one name since before they were behind one gateway.
func TestFleet_AmbiguousName(t *testing.T) {
	t.Parallel()
	f := newFleet(t, nil)
	for _, server := range f.servers {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/api/sessions",
			strings.NewReader(`{"sessionId":"twice","sessionName":"x"}`))
		req.Header.Set("X-API-Key", "key-a")
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		if err != nil || res.StatusCode != http.StatusCreated {
			t.Fatal(res, err)
		}
		res.Body.Close()
	}
	f.get("/api/sessions/twice/qr").wantsCode(http.StatusConflict, "SESSION_AMBIGUOUS")
	list := f.get("/api/sessions")
	list.wants(http.StatusOK)
	sessions := list.at("data.sessions").([]any)
	if len(sessions) != 2 {
		t.Fatalf("the list has %d sessions", len(sessions))
	}
	for _, s := range sessions {
		id := fmt.Sprint(s.(map[string]any)["id"])
		f.connect(id)
		f.qr(id)
	}
	f.get("/api/sessions/twice/qr").wantsCode(http.StatusConflict, "SESSION_AMBIGUOUS")
}

// A client that polls for a session that no engine has costs the engines no more calls than one engine would get.
func TestFleet_UnknownSession(t *testing.T) {
	t.Parallel()
	f := newFleet(t, nil)
	f.get("/api/sessions/unknown/status").wants(http.StatusNotFound)
	before := len(f.engines["a"].Calls()) + len(f.engines["b"].Calls())
	for range 5 {
		f.get("/api/messages/unknown/chats")
	}
	if calls := len(f.engines["a"].Calls()) + len(f.engines["b"].Calls()) - before; calls > 5 {
		t.Errorf("5 requests cost %d calls", calls)
	}
	f.create("unknown")
	f.connect("unknown")
	f.qr("unknown")
}

// An engine whose health check fails gets no new sessions, before it refuses a single one.
func TestFleet_FailingProbe(t *testing.T) {
	t.Parallel()
	f := newFleet(t, nil)
	f.checkProbedEngineIsAvoided(enginesim.RouteHealth, func(name string) { f.create(name) }, f.engineOf)
	if s := f.status(""); !strings.Contains(s, `"name": "a"`) || !strings.Contains(s, `"name": "b"`) {
		t.Errorf("the status page does not list both engines: %.300s", s)
	}
}

// The embedded engine is one of several: its sessions keep their integers.
func TestFleet_Embedded(t *testing.T) {
	t.Parallel()
	const header, key = "X-API-Key", "a-key-of-sixteen-characters"
	whatsappsimtest.TrustRoot()
	whatsApp := &whatsappsim.Server{}
	f := newFleet(t, func(cfg *app.Config) {
		cfg.Engines[0] = app.EngineConfig{Name: fleet.FirstName, Weight: 1}
		cfg.WhatsApp = whatsApp.HTTPClient(whatsappsimtest.Start(t, whatsApp))
		cfg.APIKeys = []embedded.Key{{Name: "shop", Key: secret.NewSecret(key)}}
	})
	ids := map[bool]string{} // by whether the embedded engine has the session
	for i := 0; len(ids) < 2 && i < 40; i++ {
		name := fmt.Sprintf("spread-%d", i)
		id := f.create(name, header, key)
		if ids[f.creates("b", name) == 0] = id; ids[true] == id && len(id) > 4 {
			t.Errorf("a session of the embedded engine has the id %s", id)
		}
	}
	for isEmbedded, id := range ids {
		f.connect(id, header, key)
		if got := f.qr(id, header, key).text("data.qrCode"); got == "" {
			t.Errorf("no QR of session %s, embedded %t", id, isEmbedded)
		}
	}
	f.kill("b")
	f.get("/api/sessions", header, key) // the first call after a crash meets it
	for i := range 10 {
		f.create(fmt.Sprintf("outage-%d", i), header, key)
	}
	if len(ids) < 2 {
		t.Error("40 sessions are at one engine")
	}
}

// checkProbedEngineIsAvoided: engine a, whose route for the health check fails, gets none of 20 sessions.
func (f *fleetRig) checkProbedEngineIsAvoided(
	health enginesim.Route, create func(name string), engineOf func(name string) string,
) {
	f.Helper()
	f.engines["a"].Change(func(e *enginesim.Engine) {
		e.Faults = map[enginesim.Route]enginesim.Fault{health: {Kind: enginesim.ServerError}}
	})
	deadline := time.Now().Add(40 * time.Second)
	for !strings.Contains(f.status("a"), `"outcome": "failure"`) {
		if time.Now().After(deadline) {
			f.Fatal("no probe has failed")
		}
		<-time.After(100 * time.Millisecond)
	}
	for i := range 20 {
		name := fmt.Sprintf("probed-%d", i)
		create(name)
		if engineOf(name) != "b" {
			f.Error("an engine with a failing probe got a session")
		}
	}
}

// status is the status page of an engine as JSON.
func (f *fleetRig) status(engine string) string {
	f.Helper()
	res, err := http.Get(f.admin + "/status?format=json&engine=" + engine)
	if err != nil {
		f.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		f.Fatal(res.Status, err)
	}
	return string(body)
}
