package app_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"qrgate/compat"
	"qrgate/compat/dialect"
	"qrgate/internal/app"
	"qrgate/internal/fleet"
	"qrgate/internal/secret"
	"qrgate/internal/test/enginesim"
)

// nativeKind is how clients of an engine's own API do what these tests need. A %s is the session's name.
type nativeKind struct {
	create      string // the path
	body        string // of a create
	begin       string // "" where qr begins
	qr, other   string // other passes through
	state       string
	delete      string
	list, names string // the list's path, and the member of a row that holds the name
	authorize   func(r *http.Request, key, name string)
}

var nativeKinds = map[string]nativeKind{
	"evolution": {
		create: "/instance/create", body: `{"instanceName":"%s","qrcode":false}`,
		qr: "GET /instance/connect/%s", other: "POST /message/sendText/%s", state: "GET /instance/connectionState/%s",
		delete: "DELETE /instance/delete/%s", list: "/instance/fetchInstances", names: "name",
		authorize: func(r *http.Request, key, _ string) { r.Header.Set("apikey", key) },
	},
	"gowa": {
		create: "/devices", body: `{"device_id":"%s"}`,
		qr: "GET /devices/%s/login", other: "POST /send/message?device_id=%s", state: "GET /devices/%s",
		delete: "DELETE /devices/%s", list: "/devices", names: "id",
		authorize: func(r *http.Request, key, _ string) { r.SetBasicAuth("user", key) },
	},
	"waha": {
		create: "/api/sessions", body: `{"name":"%s","start":true}`,
		qr: "GET /api/%s/auth/qr?format=raw", other: "POST /api/sendText", state: "GET /api/sessions/%s",
		delete: "DELETE /api/sessions/%s", list: "/api/sessions", names: "name",
		authorize: func(r *http.Request, key, _ string) { r.Header.Set("X-Api-Key", key) },
	},
	"wuzapi": {
		create: "/admin/users", body: `{"name":"%s","token":"token of %[1]s"}`, begin: "POST /session/connect",
		qr: "GET /session/qr", other: "POST /chat/send/text", state: "GET /session/status",
		delete: "DELETE /admin/users/%s", list: "/admin/users", names: "name",
		authorize: func(r *http.Request, key, name string) {
			if strings.HasPrefix(r.URL.Path, "/admin/") {
				r.Header.Set("Authorization", key)
			} else {
				r.Header.Set("Token", "token of "+name)
			}
		},
	},
}

// nativeFleet is a gateway before two engines whose own API its clients speak.
type nativeFleet struct {
	*fleetRig
	nativeKind
}

func newNativeFleet(t *testing.T, kind string) nativeFleet {
	t.Helper()
	f := &fleetRig{engines: map[string]*enginesim.Engine{}, servers: map[string]*httptest.Server{}}
	f.cfg = app.Config{
		Logger: slog.New(slog.DiscardHandler), DataDir: t.TempDir(), NativeFront: true,
		QRWaitInitial: 9 * time.Second, QRWait: 4500 * time.Millisecond,
	}
	index := slices.IndexFunc(app.Dialects(), func(d *dialect.Dialect) bool { return d.Kind == kind })
	for _, name := range []string{"a", "b"} {
		engine := &enginesim.Engine{Keys: map[string]string{"key-a": "a"}}
		server := httptest.NewServer(enginesim.Faces()[kind](engine))
		t.Cleanup(func() { server.CloseClientConnections(); engine.Close(); server.Close() })
		base, _ := url.Parse(server.URL)
		f.engines[name], f.servers[name] = engine, server
		f.cfg.Engines = append(f.cfg.Engines, app.EngineConfig{
			Name: name, Base: base, Weight: 1, Dialect: app.Dialects()[index],
		})
	}
	f.rig, f.stop = running(t, nil, f.cfg)
	return nativeFleet{f, nativeKinds[kind]}
}

// ask sends a request, "GET /path" with the name in place of %s, to a base URL.
func (f nativeFleet) ask(base, route, name, body, key string) (int, http.Header, string) {
	f.Helper()
	if strings.Contains(route, "%s") {
		route = fmt.Sprintf(route, name)
	}
	method, path, _ := strings.Cut(route, " ")
	r, err := http.NewRequestWithContext(f.Context(), method, base+path, strings.NewReader(body))
	if err != nil {
		f.Fatal(err)
	}
	if body == "" {
		r.Body, r.ContentLength = http.NoBody, 0
	}
	r.Header.Set("Content-Type", "application/json")
	f.authorize(r, key, name)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		f.Errorf("%s: %v", route, err)
		return 0, nil, ""
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	return res.StatusCode, res.Header, string(text)
}

