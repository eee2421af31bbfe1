package acquire_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"qrgate/internal/acquire"
	"qrgate/internal/session"
	"qrgate/internal/test/enginesim"
)

// since counts the engine's calls of a route since a moment, by time after it.
func (r *rig) callsSince(since time.Time, routes ...enginesim.Route) (at []time.Duration) {
	for _, c := range r.engine.Calls() {
		for _, route := range routes {
			if c.Route == route && !c.At.Before(since) {
				at = append(at, c.At.Sub(since))
			}
		}
	}
	return at
}

// The codes expired, and a client asks again: nothing more is waited for, so the session is connected
// again at once.
func TestTracker_ExpiredCodesReconnectAtOnce(t *testing.T) {
	for name, pause := range map[string]time.Duration{"within the acquisition": 25 * time.Second, "after it": 3 * time.Minute} {
		engine := &enginesim.Engine{Rotation: []time.Duration{20 * time.Second}, QRTTL: 20 * time.Second, QRDelay: time.Second}
		bubbleIn(t, name, engine, func(r *rig) {
			r.connect("key-a", r.create("key-a", "crm-1"))
			r.qr("key-a", "crm-1", session.WaitPreference{})
			time.Sleep(pause)
			asked := time.Now()
			snap := r.qr("key-a", "crm-1", session.WaitPreference{})
			if took := time.Since(asked); !snap.Session.QR.Fresh(time.Now()) || took > 3500*time.Millisecond {
				r.t.Errorf("a code after %v: %t", took, snap.Session.QR.Present())
			}
		})
	}
}

// The engine is restarted 2.5 s after the connects and is back at once, so that no poll meets a refused
// connection. Its own word "disconnected" shows the loss.
func TestTracker_UnnoticedEngineRestartIsRecovered(t *testing.T) {
	for name, c := range map[string]struct {
		sessions int
		delay    time.Duration
	}{"four sessions": {4, 4 * time.Second}, "one session": {1, 1500 * time.Millisecond}} {
		bubbleIn(t, name, &enginesim.Engine{QRDelay: c.delay + 3*time.Second}, func(r *rig) {
			var wg sync.WaitGroup
			startedAt := time.Now()
			for i := range c.sessions {
				name := fmt.Sprintf("crm-%d", i)
				r.connect("key-a", r.createUnlisted("key-a", name))
				wg.Go(func() {
					for !r.qr("key-a", name, session.WaitPreference{}).Session.QR.Fresh(time.Now()) && time.Since(startedAt) < time.Minute {
						time.Sleep(100 * time.Millisecond)
					}
					if took := time.Since(startedAt); took > 12*time.Second {
						r.t.Errorf("%s: the QR came after %v", name, took)
					}
				})
			}
			time.Sleep(time.Until(startedAt.Add(2500 * time.Millisecond)))
			r.engine.Change(func(e *enginesim.Engine) { e.QRDelay = c.delay })
			r.engine.Restart()
			wg.Wait()
		})
	}
}

// Six sessions of another tenant without a QR do not keep tenant A's stuck session from its restart.
func TestTracker_OtherTenantsFailuresDoNotStopRecovery(t *testing.T) {
	bubble(t, &enginesim.Engine{StuckUntilRestart: true, QRDelay: time.Second}, func(r *rig) {
		ctx, stop := context.WithCancel(r.t.Context())
		var wg sync.WaitGroup
		for i := range 6 {
			name := fmt.Sprintf("other-%d", i)
			r.create("key-b", name) // nobody connects it
			wg.Go(func() {
				for ctx.Err() == nil {
					_, _ = r.manager.WaitQR(ctx, r.caller("key-b"), name, session.WaitPreference{Set: true, For: 10 * time.Second})
				}
			})
		}
		time.Sleep(10 * time.Second)
		r.connect("key-a", r.create("key-a", "crm-1"))
		if _, took := r.persistent("key-a", "crm-1", time.Minute); took > 35*time.Second {
			r.t.Errorf("the QR came after %v", took)
		}
		stop()
		wg.Wait()
	})
}

