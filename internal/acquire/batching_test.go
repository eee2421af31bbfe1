package acquire_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"qrgate/internal/session"
	"qrgate/internal/test/enginesim"
)

// Ten sessions of one key at once: creates and connects take twenty of the thirty calls of a minute, and all ten codes
// come within ten seconds without a single 429.
func TestTenant_TenSessionsShareTheRateLimit(t *testing.T) {
	for name, stagger := range map[string]time.Duration{"at once": 0, "one every half second": 500 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			bubble(t, enginesim.Incident(), func(r *rig) {
				began := time.Now()
				var wg sync.WaitGroup
				for i := range 10 {
					wg.Go(func() {
						time.Sleep(time.Duration(i) * stagger)
						id := fmt.Sprintf("crm-%02d", i)
						ref := r.createUnlisted("key-a", id)
						asked := time.Now()
						r.connect("key-a", ref)
						v, err := r.manager.WaitQR(r.t.Context(), r.caller("key-a"), id, session.WaitPreference{})
						if err != nil || !v.Session.QR.Fresh(v.At) {
							r.t.Errorf("%s: no QR after %v: %v %s place %d waiting %v", id, v.At.Sub(asked), err, v.Session.State, v.QueuePosition, v.RateLimitWait)
						}
						if v.At.Sub(asked) > 10*time.Second {
							r.t.Errorf("%s: %v after its connect", id, v.At.Sub(asked))
						}
					})
				}
				wg.Wait()
				r.none429()
				r.t.Logf("%d polls", r.polls(began))
			})
		})
	}
}

// Sessions that the engine's list does not reach are polled one by one. Reading the list for them again and again would
// be a storm of calls that an engine without limits does not stop.
func TestBatcher_SessionsBeyondTheListCostFewCalls(t *testing.T) {
	engine := &enginesim.Engine{QRDelay: time.Hour, Latency: 20 * time.Millisecond}
	bubble(t, engine, func(r *rig) {
		olds := []session.Ref{r.unseen("old-1"), r.unseen("old-2")}
		for i := range 100 {
			r.unseen(fmt.Sprintf("newer-%03d", i))
		}
		for _, ref := range olds {
			r.connect("key-a", ref)
		}
		began := time.Now()
		time.Sleep(10 * time.Second)
		if n := r.polls(began); n > 40 {
			t.Errorf("%d calls in ten seconds for two sessions", n)
		}
	})
}

// unseen makes a session past qrgate, and names it as a client would.
func (r *rig) unseen(name string) session.Ref {
	r.t.Helper()
	if status := r.post("key-a", "/api/sessions", `{"sessionId":"`+name+`","sessionName":"test"}`); status != http.StatusCreated {
		r.t.Fatalf("create: %d", status)
	}
	return session.Ref{Name: name}
}

// A list that cannot be read, because it is too large or broken, keeps no session from its code: they are polled one by
// one.
func TestBatcher_BrokenListKeepsNoSessionFromItsQR(t *testing.T) {
	for name, kind := range map[string]enginesim.FaultKind{"endless": enginesim.EndlessBody, "broken": enginesim.ServerError, "hanging": enginesim.Hang, "HTML": enginesim.Garbage} {
		engine := &enginesim.Engine{QRDelay: time.Second, Faults: map[enginesim.Route]enginesim.Fault{enginesim.RouteList: {Kind: kind}}}
		bubbleIn(t, name, engine, func(r *rig) {
			var refs []session.Ref
			for i := range 8 {
				refs = append(refs, r.createUnlisted("key-a", fmt.Sprintf("crm-%02d", i)))
			}
			var wg sync.WaitGroup
			for _, ref := range refs {
				wg.Go(func() {
					r.connect("key-a", ref)
					v, err := r.manager.WaitQR(r.t.Context(), r.caller("key-a"), ref.Name, session.WaitPreference{})
					if err != nil || !v.Session.QR.Fresh(v.At) {
						r.t.Errorf("%s: no QR: %v %s %s", ref.Name, err, v.Session.State, v.Diagnosis.Code)
					}
				})
			}
			wg.Wait()
			if n := r.engine.CountSince(enginesim.RouteList, time.Time{}); n > 2 {
				r.t.Errorf("the list was read %d times", n)
			}
		})
	}
}

// A list that lags behind the sessions' own routes is detected by the first code that it lacks, and not used then:
// verifying it one session at a time would take minutes.
func TestBatcher_LaggingListIsDetected(t *testing.T) {
	bubble(t, &enginesim.Engine{QRDelay: 4 * time.Second, ListLags: true}, func(r *rig) {
		var wg sync.WaitGroup
		for i := range 20 {
			ref := r.createUnlisted("key-a", fmt.Sprintf("crm-%02d", i))
			wg.Go(func() {
				r.connect("key-a", ref)
				if _, took := r.persistent("key-a", ref.Name, time.Minute); took > 9*time.Second { // the first hold
					r.t.Errorf("%s: the QR came after %v", ref.Name, took)
				}
			})
		}
		wg.Wait()
	})
}

// A code that the list no longer shows, because it was disconnected or scanned, does not disable the list: ten sessions
// that are polled one by one would have to share thirty calls a minute.
func TestBatcher_ListMayDropACode(t *testing.T) {
	bubble(t, enginesim.Incident(), func(r *rig) {
		shown := r.create("key-a", "crm-00")
		r.connect("key-a", shown)
		r.qr("key-a", "crm-00", session.WaitPreference{})
		time.Sleep(time.Minute) // the budget fills
		r.qr("key-a", "crm-00", session.WaitPreference{})
		for i := 1; i <= 8; i++ {
			r.connect("key-a", r.createUnlisted("key-a", fmt.Sprintf("crm-%02d", i)))
		}
		if status := r.post("key-a", "/api/sessions/crm-00/disconnect", `{}`); status != http.StatusOK {
			r.t.Fatalf("disconnect: %d", status)
		}
		began := time.Now()
		var wg sync.WaitGroup
		for i := 1; i <= 8; i++ {
			wg.Go(func() { r.qr("key-a", fmt.Sprintf("crm-%02d", i), session.WaitPreference{}) })
		}
		_, _ = r.manager.Status(r.t.Context(), r.caller("key-a"), "crm-00") // a client asks whether it was scanned
		wg.Wait()
		if n := r.engine.CountSince(enginesim.RouteQR, began); n > 4 {
			r.t.Errorf("%d sessions were asked for one by one, %d lists were read", n, r.engine.CountSince(enginesim.RouteList, began))
		}
	})
}
