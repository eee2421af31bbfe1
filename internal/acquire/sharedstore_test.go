package acquire_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"qrgate/compat/inboxhub"
	"qrgate/internal/acquire"
	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/internal/store/memory"
	"qrgate/internal/test/enginesim"
)

// sharedStore is the option of a manager whose store other replicas use too.
func sharedStore(s *memory.Store) func(*acquire.Config) {
	return func(c *acquire.Config) { c.Store = s }
}

// startReplica starts one more manager in front of the rig's engine, on store s. stop ends it.
func (r *rig) startReplica(s *memory.Store, options ...func(*acquire.Config)) (m *acquire.Manager, stop func()) {
	r.t.Helper()
	cfg := acquire.Config{Engine: r.hub, Sealer: r.vault, Store: s, OnEvent: r.observe}
	for _, o := range options {
		o(&cfg)
	}
	m, err := acquire.New(cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = m.Run(ctx)
	}()
	return m, func() {
		cancel()
		<-done
	}
}

// A replica whose client follows a shown code polls the state every three seconds. Between two polls it has no lease,
// so that another replica can confirm the code for a client that requests it.
func TestLease_StatusPollsDoNotDelayAnotherReplica(t *testing.T) {
	shared := memory.New(memory.Config{})
	bubble(t, &enginesim.Engine{QRTTL: time.Hour}, func(r *rig) {
		other, stop := r.startReplica(shared)
		defer stop()
		r.connect("key-a", r.create("key-a", "crm-1"))
		r.qr("key-a", "crm-1", session.WaitPreference{})
		f, err := r.manager.Follow(r.t.Context(), r.caller("key-a"), "crm-1")
		if err != nil {
			r.t.Fatal(err)
		}
		defer f.Close()
		time.Sleep(20 * time.Second) // the code must be confirmed before it is handed out
		startedAt := time.Now()
		snap, err := other.WaitQR(r.t.Context(), r.caller("key-a"), "crm-1", session.WaitPreference{})
		if took := time.Since(startedAt); err != nil || !snap.Session.QR.Fresh(time.Now()) || took > 2*time.Second {
			r.t.Errorf("after %v: fresh %t, %v", took, snap.Session.QR.Fresh(time.Now()), err)
		}
	}, sharedStore(shared))
}

// deafStore is a store whose changes are not announced.
type deafStore struct{ *memory.Store }

func (deafStore) Watch(string) (<-chan struct{}, func()) { return nil, func() {} }

// A replica that acquires a lease reads what the one before wrote, although nothing announced it: another poll may not
// be allowed.
func TestLease_NewLeaderReadsTheStore(t *testing.T) {
	shared := memory.New(memory.Config{})
	bubble(t, &enginesim.Engine{QRDelay: 3 * time.Second}, func(r *rig) {
		other, stop := r.startReplica(shared, func(c *acquire.Config) { c.Store = deafStore{shared} })
		defer stop()
		c := r.caller("key-a")
		r.connect("key-a", r.create("key-a", "crm-1"))
		_, _ = other.WaitQR(r.t.Context(), c, "crm-1", session.WaitPreference{Set: true, For: time.Second})
		time.Sleep(2800 * time.Millisecond) // the first one has the code, and no lease any more
		startedAt := time.Now()
		snap, err := other.WaitQR(r.t.Context(), c, "crm-1", session.WaitPreference{})
		if n := r.polls(startedAt); err != nil || !snap.Ready || n > 0 {
			r.t.Errorf("ready %t after %v and %d polls: %v", snap.Ready, time.Since(startedAt), n, err)
		}
	}, sharedStore(shared))
}

// A replica that stops releases its leases: another one continues at once, not after leaseTTL.
func TestLease_StoppedReplicaIsReplacedAtOnce(t *testing.T) {
	shared := memory.New(memory.Config{})
	bubble(t, &enginesim.Engine{QRDelay: 3 * time.Second}, func(r *rig) {
		first, stop := r.startReplica(shared)
		c := r.caller("key-a")
		ref := r.create("key-a", "crm-1")
		if _, err := r.hub.Connect(r.t.Context(), c, ref, session.Connect); err != nil {
			r.t.Fatal(err)
		}
		connectedAt := time.Now()
		_ = first.OnConnect(r.t.Context(), c, session.SessionReport{Ref: ref, State: session.Connecting}, session.Connect)
		time.AfterFunc(time.Second, stop)
		snap := r.qr("key-a", "crm-1", session.WaitPreference{})
		if took := time.Since(connectedAt); !snap.Session.QR.Present() || took > 4500*time.Millisecond {
			r.t.Errorf("after %v: %s", took, snap.Session.State)
		}
	}, sharedStore(shared))
}