// While many sessions fail for the same cause and none succeeds, recovery goes on, one step at a time.
func TestTracker_RecoveryIsSlowedNotStopped(t *testing.T) {
	const sessions = 6
	bubble(t, &enginesim.Engine{StuckUntilRestart: true, QRDelay: 3 * time.Hour}, func(r *rig) {
		for i := range sessions {
			r.connect("key-a", r.create("key-a", fmt.Sprintf("crm-%d", i)))
		}
		startedAt := time.Now().Add(time.Millisecond)
		time.Sleep(59 * time.Second)
		steps := r.callsSince(startedAt, enginesim.RouteConnect, enginesim.RouteRestart)
		for i, at := range steps {
			if i > 0 && at-steps[i-1] < 2*time.Second {
				r.t.Errorf("two recovery steps within %v: %v", at-steps[i-1], steps)
			}
		}
		if len(steps) != 2*sessions {
			r.t.Errorf("%d recovery steps, want two of each session: %v", len(steps), steps)
		}
	})
}

// A stuck session under 30 calls a minute and a client that polls /qr and /status in turn each second.
// The polls leave the restart its call, and a silent session costs at most 16 polls in its first 30 s.
func TestTracker_StuckSessionUnderRateLimit(t *testing.T) {
	engine := enginesim.Incident()
	engine.StuckUntilRestart, engine.QRDelay = true, time.Second
	bubble(t, engine, func(r *rig) {
		r.connect("key-a", r.create("key-a", "crm-1"))
		startedAt := time.Now()
		for {
			snap := r.qr("key-a", "crm-1", session.WaitPreference{})
			if snap.Session.QR.Fresh(time.Now()) {
				break
			}
			time.Sleep(time.Second)
			if _, err := r.manager.Status(r.t.Context(), r.caller("key-a"), "crm-1"); err != nil {
				r.t.Fatal(err)
			}
			time.Sleep(time.Second)
			if time.Since(startedAt) > time.Minute {
				r.t.Fatalf("no QR after %v: %s", time.Since(startedAt), snap.Diagnosis.Code)
			}
		}
		if took := time.Since(startedAt); took > 35*time.Second {
			r.t.Errorf("the QR came after %v", took)
		}
		polls := 0
		for _, at := range r.callsSince(startedAt, enginesim.RouteQR, enginesim.RouteStatus, enginesim.RouteList) {
			if at <= 30*time.Second {
				polls++
			}
		}
		r.t.Logf("QR after %v, %d polls in the first 30 s", time.Since(startedAt), polls)
		if polls > 16 {
			r.t.Errorf("%d polls in the first 30 s: %v", polls, r.callsSince(startedAt, enginesim.RouteQR, enginesim.RouteStatus, enginesim.RouteList))
		}
		r.none429()
	})
}

// The engine dies while a code is shown. Once that was noticed, the code is handed out only after a poll.
func TestTracker_CodeNeedsPollAfterEngineWasUnreachable(t *testing.T) {
	bubble(t, &enginesim.Engine{QRDelay: time.Second, DownFor: 5 * time.Second}, func(r *rig) {
		r.connect("key-a", r.create("key-a", "crm-1"))
		dead := r.qr("key-a", "crm-1", session.WaitPreference{}).Session.QR.Image
		time.Sleep(4 * time.Second)
		r.engine.Change(func(e *enginesim.Engine) { e.DiesAt = time.Now() })
		time.Sleep(time.Second)
		_, _ = r.manager.Status(r.t.Context(), r.caller("key-a"), "crm-1") // a client's poll for the scan meets the outage
		if snap, err := r.manager.Get(r.t.Context(), r.caller("key-a"), "crm-1"); err != nil || snap.Ready {
			r.t.Errorf("ready %t while the engine is away, %v", snap.Ready, err)
		}
		time.Sleep(4500 * time.Millisecond)
		snap := r.qr("key-a", "crm-1", session.WaitPreference{Set: true, For: 10 * time.Second})
		if snap.Session.QR.Image.Equal(dead) || !snap.Session.QR.Fresh(time.Now()) {
			r.t.Errorf("after the restart: the dead code %t, fresh %t", snap.Session.QR.Image.Equal(dead), snap.Session.QR.Fresh(time.Now()))
		}
	})
}

