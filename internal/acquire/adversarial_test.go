package acquire_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"qrgate/internal/acquire"
	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/internal/test/enginesim"
)

// An engine that a supervisor restarts every eight seconds: each time it is up its QR is handed out, the loop is named,
// and qrgate does not add to the load.
func TestEngine_RestartLoop(t *testing.T) {
	bubble(t, &enginesim.Engine{QRDelay: time.Second, DownFor: 3 * time.Second}, func(r *rig) {
		r.connect("key-a", r.create("key-a", "crm-1"))
		startedAt := time.Now()
		go func() {
			for range 20 {
				time.Sleep(8 * time.Second)
				r.engine.Restart()
				r.engine.Change(func(e *enginesim.Engine) { e.DiesAt = time.Now() })
			}
		}()
		ready, causes := r.watchQR("key-a", "crm-1", 2*time.Minute)
		if at, ok := causes[diagnosis.EngineCrashLoop]; !ok || at > 100*time.Second {
			r.t.Errorf("causes: %v", causes)
		}
		if len(ready) < 10 || r.polls(startedAt) > 180 || r.recoverySteps() > 20 {
			r.t.Errorf("ready at %v; %d polls, %d recovery steps", ready, r.polls(startedAt), r.recoverySteps())
		}
		time.Sleep(time.Minute) // the restarts end
	})
}

// sharedNothing is a load balancer in front of two engines: only one of them knows the sessions.
type sharedNothing struct {
	session.Engine
	calls atomic.Int64
}

func (e *sharedNothing) isOther() bool { return e.calls.Add(1)%2 == 0 }

func (e *sharedNothing) denied(op string, r session.Ref) (session.SessionReport, error) {
	return session.SessionReport{Ref: r}, &session.EngineError{Op: op, Kind: session.KindSessionNotFound, Status: 404, HasNoEffect: true}
}

func (e *sharedNothing) QR(ctx context.Context, c session.Caller, r session.Ref) (session.SessionReport, error) {
	if e.isOther() {
		return e.denied(session.OpQR, r)
	}
	return e.Engine.QR(ctx, c, r)
}

func (e *sharedNothing) Status(ctx context.Context, c session.Caller, r session.Ref) (session.SessionReport, error) {
	if e.isOther() {
		return e.denied(session.OpStatus, r)
	}
	return e.Engine.Status(ctx, c, r)
}

func (e *sharedNothing) Connect(ctx context.Context, c session.Caller, r session.Ref, mode session.ConnectMode) (session.SessionReport, error) {
	if e.isOther() {
		return e.denied(session.OpConnect, r)
	}
	return e.Engine.Connect(ctx, c, r, mode)
}

// A balancer in front of engines that do not share sessions: clients never get a 404 for a session that exists, its codes
// are not replaced by needless connects, and the cause is named.
func TestEngine_BalancerWithoutSharedSessions(t *testing.T) {
	for name, delay := range map[string]time.Duration{"quick": time.Second, "slow": 20 * time.Second, "never": time.Hour} {
		bubbleIn(t, name, &enginesim.Engine{QRDelay: delay}, func(r *rig) {
			r.connect("key-a", r.create("key-a", "crm-1"))
			startedAt := time.Now()
			causes := map[diagnosis.Code]time.Duration{}
			refused, ready := 0, 0
			for time.Since(startedAt) < 2*time.Minute {
				snap, err := r.manager.WaitQR(r.t.Context(), r.caller("key-a"), "crm-1", session.WaitPreference{Set: true, For: time.Second})
				if err != nil {
					refused++
				} else if snap.Ready {
					ready++
				}
				if _, ok := causes[snap.Diagnosis.Code]; !ok {
					causes[snap.Diagnosis.Code] = time.Since(startedAt)
				}
				time.Sleep(2 * time.Second)
			}
			if at, ok := causes[diagnosis.EngineInconsistent]; delay > time.Second && (!ok || at > 30*time.Second) {
				r.t.Errorf("causes: %v", causes)
			}
			if refused > 0 || r.recoverySteps() > 10 || delay < time.Minute && ready < 20 {
				r.t.Errorf("refused %d times, ready %d times, %d recovery steps, causes %v", refused, ready, r.recoverySteps(), causes)
			}
		}, func(c *acquire.Config) { c.Engine = &sharedNothing{Engine: c.Engine} })
	}
}