// client sends a request through the gateway and returns a 2xx response.
func (f nativeFleet) client(route, name, body string) string {
	f.Helper()
	status, _, text := f.ask(f.base, route, name, body, "key-a")
	if status/100 != 2 {
		f.Errorf("%s of %s: %d %.200s", route, name, status, text)
	}
	return text
}

func (f nativeFleet) createSession(name string) {
	f.Helper()
	f.client("POST "+f.create, name, fmt.Sprintf(f.body, name))
}

// engineOf is the engine that has a session.
func (f nativeFleet) engineOf(name string) string {
	f.Helper()
	counts := map[string]int{}
	for engine, sim := range f.engines {
		for _, c := range sim.Calls() {
			if c.Method == http.MethodPost && c.Path == f.create && c.Status/100 == 2 && strings.Contains(string(c.Body), `"`+name+`"`) {
				counts[engine]++
			}
		}
	}
	for engine, n := range counts {
		if n == 1 && len(counts) == 1 {
			return engine
		}
	}
	f.Fatalf("%s was created %v times", name, counts)
	return ""
}

// spread creates sessions until each engine has one, and returns the name of one of each.
func (f nativeFleet) spread() map[string]string {
	f.Helper()
	names := map[string]string{}
	for i := 0; len(names) < 2 && i < 40; i++ {
		name := fmt.Sprintf("spread-%d", i)
		f.createSession(name)
		names[f.engineOf(name)] = name
	}
	if len(names) < 2 {
		f.Fatal("40 sessions are at one engine")
	}
	return names
}

// wantsCode begins a pairing and wants the code of the session's own engine, in the engine's form.
func (f nativeFleet) wantsCode(engine, name string) {
	f.Helper()
	if f.begin != "" { // an error while it runs already
		f.ask(f.base, f.begin, name, `{"Subscribe":["All"],"Immediate":true}`, "key-a")
	}
	var shown struct {
		Code    any // wuzapi's is a status
		Value   string
		Data    struct{ QRCode string }
		Results struct {
			Link string `json:"qr_link"`
		}
	}
	text := f.client(f.qr, name, "")
	if err := json.Unmarshal([]byte(text), &shown); err != nil {
		f.Fatalf("%v in %.200s", err, text)
	}
	code, _ := shown.Code.(string)
	code += shown.Value + shown.Data.QRCode
	if shown.Results.Link != "" {
		link, _ := url.Parse(shown.Results.Link)
		_, _, picture := f.ask(f.base, "GET "+link.Path, name, "", "key-a")
		code = "data:image/png;base64," + base64.StdEncoding.EncodeToString([]byte(picture))
	}
	if strings.HasPrefix(code, "data:") {
		code = mustRead(f.T, secret.NewSecret(code))
	}
	for _, s := range f.engines[engine].Snapshot() {
		if s.Name == name && s.Code == code && code != "" {
			return
		}
	}
	f.Errorf("%s shows %.40q, which is not its engine's code", name, code)
}

// Sessions of two engines: each is created once, shows its own code, and gets every request that names it, also after a
// restart, when the gateway remembers nothing; the list has all.
func TestFleetNative_SessionsOfTwoEngines(t *testing.T) {
	for kind := range nativeKinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f := newNativeFleet(t, kind)
			names := f.spread()
			if err := f.stop(); err != nil {
				t.Fatal(err)
			}
			f.rig, f.stop = running(t, nil, f.cfg)
			for engine, name := range names {
				f.wantsCode(engine, name)
				before := len(f.engines[engine].Calls())
				f.ask(f.base, f.other, name, `{"text":"a","session":"`+name+`"}`, "key-a")
				if calls := f.engines[engine].Calls()[before:]; !slices.ContainsFunc(calls, func(c enginesim.Call) bool { return c.Method == "POST" }) {
					t.Errorf("%s did not reach the engine", f.other)
				}
				status, _, _ := f.ask(f.base, "POST "+f.create, name, fmt.Sprintf(f.body, name), "key-a")
				if status/100 == 2 {
					t.Errorf("%s was created again", name)
				}
				for _, key := range []string{"key-a", "wrong"} {
					status, _, text := f.ask(f.base, f.state, name, "", key)
					wantStatus, _, want := f.ask(f.servers[engine].URL, f.state, name, "", key)
					if status != wantStatus || text != want {
						t.Errorf("state with %s: %d %.100s, directly %d %.100s", key, status, text, wantStatus, want)
					}
				}
			}
			f.wantsList(nil)
			for engine, name := range names {
				if kind == "wuzapi" { // its clients delete by ids
					continue
				}
				f.client(f.delete, name, "")
				isThere := func(s enginesim.Session) bool { return s.Name == name }
				if slices.ContainsFunc(f.engines[engine].Snapshot(), isThere) {
					t.Errorf("%s was not deleted", name)
				}
			}
		})
	}
}