// A replica that reads another one's record finds the session by the id that it learned from it.
func TestTracker_RecordOfAnotherReplicaTellsTheOtherID(t *testing.T) {
	shared := memory.New(memory.Config{})
	bubble(t, &enginesim.Engine{FirstID: 61, QRDelay: 2 * time.Second}, func(r *rig) {
		other, stop := r.startReplica(shared)
		defer stop()
		r.post("key-a", "/api/sessions", `{"sessionId":"crm-1","sessionName":"test"}`)
		r.post("key-a", "/api/sessions/61/connect", "{}")
		c, number, both := r.caller("key-a"), session.Ref{ID: 61}, session.Ref{ID: 61, Name: "crm-1"}
		_ = r.manager.OnConnect(r.t.Context(), c, session.SessionReport{Ref: number}, session.Connect)
		_ = other.OnConnect(r.t.Context(), c, session.SessionReport{Ref: both}, session.Connect)
		time.Sleep(10 * time.Millisecond)
		if s := r.manager.Cached(c, []session.Ref{{Name: "crm-1"}})[0].Session; s.Ref != both {
			r.t.Errorf("by its name: %+v", s.Ref)
		}
	}, sharedStore(shared))
}

// A replica that finds the engine unreachable makes the others poll again before they hand the code out.
func TestTracker_CodeIsSuspectOnAllReplicas(t *testing.T) {
	shared := memory.New(memory.Config{})
	bubble(t, &enginesim.Engine{DownFor: 5 * time.Second}, func(r *rig) {
		other, stop := r.startReplica(shared)
		defer stop()
		c := r.caller("key-a")
		r.connect("key-a", r.create("key-a", "crm-1"))
		r.qr("key-a", "crm-1", session.WaitPreference{})
		if snap, _ := other.WaitQR(r.t.Context(), c, "crm-1", session.WaitPreference{}); !snap.Ready {
			r.t.Fatal("the other replica has no code")
		}
		time.Sleep(4 * time.Second)
		r.engine.Change(func(e *enginesim.Engine) { e.DiesAt = time.Now() })
		_, _ = r.manager.Status(r.t.Context(), c, "crm-1") // polls
		time.Sleep(10 * time.Millisecond)                  // the other replica reads the record
		snap, _ := other.WaitQR(r.t.Context(), c, "crm-1", session.WaitPreference{Set: true})
		if snap.Ready {
			r.t.Error("the other replica hands out the code of an engine that is down")
		}
	}, sharedStore(shared))
}

// A create without a name that the engine refused leaves no use of the tenant open: Run ends.
func TestOnCreateRefused_WithoutANameDoesNotKeepRun(t *testing.T) {
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		r.manager.OnCreateRefused(r.caller("key-a"), "")
		if r.manager.WasCreateRefused(r.caller("key-a"), "") {
			r.t.Error("no name is a refused one")
		}
	})
}

// independent is the option of a manager that shares no store with n-1 others.
func independent(n int) func(*acquire.Config) {
	return func(c *acquire.Config) { c.Replicas = func() int { return n } }
}

// Three replicas without a common store divide the rate limit of a key: clients whose requests reach another replica
// each time get their QRs, and the engine never answers 429.
func TestReplicas_IndependentOnesDivideTheRateLimit(t *testing.T) {
	e := &enginesim.Engine{QRDelay: 3 * time.Second, Limits: enginesim.RecordedLimits()}
	bubble(t, e, func(r *rig) {
		all := []*acquire.Manager{r.manager}
		for range 2 {
			m, stop := r.startReplica(memory.New(memory.Config{}), independent(3))
			defer stop()
			all = append(all, m)
		}
		defer func() { r.manager = all[0] }()
		var clients sync.WaitGroup
		for i := range 4 {
			time.Sleep(time.Second)
			at := func(step int) *acquire.Manager { return all[(i+step)%len(all)] }
			r.manager = at(0)
			ref := r.createUnlisted("key-a", fmt.Sprintf("crm-%d", i))
			r.manager = at(1)
			r.connect("key-a", ref)
			id := fmt.Sprint(ref.ID)
			clients.Go(func() {
				for try := range 3 {
					snap, err := at(2+try).WaitQR(r.t.Context(), r.caller("key-a"), id, session.WaitPreference{})
					if err == nil && snap.Ready {
						return
					}
					time.Sleep(5 * time.Second)
				}
				r.t.Errorf("session %s has no QR", id)
			})
		}
		clients.Wait()
		r.none429()
		if n := r.polls(time.Time{}); n > 18 {
			r.t.Errorf("%d polls of a limit of 30, of which clients used 8", n)
		}
	}, independent(3))
}