// maintenance answers every call with a page of a proxy while it is on.
type maintenance struct {
	session.Engine
	isOn atomic.Bool
}

func (e *maintenance) QR(ctx context.Context, c session.Caller, r session.Ref) (session.SessionReport, error) {
	if e.isOn.Load() {
		return session.SessionReport{Ref: r}, &session.EngineError{Op: session.OpQR, Kind: session.KindBadResponse, Status: 200}
	}
	return e.Engine.QR(ctx, c, r)
}

func (e *maintenance) Connect(ctx context.Context, c session.Caller, r session.Ref, mode session.ConnectMode) (session.SessionReport, error) {
	if e.isOn.Load() {
		return session.SessionReport{Ref: r}, &session.EngineError{Op: session.OpConnect, Kind: session.KindBadResponse, Status: 200}
	}
	return e.Engine.Connect(ctx, c, r, mode)
}

// A maintenance page in place of the engine for two minutes: it is named, few calls are made, and the QR comes within
// seconds of its end.
func TestEngine_MaintenancePage(t *testing.T) {
	var e maintenance
	bubble(t, &enginesim.Engine{QRDelay: time.Second}, func(r *rig) {
		r.connect("key-a", r.create("key-a", "crm-1"))
		e.isOn.Store(true)
		ready, causes := r.watchQR("key-a", "crm-1", 2*time.Minute)
		if at, ok := causes[diagnosis.EngineBadResponse]; !ok || at > 10*time.Second || len(ready) > 0 {
			r.t.Errorf("ready at %v, causes %v", ready, causes)
		}
		n := r.eventCount()
		e.isOn.Store(false)
		startedAt := time.Now()
		if _, took := r.persistent("key-a", "crm-1", time.Minute); took > 15*time.Second {
			r.t.Errorf("the QR came %v after the end", time.Since(startedAt))
		}
		if n > 150 {
			r.t.Errorf("%d events", n)
		}
	}, func(c *acquire.Config) {
		e.Engine = c.Engine
		c.Engine = &e
	})
}

// The codes run out while the engine is down: its connects are retried with a backoff, not without a pause.
func TestRecovery_ExpiredCodesWhileTheEngineIsDown(t *testing.T) {
	engine := &enginesim.Engine{Rotation: []time.Duration{20 * time.Second}, QRTTL: 20 * time.Second, DownFor: time.Minute}
	bubble(t, engine, func(r *rig) {
		r.connect("key-a", r.create("key-a", "crm-1"))
		r.qr("key-a", "crm-1", session.WaitPreference{})
		time.Sleep(21 * time.Second)
		n := r.eventCount()
		r.engine.Change(func(e *enginesim.Engine) { e.DiesAt = time.Now().Add(500 * time.Millisecond) })
		r.watchQR("key-a", "crm-1", 50*time.Second)
		if n = r.eventCount() - n; n > 200 {
			r.t.Errorf("%d events", n)
		}
		if _, took := r.persistent("key-a", "crm-1", time.Minute); took > 20*time.Second {
			r.t.Errorf("the QR came after %v", took)
		}
	})
}

// saysPaired answers "already connected" until the code is there, as six public engines do.
type saysPaired struct{ session.Engine }

func (e saysPaired) QR(ctx context.Context, c session.Caller, r session.Ref) (session.SessionReport, error) {
	report, err := e.Engine.QR(ctx, c, r)
	if session.KindOf(err) == session.KindNotReady {
		err = &session.EngineError{Op: session.OpQR, Kind: session.KindAlreadyPaired, Status: 404}
	}
	return report, err
}

// Only a state proves that a session is paired.
func TestEngine_SaysPairedUntilTheCodeIsThere(t *testing.T) {
	bubble(t, &enginesim.Engine{QRDelay: 3 * time.Second}, func(r *rig) {
		r.connect("key-a", r.create("key-a", "crm-1"))
		for range 3 {
			if snap := r.qr("key-a", "crm-1", session.WaitPreference{}); snap.Session.State == session.Connected {
				r.t.Error("an unpaired session is reported as paired")
			} else if snap.Ready {
				return
			}
		}
		r.t.Error("no QR")
	}, func(c *acquire.Config) { c.Engine = saysPaired{c.Engine} })
}

