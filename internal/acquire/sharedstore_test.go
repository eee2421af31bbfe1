package acquire_test

import (
	"context"
	"testing"
	"time"

	"qrgate/internal/acquire"
	"qrgate/internal/session"
	"qrgate/internal/store/memory"
	"qrgate/internal/test/enginesim"
)

// sharedStore is the option of a manager whose store other replicas use too.
func sharedStore(s *memory.Store) func(*acquire.Config) {
	return func(c *acquire.Config) { c.Store = s }
}

// startReplica starts one more manager in front of the rig's engine, on store s. stop ends it.
func (r *rig) startReplica(s *memory.Store) (m *acquire.Manager, stop func()) {
	r.t.Helper()
	m, err := acquire.New(acquire.Config{Engine: r.hub, Sealer: r.vault, Store: s, OnEvent: r.observe})
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