// A replica without a common store does not know of a connect that another one sent: the first request waits as long as
// one right after a connect, and a later one as usual.
func TestReplicas_IndependentOneWaitsAsAfterAConnect(t *testing.T) {
	e := &enginesim.Engine{QRDelay: 7 * time.Second, Limits: enginesim.RecordedLimits()}
	bubble(t, e, func(r *rig) {
		other, stop := r.startReplica(memory.New(memory.Config{}), independent(2))
		defer stop()
		late := r.createUnlisted("key-a", "late")
		r.connect("key-a", late)
		wait := func(key string, ref session.Ref) (*session.Snapshot, time.Duration) {
			startedAt := time.Now()
			snap, err := other.WaitQR(r.t.Context(), r.caller(key), fmt.Sprint(ref.ID), session.WaitPreference{})
			if err != nil {
				r.t.Fatal(err)
			}
			return snap, time.Since(startedAt)
		}
		if snap, took := wait("key-a", late); !snap.Ready {
			r.t.Errorf("no QR after %v", took)
		}
		r.engine.Change(func(e *enginesim.Engine) { e.QRDelay = time.Hour })
		never := r.createUnlisted("key-b", "never")
		r.connect("key-b", never)
		for i, want := range []time.Duration{9 * time.Second, 4500 * time.Millisecond} {
			if _, took := wait("key-b", never); took != want {
				r.t.Errorf("request %d waited %v, want %v", i+1, took, want)
			}
		}
	}, independent(2))
}

// cutOff is a connection to the engine that can be refused.
type cutOff struct {
	http.RoundTripper
	closed atomic.Bool
}

func (c *cutOff) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.closed.Load() {
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
	return c.RoundTripper.RoundTrip(r)
}