// wantsList wants the sessions of all engines but the missing ones in the list.
func (f nativeFleet) wantsList(missing []string) {
	f.Helper()
	status, header, text := f.ask(f.base, "GET "+f.list, "", "", "key-a")
	var rows []map[string]any
	member := map[string]json.RawMessage{}
	if json.Unmarshal([]byte(text), &rows) != nil && json.Unmarshal([]byte(text), &member) == nil {
		for _, name := range []string{"data", "results"} {
			_ = json.Unmarshal(member[name], &rows)
		}
	}
	want := 0
	for engine, sim := range f.engines {
		if slices.Contains(missing, engine) {
			continue
		}
		for _, s := range sim.Snapshot() {
			want++
			if !slices.ContainsFunc(rows, func(row map[string]any) bool { return row[f.names] == s.Name }) {
				f.Errorf("the list lacks %s", s.Name)
			}
		}
	}
	if got := header.Get(fleet.HeaderMissing); status != http.StatusOK || len(rows) != want || got != strings.Join(missing, ", ") {
		f.Errorf("list: %d, %d of %d rows, missing %q", status, len(rows), want, got)
	}
}

// One engine dies: all creates succeed at the other, nothing is created twice, sessions of the other notice nothing.
func TestFleetNative_CreatesDuringOutage(t *testing.T) {
	for kind := range nativeKinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f := newNativeFleet(t, kind)
			names := f.spread()
			f.wantsCode("b", names["b"])
			f.kill("a")
			f.ask(f.base, "GET "+f.list, "", "", "key-a")
			var clients sync.WaitGroup
			for i := range 100 {
				clients.Go(func() {
					f.createSession(fmt.Sprintf("outage-%d", i))
					f.client(f.state, names["b"], "")
				})
			}
			clients.Wait()
			for i := range 100 {
				if name := fmt.Sprintf("outage-%d", i); f.engineOf(name) != "b" {
					t.Errorf("%s is at the dead engine", name)
				}
			}
			f.wantsCode("b", names["b"])
			f.wantsList([]string{"a"})
			if status, _, text := f.ask(f.base, f.state, names["a"], "", "key-a"); status/100 != 5 {
				t.Errorf("a session of the dead engine: %d %.200s", status, text)
			}
		})
	}
}

// An engine that fails its probes gets no new sessions, before it refuses a single one.
func TestFleetNative_FailingProbe(t *testing.T) {
	t.Parallel()
	f := newNativeFleet(t, "waha")
	f.checkProbedEngineIsAvoided("GET /ping", f.createSession, f.engineOf)
}

// A request to GOWA that names no device means the only one, at whatever engine that is. If both engines have one, the
// client gets GOWA's own response to a client with several.
func TestFleetNative_OnlyDevice(t *testing.T) {
	t.Parallel()
	f := newNativeFleet(t, "gowa")
	wantStatus, _, want := f.ask(f.servers["a"].URL, "GET /app/login", "", "", "key-a")
	if status, _, text := f.ask(f.base, "GET /app/login", "", "", "key-a"); status != wantStatus || text != want {
		t.Errorf("without devices: %d %s, want %d %s", status, text, wantStatus, want)
	}
	_, _, _ = f.ask(f.servers["b"].URL, "POST /devices", "", `{"device_id":"shop-b"}`, "key-a")
	<-time.After(2100 * time.Millisecond) // as long as one that had no device is remembered
	if text := f.client("GET /app/login", "", ""); !strings.Contains(text, `"shop-b"`) {
		t.Errorf("with one device: %.200s", text)
	}
	_, _, _ = f.ask(f.servers["a"].URL, "POST /devices", "", `{"device_id":"shop-a"}`, "key-a")
	<-time.After(2100 * time.Millisecond)
	for _, route := range []string{"GET /app/login", "POST /send/message"} {
		if status, _, text := f.ask(f.base, route, "", "", "key-a"); status != wantStatus || text != want {
			t.Errorf("%s with two devices: %d %s, want %d %s", route, status, text, wantStatus, want)
		}
	}
	if calls := f.engines["a"].CountSince("GET /app/login", time.Time{}); calls != 2 {
		t.Errorf("the engine got %d logins", calls)
	}
	f.wantsCode("a", "shop-a")
	f.client(f.delete, "shop-a", "")
	f.client("GET /app/login", "", "")
	f.kill("a")
	<-time.After(2100 * time.Millisecond)
	f.client("GET /app/login", "", "") // the device of the engine that responds
}

