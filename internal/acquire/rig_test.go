package acquire_test

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"qrgate/compat"
	"qrgate/compat/inboxhub"
	"qrgate/internal/acquire"
	"qrgate/internal/seal"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/internal/store/memory"
	"qrgate/internal/test/enginesim"
)

// rig is a manager in front of a simulated engine, on fake time.
type rig struct {
	t       *testing.T
	engine  *enginesim.Engine
	http    *http.Client
	hub     session.Engine
	manager *acquire.Manager
	vault   *seal.Sealer

	mu     sync.Mutex
	events []session.Event
}

// bubble runs a test in a synctest bubble with a rig that is taken down at its end.
func bubble(t *testing.T, e *enginesim.Engine, test func(r *rig), options ...func(*acquire.Config)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		wire := enginesim.NewWire(e)
		go wire.Run()
		defer wire.Close()
		defer e.Close()
		base, _ := url.Parse("http://engine.test")
		vault, err := seal.New(secret.NewSecret("a secret of the tests"))
		if err != nil {
			t.Fatal(err)
		}
		r := &rig{t: t, engine: e, http: wire.Client(), vault: vault, hub: inboxhub.New(base, wire.Client().Transport)}
		cfg := acquire.Config{Engine: r.hub, Sealer: vault, Store: memory.New(memory.Config{}), OnEvent: r.observe}
		for _, o := range options {
			o(&cfg)
		}
		if r.manager, err = acquire.New(cfg); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		manager := r.manager // tests replace it
		go func() { done <- manager.Run(ctx) }()
		test(r)
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// bubbleIn is bubble in a subtest.
func bubbleIn(t *testing.T, name string, e *enginesim.Engine, test func(r *rig), options ...func(*acquire.Config)) {
	t.Run(name, func(t *testing.T) { bubble(t, e, test, options...) })
}

func (r *rig) observe(e session.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

func (r *rig) caller(key string) session.Caller {
	c := session.Caller{Key: secret.NewSecret(key), Traffic: session.UserTraffic}
	c.Tenant = r.vault.Tenant(c.Credential())
	return c
}

// post calls the engine as the proxy would for a client.
func (r *rig) post(key, path, body string) int {
	r.t.Helper()
	req, _ := http.NewRequest(http.MethodPost, "http://engine.test"+path, strings.NewReader(body))
	req.Header.Set("X-API-Key", key)
	req.Header.Set("Content-Type", "application/json")
	res, err := r.http.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}

// create makes a session and reports it, as the proxy does.
func (r *rig) create(key, name string) session.Ref {
	r.t.Helper()
	if code := r.post(key, "/api/sessions", `{"sessionId":"`+name+`","sessionName":"test"}`); code != 201 {
		r.t.Fatalf("create: %d", code)
	}
	c := r.caller(key)
	roll, err := r.hub.List(r.t.Context(), c)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, o := range roll.Sessions {
		if o.Ref.Name == name {
			r.manager.OnSessions(r.t.Context(), c, []session.SessionReport{o}, true)
			return o.Ref
		}
	}
	r.t.Fatal("created session is not listed")
	return session.Ref{}
}

// createUnlisted makes a session without spending a call on the list.
func (r *rig) createUnlisted(key, name string) session.Ref {
	r.t.Helper()
	c := r.caller(key)
	req, _ := http.NewRequest(http.MethodPost, "http://engine.test/api/sessions", strings.NewReader(`{"sessionId":"`+name+`","sessionName":"test"}`))
	req.Header.Set("X-API-Key", key)
	req.Header.Set("Content-Type", "application/json")
	res, err := r.http.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, _ := io.ReadAll(res.Body)
	body, err := compat.Parse(raw)
	if err != nil || res.StatusCode != http.StatusCreated {
		r.t.Fatalf("create: %d %v", res.StatusCode, err)
	}
	o, _ := compat.ParseSession(compat.SessionOf(body), time.Now(), time.Now())
	r.manager.OnRateLimits(c, compat.RateLimits(res.Header, time.Now()), false, 0)
	r.manager.OnSessions(r.t.Context(), c, []session.SessionReport{o}, true)
	return o.Ref
}

// noneRefused fails the test if the engine ever answered 429.
func (r *rig) none429() {
	r.t.Helper()
	for _, c := range r.engine.Calls() {
		if c.Status == http.StatusTooManyRequests {
			r.t.Errorf("429 on %s %s", c.Method, c.Path)
		}
	}
}

// connect connects a session and reports it, as the proxy does.
func (r *rig) connect(key string, ref session.Ref) {
	r.t.Helper()
	c := r.caller(key)
	o, err := r.hub.Connect(r.t.Context(), c, ref, session.Connect)
	if err != nil {
		if _, err := r.manager.OnConnectError(r.t.Context(), c, ref, err, 8*time.Second); err != nil {
			r.t.Fatal(err)
		}
		return
	}
	r.manager.OnRateLimits(c, o.Limits, false, 0)
	if err := r.manager.OnConnect(r.t.Context(), c, session.SessionReport{Ref: ref, State: session.Connecting}, session.Connect); err != nil {
		r.t.Fatal(err)
	}
}

// polls counts the GET calls that reached the engine since a moment.
func (r *rig) polls(since time.Time) int {
	n := 0
	for _, c := range r.engine.Calls() {
		if !c.At.Before(since) && c.Method == http.MethodGet {
			n++
		}
	}
	return n
}