// A replica that cannot reach the engine leaves the session to one that can.
func TestLease_ReplicaWithoutEngineReleasesIt(t *testing.T) {
	shared := memory.New(memory.Config{})
	bubble(t, &enginesim.Engine{QRDelay: 4 * time.Second}, func(r *rig) {
		link := &cutOff{RoundTripper: r.http.Transport}
		base, _ := url.Parse("http://engine.test")
		cut, stop := r.startReplica(shared, func(c *acquire.Config) { c.Engine = inboxhub.New(base, link) })
		defer stop()
		ref := r.create("key-a", "crm-1")
		c := r.caller("key-a")
		if _, err := r.hub.Connect(r.t.Context(), c, ref, session.Connect); err != nil {
			r.t.Fatal(err)
		}
		connected := session.SessionReport{Ref: ref, State: session.Connecting}
		if err := cut.OnConnect(r.t.Context(), c, connected, session.Connect); err != nil {
			r.t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		link.closed.Store(true)
		var both sync.WaitGroup
		for _, m := range []*acquire.Manager{cut, r.manager} {
			both.Go(func() {
				snap, err := m.WaitQR(r.t.Context(), c, "crm-1", session.WaitPreference{Set: true, For: 8 * time.Second})
				if err != nil || !snap.Session.QR.Present() {
					r.t.Errorf("replica without engine %t: %s, %v", m == cut, snap.Session.State, err)
				}
			})
		}
		both.Wait()
	}, sharedStore(shared))
}

// An engine that breaks each connection after it got the request counts the calls: polls stay within the limit although
// no response states it.
func TestRateLimit_CallsWhoseResponsesAreLostCount(t *testing.T) {
	e := &enginesim.Engine{QRDelay: 10 * time.Second, Limits: enginesim.RecordedLimits()}
	bubble(t, e, func(r *rig) {
		for i := range 4 {
			r.connect("key-a", r.createUnlisted("key-a", fmt.Sprintf("crm-%d", i)))
		}
		r.engine.Change(func(e *enginesim.Engine) {
			broken := enginesim.Fault{Kind: enginesim.CutConnection, Acts: true}
			e.Faults = map[enginesim.Route]enginesim.Fault{enginesim.RouteQR: broken, enginesim.RouteList: broken,
				enginesim.RouteStatus: broken, enginesim.RouteConnect: broken, enginesim.RouteRestart: broken}
		})
		time.Sleep(40 * time.Second)
		r.none429()
	})
}

// Replicas with a common store know of each other's calls, although no response states the limit.
func TestRateLimit_ReplicasCountEachOthersCalls(t *testing.T) {
	shared := memory.New(memory.Config{})
	e := &enginesim.Engine{QRDelay: 20 * time.Second, Limits: enginesim.RecordedLimits()}
	shares := func(c *acquire.Config) { c.SharesStore = true }
	bubble(t, e, func(r *rig) {
		all := []*acquire.Manager{r.manager}
		for range 2 {
			m, stop := r.startReplica(shared, shares)
			defer stop()
			all = append(all, m)
		}
		defer func() { r.manager = all[0] }()
		for i := range 5 {
			r.manager = all[i%len(all)]
			r.connect("key-a", r.createUnlisted("key-a", fmt.Sprintf("crm-%d", i)))
			time.Sleep(333 * time.Millisecond)
		}
		r.engine.Change(func(e *enginesim.Engine) {
			e.Faults = map[enginesim.Route]enginesim.Fault{enginesim.AnyRoute: {Kind: enginesim.CutConnection, Acts: true}}
		})
		time.Sleep(40 * time.Second)
		r.none429()
	}, sharedStore(shared), shares)
}

// An engine that restarts between two polls of a session reports it as disconnected. The refused call of another
// session is reason to ask for the state, and to connect the session again at once.
func TestRecovery_SessionLostInAnOutageThatAnotherCallMet(t *testing.T) {
	bubble(t, &enginesim.Engine{QRDelay: 3 * time.Second}, func(r *rig) {
		r.connect("key-a", r.createUnlisted("key-a", "crm-1"))
		time.Sleep(2 * time.Second)
		r.engine.Restart()
		r.manager.OnEngineUnreachable()
		startedAt := time.Now()
		snap := r.qr("key-a", "1", session.WaitPreference{Set: true, For: 20 * time.Second})
		if took := time.Since(startedAt); !snap.Ready || took > 7*time.Second {
			r.t.Errorf("after %v: %s", took, snap.Session.State)
		}
	})
}

// Sessions that an engine lost in a long outage are connected again as soon as it is back: no recovery step is used up
// while it is away.
func TestRecovery_SessionsLostInALongOutage(t *testing.T) {
	bubble(t, &enginesim.Engine{QRDelay: 3 * time.Second, Limits: enginesim.RecordedLimits()}, func(r *rig) {
		link := &cutOff{RoundTripper: r.http.Transport}
		base, _ := url.Parse("http://engine.test")
		m, stop := r.startReplica(memory.New(memory.Config{}), func(c *acquire.Config) { c.Engine = inboxhub.New(base, link) })
		defer stop()
		defer func(m *acquire.Manager) { r.manager = m }(r.manager)
		r.manager = m
		for i := range 4 {
			r.connect("key-a", r.createUnlisted("key-a", fmt.Sprintf("crm-%d", i)))
		}
		time.Sleep(time.Second)
		link.closed.Store(true)
		time.Sleep(15 * time.Second)
		r.engine.Restart()
		link.closed.Store(false)
		startedAt := time.Now()
		for i := range 4 {
			snap := r.qr("key-a", fmt.Sprint(i+1), session.WaitPreference{Set: true, For: 20 * time.Second})
			if took := time.Since(startedAt); !snap.Ready || took > 7*time.Second {
				r.t.Errorf("session %d after %v: %s", i+1, took, snap.Session.State)
			}
		}
		r.none429()
	})
}

// countRecords counts the records of a kind in a store, without tombstones.
func countRecords(t *testing.T, s *memory.Store, kind string) int {
	n := 0
	for _, key := range s.Keys() {
		records, err := s.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(key, ":"+kind) && len(records[0].Value) > 0 {
			n++
		}
	}
	return n
}

// Each wrong key has a tenant of its own, whose calls the engine counts. What is stored of it ends soon, although the
// engine's window is longer: wrong keys must not fill the store.
func TestRateLimit_RecordsOfWrongKeysEndSoon(t *testing.T) {
	shared := memory.New(memory.Config{})
	e := &enginesim.Engine{Keys: map[string]string{"key-a": "a"}, Limits: enginesim.RecordedLimits()}
	shares := func(c *acquire.Config) { c.SharesStore = true }
	bubble(t, e, func(r *rig) {
		r.connect("key-a", r.createUnlisted("key-a", "crm-1"))
		for i := range 40 {
			_, err := r.manager.WaitQR(r.t.Context(), r.caller(fmt.Sprint("wrong-", i)), "crm-1", session.WaitPreference{})
			if session.KindOf(err) != session.KindKeyRefused {
				r.t.Fatalf("a wrong key: %v", err)
			}
		}
		if n := countRecords(r.t, shared, "rl"); n != 41 {
			r.t.Errorf("%d records of limits while they matter, want 41", n)
		}
		time.Sleep(61 * time.Second)
		if n := countRecords(r.t, shared, "rl"); n > 1 {
			r.t.Errorf("%d records of limits a minute later, want that of the right key at most", n)
		}
	}, sharedStore(shared), shares)
}

// slowList is an engine whose list arrives late.
type slowList struct{ session.Engine }

func (e slowList) List(ctx context.Context, c session.Caller) (session.SessionList, error) {
	list, err := e.Engine.List(ctx, c)
	time.Sleep(3 * time.Second)
	return list, err
}

// A list that a delete overtakes still shows the session. Its ids are not stored again.
func TestInvalidate_LateListDoesNotStoreTheIDsOfADeletedSession(t *testing.T) {
	shared := memory.New(memory.Config{})
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		m, stop := r.startReplica(shared, func(c *acquire.Config) { c.Engine = slowList{r.hub} })
		defer stop()
		c := r.caller("key-a")
		ref := r.createUnlisted("key-a", "crm-1")
		if n := countRecords(r.t, shared, "id"); n != 2 {
			r.t.Fatalf("%d ids are stored, want 2", n)
		}
		m.OnSessions(r.t.Context(), c, []session.SessionReport{{Ref: ref}}, false)
		go m.Resolve(r.t.Context(), c, "unknown") // reads the list
		time.Sleep(time.Second)
		if err := m.Invalidate(r.t.Context(), c, ref, true); err != nil {
			r.t.Fatal(err)
		}
		r.engine.Reset()
		time.Sleep(5 * time.Second)
		if n := countRecords(r.t, shared, "id"); n != 0 {
			r.t.Errorf("%d ids of a deleted session are stored", n)
		}
		r.engine.Change(func(e *enginesim.Engine) { e.FirstID = 2 })
		r.createUnlisted("key-a", "crm-1") // another session of this name
		if n := countRecords(r.t, shared, "id"); n != 2 {
			r.t.Errorf("%d ids of the new session are stored, want 2", n)
		}
	}, sharedStore(shared))
}