// Two versions of wuzapi count their users from 1: an id that both have is refused, and the other one deleted.
func TestFleetNative_EngineIDs(t *testing.T) {
	t.Parallel()
	f := newNativeFleet(t, "wuzapi")
	for _, at := range []string{"a first-a", "b first-b", "b second"} {
		engine, name, _ := strings.Cut(at, " ")
		f.ask(f.servers[engine].URL, "POST "+f.create, name, fmt.Sprintf(f.body, name), "key-a")
	}
	count := func() int { return len(f.engines["a"].Snapshot()) + len(f.engines["b"].Snapshot()) }
	if status, _, text := f.ask(f.base, f.delete, "1", "", "key-a"); status != http.StatusConflict || count() != 3 {
		t.Errorf("an id that two engines have: %d %s", status, text)
	}
	f.client(f.delete, "2", "")
	if count() != 2 || len(f.engines["b"].Snapshot()) != 1 {
		t.Error("the id of one engine: not deleted")
	}
}

// A create whose client leaves the name to the engine is remembered where it went.
func TestFleetNative_GeneratedName(t *testing.T) {
	t.Parallel()
	f := newNativeFleet(t, "waha")
	for range 4 {
		var created struct{ Name string }
		text := f.client("POST "+f.create, "", `{"start":true}`)
		if err := json.Unmarshal([]byte(text), &created); err != nil || created.Name == "" {
			t.Fatalf("create: %.200s", text)
		}
		before := len(f.engines["a"].Calls()) + len(f.engines["b"].Calls())
		f.client(f.state, created.Name, "")
		if n := len(f.engines["a"].Calls()) + len(f.engines["b"].Calls()) - before; n != 1 {
			t.Errorf("the state of a session that was just created costs %d calls", n)
		}
	}
}

// Which session a request concerns, at each kind of engine.
func TestSubject(t *testing.T) {
	t.Parallel()
	for kind, requests := range map[string]map[string]string{
		"evolution": {
			"GET /instance/connect/shop%201": "shop 1", "POST /instance/create": "made", "GET /chat/find/shop-1": "shop-1",
			"DELETE /openai/creds/7/shop-1": "shop-1", "GET /instance/fetchInstances": "", "GET /manager/a/b/c": "",
			"GET /": "", "GET /_qrgate/sessions/shop-1/qr": "shop-1", "OPTIONS *": "",
		},
		"gowa": {
			"POST /devices": "made", "GET /devices/shop-1/status": "shop-1", "GET /app/login?device_id=shop-1": "shop-1",
			"GET /chats?device_id=a%20b": "a b", "GET /app/login": "only", "POST /send/message": "only", "GET /": "",
			"GET /statics/a.png": "", "GET /devices": "",
		},
		"waha": {
			"POST /api/sessions": "made", "GET /api/shop-1/chats": "shop-1", "GET /api/sessions/shop-1/me": "shop-1",
			"POST /api/sendText": "of-body", "GET /api/messages?session=shop-1": "shop-1", "GET /api/server/version": "",
			"GET /ws?session=*": "", "GET /ws?session=shop-1": "shop-1", "GET /ping": "", "GET /api/sessions?all=true": "",
			"GET /api/files/shop-1/a.jpg": "shop-1", "POST /api/sessions/stop": "made",
		},
		"wuzapi": {
			"POST /admin/users": "token-", "DELETE /admin/users/7": "#7", "GET /admin/users": "",
			"GET /session/qr?token=t": "token-", "POST /chat/send/text": "", "GET /health": "",
		},
	} {
		index := slices.IndexFunc(app.Dialects(), func(d *dialect.Dialect) bool { return d.Kind == kind })
		for request, want := range requests {
			method, target, _ := strings.Cut(request, " ")
			r := httptest.NewRequest(method, target, nil)
			body := compat.Object{"instanceName": "made", "device_id": "made", "name": "made", "session": "of-body", "token": "t"}
			s := app.Dialects()[index].Native.Subject(r, func() compat.Object { return body })
			got := s.Name
			if s.EngineID != "" {
				got = "#" + s.EngineID
			}
			if s.IsOnly {
				got = "only"
			}
			if strings.HasPrefix(got, "token-") { // and a digest
				got = "token-"
			}
			if got != want {
				t.Errorf("%s %s: %q, want %q", kind, request, got, want)
			}
		}
	}
}