// createScanned creates a session whose code a phone has scanned.
func (r *rig) createScanned(key, name string) session.Ref {
	ref := r.create(key, name)
	r.connect(key, ref)
	r.qr(key, name, session.WaitPreference{})
	if err := r.engine.Link(name); err != nil {
		r.t.Fatal(err)
	}
	return ref
}

// The engine loses a pairing and shows a code, without a disconnect: one request for the QR gets it.
func TestWaitQR_LostPairingWithACode(t *testing.T) {
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		ref := r.createScanned("key-a", "crm-1")
		time.Sleep(4 * time.Second)
		if snap, err := r.manager.Status(r.t.Context(), r.caller("key-a"), "crm-1"); err != nil ||
			snap.Session.State != session.Connected {
			r.t.Fatalf("paired: %s %v", snap.Session.State, err)
		}
		time.Sleep(time.Minute)
		if err := r.engine.Unlink("crm-1"); err != nil {
			r.t.Fatal(err)
		}
		r.post("key-a", "/api/sessions/"+ref.URLSegment()+"/connect", "{}") // past qrgate
		time.Sleep(time.Second)
		if snap := r.qr("key-a", "crm-1", session.WaitPreference{}); !snap.Ready {
			r.t.Errorf("no QR: %s", snap.Session.State)
		}
	})
}

// hidesState reports a paired session, and no other state.
type hidesState struct{ session.Engine }

func (e hidesState) Status(ctx context.Context, c session.Caller, r session.Ref) (session.SessionReport, error) {
	report, err := e.Engine.Status(ctx, c, r)
	if report.State != session.Connected {
		report.State, report.IsUnpaired = session.Unknown, false
	}
	return report, err
}

// The engine has lost a pairing and names its state in a word that is not known: one request gets the code that it
// shows; without a code the session stays paired, within two seconds.
func TestWaitQR_LostPairingInAnUnknownState(t *testing.T) {
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		ref := r.createScanned("key-a", "crm-1")
		time.Sleep(4 * time.Second)
		_, _ = r.manager.Status(r.t.Context(), r.caller("key-a"), "crm-1")
		time.Sleep(time.Minute)
		if err := r.engine.Unlink("crm-1"); err != nil {
			r.t.Fatal(err)
		}
		startedAt := time.Now()
		snap := r.qr("key-a", "crm-1", session.WaitPreference{})
		if took := time.Since(startedAt); snap.Session.State != session.Connected || took > 2*time.Second {
			r.t.Errorf("%s after %s", snap.Session.State, took)
		}
		r.post("key-a", "/api/sessions/"+ref.URLSegment()+"/connect", "{}") // past qrgate
		time.Sleep(time.Second)
		if snap := r.qr("key-a", "crm-1", session.WaitPreference{}); !snap.Ready {
			r.t.Errorf("no QR: %s", snap.Session.State)
		}
	}, func(c *acquire.Config) { c.Engine = hidesState{c.Engine} })
}

// A phone unpairs a session at the engine: the next request for the QR does not get the old state.
func TestWaitQR_UnpairedSessionIsNoticed(t *testing.T) {
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		ref := r.createScanned("key-a", "crm-1")
		_, _ = r.manager.Status(r.t.Context(), r.caller("key-a"), "crm-1")
		time.Sleep(4 * time.Second)
		_, _ = r.manager.Status(r.t.Context(), r.caller("key-a"), "crm-1")
		if snap := r.qr("key-a", "crm-1", session.WaitPreference{}); snap.Session.State != session.Connected {
			r.t.Fatalf("paired: %s", snap.Session.State)
		}
		if err := r.engine.Unlink("crm-1"); err != nil {
			r.t.Fatal(err)
		}
		r.post("key-a", "/api/sessions/"+ref.URLSegment()+"/connect", "{}") // past qrgate
		for range 12 {
			time.Sleep(time.Second)
			if snap := r.qr("key-a", "crm-1", session.WaitPreference{}); snap.Ready {
				return
			}
		}
		r.t.Error("the session still counts as paired")
	})
}