// slowQR is an engine whose answer to a request for the QR takes its time.
type slowQR struct {
	session.Engine
	takes time.Duration
}

func (e slowQR) QR(ctx context.Context, c session.Caller, r session.Ref) (session.SessionReport, error) {
	select {
	case <-time.After(e.takes):
		return e.Engine.QR(ctx, c, r)
	case <-ctx.Done():
		return session.SessionReport{Ref: r}, &session.EngineError{Op: session.OpQR, Kind: session.KindTimeout}
	}
}

// An engine that responds to a QR request only when the code is there gets more time at the next request, and
// not connected meanwhile.
func TestTracker_SlowAnswerIsAwaited(t *testing.T) {
	for _, takes := range []time.Duration{6 * time.Second, 12 * time.Second} {
		bubbleIn(t, takes.String(), &enginesim.Engine{QRDelay: time.Second}, func(r *rig) {
			r.connect("key-a", r.create("key-a", "crm-1"))
			startedAt := time.Now().Add(time.Millisecond)
			if _, took := r.persistent("key-a", "crm-1", time.Minute); took > 25*time.Second {
				r.t.Errorf("the QR came after %v", took)
			}
			if steps := r.callsSince(startedAt, enginesim.RouteConnect, enginesim.RouteRestart); len(steps) > 0 {
				r.t.Errorf("connected again at %v", steps)
			}
		}, func(c *acquire.Config) { c.Engine = slowQR{c.Engine, takes} })
	}
}

// Followers count as waiting requests.
func TestFollower_CountsInLimits(t *testing.T) {
	limits := func(c *acquire.Config) { c.WaiterLimits.Session = 3 }
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		r.connect("key-a", r.create("key-a", "crm-1"))
		r.qr("key-a", "crm-1", session.WaitPreference{})
		var all []session.Follower
		for range 3 {
			f, err := r.manager.Follow(r.t.Context(), r.caller("key-a"), "crm-1")
			if err != nil {
				r.t.Fatal(err)
			}
			all = append(all, f)
		}
		if _, err := r.manager.Follow(r.t.Context(), r.caller("key-a"), "crm-1"); err != session.ErrTooManyWaiters {
			r.t.Errorf("a fourth follower: %v", err)
		}
		all[0].Close()
		f, err := r.manager.Follow(r.t.Context(), r.caller("key-a"), "crm-1")
		if err != nil {
			r.t.Errorf("after one left: %v", err)
		}
		for _, f := range append(all[1:], f) {
			f.Close()
		}
		if n := r.manager.Stats().Waiters; n != 0 {
			r.t.Errorf("%d waiters are left", n)
		}
	}, limits)
}