// A session that was deleted and created again, unknown to this replica, has a new integer. A request by the session's
// name that waits for the old one ends with the new one, once a list has shown it.
func TestWaitQR_SessionCreatedAgainWhileARequestWaits(t *testing.T) {
	bubble(t, &enginesim.Engine{QRDelay: 20 * time.Second}, func(r *rig) {
		old := r.create("key-a", "crm")
		r.connect("key-a", old)
		req, _ := http.NewRequest(http.MethodDelete, "http://engine.test/api/sessions/"+fmt.Sprint(old.ID), nil)
		req.Header.Set("X-API-Key", "key-a")
		res, err := r.http.Do(req)
		if err != nil {
			r.t.Fatal(err)
		}
		_ = res.Body.Close()
		if code := r.post("key-a", "/api/sessions", `{"sessionId":"crm","sessionName":"test"}`); code != http.StatusCreated {
			r.t.Fatalf("create: %d", code)
		}
		r.engine.Change(func(e *enginesim.Engine) { // else a recovery step shows that the old one is gone
			e.QRLatency = 3 * time.Second
			e.Faults = map[enginesim.Route]enginesim.Fault{enginesim.RouteConnect: {Kind: enginesim.CutConnection}}
		})
		var lists sync.WaitGroup
		lists.Go(func() {
			time.Sleep(3 * time.Second)
			list, _ := r.hub.List(r.t.Context(), r.caller("key-a"))
			r.manager.OnSessions(r.t.Context(), r.caller("key-a"), list.Sessions, false)
		})
		defer lists.Wait()
		startedAt := time.Now()
		snap, err := r.manager.WaitQR(r.t.Context(), r.caller("key-a"), "crm", session.WaitPreference{})
		if took := time.Since(startedAt); took > 10*time.Second {
			r.t.Errorf("the request took %v", took)
		}
		if err != nil || snap.Session.Ref.ID == old.ID || snap.Diagnosis.Code == diagnosis.SessionNotFound {
			r.t.Errorf("session %+v, %s, %v; want the one that was created again", snap.Session.Ref, snap.Diagnosis.Code, err)
		}
	})
}