// A follower learns of the code's end, the next code, the scan and the deletion without any request for
// the QR.
func TestFollower_SeesTheWholeLifeOfAQR(t *testing.T) {
	engine := &enginesim.Engine{Rotation: []time.Duration{20 * time.Second, 20 * time.Second, time.Hour}, QRTTL: 20 * time.Second, QRDelay: time.Second}
	bubble(t, engine, func(r *rig) {
		ref := r.create("key-a", "crm-1")
		r.connect("key-a", ref)
		snap := r.qr("key-a", "crm-1", session.WaitPreference{})
		f, err := r.manager.Follow(r.t.Context(), r.caller("key-a"), "crm-1")
		if err != nil {
			r.t.Fatal(err)
		}
		defer f.Close()
		startedAt := time.Now()
		next := func(what string, within time.Duration, ok func(*session.Snapshot) bool) {
			r.t.Helper()
			for end := time.Now().Add(within); ; {
				if snap, err = f.Next(r.t.Context(), snap, time.Until(end)); err != nil {
					r.t.Fatal(err)
				}
				if ok(snap) {
					return
				}
				if !time.Now().Before(end) {
					r.t.Fatalf("%v: no %s: %s, sequence %d, ready %t", time.Since(startedAt), what, snap.Session.State, snap.Session.Sequence, snap.Ready)
				}
			}
		}
		next("end of the first code", 20*time.Second, func(s *session.Snapshot) bool { return !s.Ready })
		next("second code", 8*time.Second, func(s *session.Snapshot) bool { return s.Ready && s.Session.Sequence == 2 })
		next("third code", 30*time.Second, func(s *session.Snapshot) bool { return s.Ready && s.Session.Sequence == 3 })
		if err := r.engine.Link("crm-1"); err != nil {
			r.t.Fatal(err)
		}
		next("link", 5*time.Second, func(s *session.Snapshot) bool { return s.Session.State == session.Connected })
		if err := r.manager.Invalidate(r.t.Context(), r.caller("key-a"), ref, true); err != nil {
			r.t.Fatal(err)
		}
		next("end", time.Second, func(s *session.Snapshot) bool { return s.Ended })
	})
}

// A connect that shows that two trackers have the same session is applied to the one that goes on.
func TestTracker_TakeoverKeepsTheUpdate(t *testing.T) {
	bubble(t, &enginesim.Engine{FirstID: 61, QRDelay: 3 * time.Second}, func(r *rig) {
		r.post("key-a", "/api/sessions", `{"sessionId":"crm-1","sessionName":"test"}`)
		r.post("key-a", "/api/sessions/61/connect", "{}")
		c, name := r.caller("key-a"), session.Ref{Name: "crm-1"}
		r.manager.OnSessions(r.t.Context(), c, []session.SessionReport{{Ref: name, State: session.Created}}, true)
		r.manager.OnSessions(r.t.Context(), c, []session.SessionReport{{Ref: session.Ref{ID: 61}, State: session.Created}}, true)
		both := session.SessionReport{Ref: session.Ref{ID: 61, Name: "crm-1"}, State: session.Connecting}
		_ = r.manager.OnConnect(r.t.Context(), c, both, session.Connect)
		if s := r.manager.Cached(c, []session.Ref{name})[0].Session; s.ConnectedAt.IsZero() || s.Ref != both.Ref {
			r.t.Errorf("the tracker that goes on has %v, connected at %v", s.Ref, s.ConnectedAt)
		}
		if n := r.manager.Stats().Sessions; n[session.Connecting] != 1 || len(n) != 1 {
			r.t.Errorf("tracked sessions: %v", n)
		}
	})
}

// A session that is tracked under its name and under its integer has one tracker once both are known.
func TestTracker_LearningTheOtherIDKeepsOneTracker(t *testing.T) {
	bubble(t, &enginesim.Engine{FirstID: 61, QRDelay: 3 * time.Second}, func(r *rig) {
		if status := r.post("key-a", "/api/sessions", `{"sessionId":"crm-1","sessionName":"test"}`); status != http.StatusCreated {
			r.t.Fatal(status)
		}
		c := r.caller("key-a")
		_ = r.manager.OnConnect(r.t.Context(), c, session.SessionReport{Ref: session.Ref{Name: "crm-1"}, State: session.Connecting}, session.Connect)
		_ = r.manager.OnConnect(r.t.Context(), c, session.SessionReport{Ref: session.Ref{ID: 61}, State: session.Connecting}, session.Connect)
		r.post("key-a", "/api/sessions/61/connect", "{}")
		var wg sync.WaitGroup
		for _, id := range []string{"crm-1", "61"} {
			wg.Go(func() {
				if snap := r.qr("key-a", id, session.WaitPreference{}); !snap.Session.QR.Fresh(time.Now()) {
					r.t.Errorf("%s has no QR", id)
				}
			})
		}
		wg.Wait()
		if n := r.manager.Stats().Sessions; n[session.AwaitingScan] != 1 || len(n) != 1 {
			r.t.Errorf("tracked sessions: %v", n)
		}
	})
}
