package acquire_test

import (
	"testing"
	"time"

	"qrgate/internal/acquire"
	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/internal/test/enginesim"
)

func (r *rig) qr(key, id string, wait session.WaitPreference) *session.Snapshot {
	r.t.Helper()
	v, err := r.manager.WaitQR(r.t.Context(), r.caller(key), id, wait)
	if err != nil {
		r.t.Fatal(err)
	}
	return v
}

// WhatsApp's codes live 60, 20, 20 … seconds whatever the engine's expiresAt says: no client is handed one that a newer
// one has replaced.
func TestTracker_FollowsTheRotationOfCodes(t *testing.T) {
	e := &enginesim.Engine{Rotation: enginesim.WhatsAppRotation()}
	bubble(t, e, func(r *rig) {
		r.connect("key-a", r.create("key-a", "crm-1"))
		began := time.Now()
		for _, second := range []int{1, 30, 59, 61, 75, 79, 81, 99, 101, 119, 141, 158} {
			time.Sleep(time.Until(began.Add(time.Duration(second) * time.Second)))
			v := r.qr("key-a", "crm-1", session.WaitPreference{})
			if !v.Session.QR.Present() {
				r.t.Errorf("%d s: no QR, %s", second, v.Session.State)
				continue
			}
			// A code may be replaced between the look and now, but not by more than the look's age.
			if late := v.At.Sub(v.Session.QR.ConfirmedAt); late > session.RevalidatedFor && v.At.Sub(v.Session.QR.SeenAt) > session.RevalidateAfter {
				r.t.Errorf("%d s: a code that was last confirmed %v ago", second, late)
			}
			if left := v.Session.QR.TTL(v.At); left <= 0 {
				r.t.Errorf("%d s: an expired code", second)
			}
		}
		time.Sleep(time.Until(began.Add(164 * time.Second)))
		if v, _ := r.persistent("key-a", "crm-1", 20*time.Second); v.Session.ConnectedAt.Equal(began) {
			r.t.Error("the codes ran out and nobody connected again")
		}
	})
}

// When the codes of a connect have expired, the next request connects again.
func TestTracker_ExpiredCodesAreRequestedAnew(t *testing.T) {
	e := &enginesim.Engine{Rotation: enginesim.WhatsAppRotation(), QRDelay: time.Second}
	bubble(t, e, func(r *rig) {
		r.connect("key-a", r.create("key-a", "crm-1"))
		r.qr("key-a", "crm-1", session.WaitPreference{})
		time.Sleep(5 * time.Minute)
		if v, took := r.persistent("key-a", "crm-1", 30*time.Second); took > 10*time.Second {
			r.t.Errorf("a new code after %v (%s)", took, v.Session.State)
		}
	})
}

// A client that polls the state sees a scan within five seconds, and no client is shown a code afterwards.
func TestStatus_SeesTheScan(t *testing.T) {
	bubble(t, enginesim.Incident(), func(r *rig) {
		r.connect("key-a", r.create("key-a", "crm-1"))
		r.qr("key-a", "crm-1", session.WaitPreference{})
		time.Sleep(7 * time.Second)
		if err := r.engine.Link("crm-1"); err != nil {
			r.t.Fatal(err)
		}
		scanned := time.Now()
		for {
			v, err := r.manager.Status(r.t.Context(), r.caller("key-a"), "crm-1")
			if err != nil {
				r.t.Fatal(err)
			}
			if v.Session.State == session.Connected {
				break
			}
			if time.Since(scanned) > 5*time.Second {
				r.t.Fatalf("%v after the scan the state is %s", time.Since(scanned), v.Session.State)
			}
			time.Sleep(2500 * time.Millisecond)
		}
		if v := r.qr("key-a", "crm-1", session.WaitPreference{}); v.Session.QR.Present() || v.Diagnosis.Code != diagnosis.AlreadyPaired {
			r.t.Errorf("after the scan: %s, QR %t", v.Diagnosis.Code, v.Session.QR.Present())
		}
	})
}

// Recovery never touches a session whose code was scanned: the engine has no QR then, and that is right.
func TestRecovery_NeverForAScannedSession(t *testing.T) {
	e := &enginesim.Engine{Rotation: enginesim.WhatsAppRotation()}
	bubble(t, e, func(r *rig) {
		r.connect("key-a", r.create("key-a", "crm-1"))
		r.qr("key-a", "crm-1", session.WaitPreference{})
		if err := r.engine.Link("crm-1"); err != nil {
			r.t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		before := r.recoverySteps()
		for range 5 {
			r.qr("key-a", "crm-1", session.WaitPreference{})
			time.Sleep(20 * time.Second)
		}
		if n := r.recoverySteps() - before; n != 0 {
			r.t.Errorf("%d recovery steps for a linked session", n)
		}
	})
}

// recoverySteps counts connects and restarts at the engine.
func (r *rig) recoverySteps() int {
	var zero time.Time
	return r.engine.CountSince(enginesim.RouteConnect, zero) + r.engine.CountSince(enginesim.RouteRestart, zero)
}

// A session that was not connected through qrgate is polled and left alone.
func TestRecovery_NeedsAConnectThroughQrgate(t *testing.T) {
	bubble(t, &enginesim.Engine{StuckUntilRestart: true}, func(r *rig) {
		r.create("key-a", "crm-1")
		before := r.recoverySteps()
		for range 4 {
			r.qr("key-a", "crm-1", session.WaitPreference{})
			time.Sleep(15 * time.Second)
		}
		if n := r.recoverySteps() - before; n != 0 {
			r.t.Errorf("%d recovery steps for a session that nobody connected", n)
		}
	})
}

// An acquisition without success ends after a minute and costs nothing more; the next request begins a new one.
func TestTracker_GivesUpAfterAMinute(t *testing.T) {
	bubble(t, &enginesim.Engine{QRDelay: time.Hour}, func(r *rig) {
		ref := r.create("key-a", "crm-1")
		r.connect("key-a", ref)
		time.Sleep(2 * time.Minute)
		resting := time.Now()
		time.Sleep(10 * time.Minute)
		if n := r.polls(resting); n != 0 {
			r.t.Errorf("%d polls while resting", n)
		}
		r.qr("key-a", "crm-1", session.WaitPreference{})
		if n := r.polls(resting); n == 0 {
			r.t.Error("the next request did not poll")
		}
	})
}

// A deletion drops everything: the code and the acquisition; requests that wait are answered at once.
func TestInvalidate_EndsAcquisitionAndWaits(t *testing.T) {
	bubble(t, &enginesim.Engine{QRDelay: time.Hour}, func(r *rig) {
		ref := r.create("key-a", "crm-1")
		r.connect("key-a", ref)
		released := make(chan time.Duration)
		began := time.Now()
		go func() {
			r.qr("key-a", "crm-1", session.WaitPreference{Set: true, For: time.Minute})
			released <- time.Since(began)
		}()
		time.Sleep(3 * time.Second)
		if err := r.manager.Invalidate(r.t.Context(), r.caller("key-a"), ref, true); err != nil {
			r.t.Fatal(err)
		}
		forgotten := time.Now()
		if took := <-released; took > 4*time.Second {
			r.t.Errorf("the waiting request was answered after %v", took)
		}
		time.Sleep(time.Minute)
		if n := r.polls(forgotten.Add(time.Millisecond)); n != 0 {
			r.t.Errorf("%d polls at a deleted session", n)
		}
	})
}

// A request for the state that waits while its session is deleted gets the engine's own "not found": the engine did not
// time out.
func TestGet_SessionIsDeletedDuringTheWait(t *testing.T) {
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		c := r.caller("key-a")
		ref := r.create("key-a", "crm-1")
		time.Sleep(2 * time.Minute) // the proof of the credential is outdated
		r.engine.Change(func(e *enginesim.Engine) { e.Latency = 2 * time.Second })
		outcome := make(chan error)
		go func() {
			_, err := r.manager.Get(r.t.Context(), c, "crm-1")
			outcome <- err
		}()
		time.Sleep(time.Second)
		r.engine.Reset()
		if err := r.manager.Invalidate(r.t.Context(), c, ref, true); err != nil {
			r.t.Fatal(err)
		}
		if err := <-outcome; session.KindOf(err) != session.KindSessionNotFound {
			r.t.Errorf("got %v, want that the engine does not know the session", err)
		}
	})
}

// Where no more requests may wait, the answer is "not yet" at once, and the session is polled all the same: the next
// request gets its code.
func TestWaitQR_TurnedAwayRequestStillBuysAPoll(t *testing.T) {
	full := func(c *acquire.Config) { c.WaiterLimits.Replica = 1 }
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		r.connect("key-a", r.create("key-a", "crm-1"))
		r.qr("key-a", "crm-1", session.WaitPreference{})
		r.create("key-a", "crm-2") // no client connects it, so that a request for it waits
		go func() {
			_, _ = r.manager.WaitQR(r.t.Context(), r.caller("key-a"), "crm-2", session.WaitPreference{Set: true, For: time.Minute})
		}()
		time.Sleep(20 * time.Second)
		if v := r.qr("key-a", "crm-1", session.WaitPreference{}); v.Session.QR.Fresh(time.Now()) {
			r.t.Fatal("a doubtful code is handed out")
		}
		time.Sleep(time.Second)
		if v := r.qr("key-a", "crm-1", session.WaitPreference{}); !v.Session.QR.Fresh(time.Now()) {
			r.t.Error("nobody polled")
		}
	}, full)
}

// An engine that is ready just before a wait ends is polled once more in time.
func TestWaitQR_FinalPollBeforeTheWaitEnds(t *testing.T) {
	for _, ready := range []time.Duration{8100 * time.Millisecond, 8400 * time.Millisecond, 8600 * time.Millisecond} {
		bubbleIn(t, ready.String(), &enginesim.Engine{QRDelay: ready}, func(r *rig) {
			r.connect("key-a", r.create("key-a", "crm-1"))
			if v := r.qr("key-a", "crm-1", session.WaitPreference{}); !v.Session.QR.Present() {
				r.t.Errorf("the code was there %v before the end of the wait, and the client was sent away", 9*time.Second-ready)
			}
		})
	}
}

// An engine whose /status always fails is not polled in a storm when a code has vanished.
func TestTracker_FailingStatusCausesNoStorm(t *testing.T) {
	e := &enginesim.Engine{Rotation: enginesim.WhatsAppRotation(), Faults: map[enginesim.Route]enginesim.Fault{enginesim.RouteStatus: {Kind: enginesim.ServerError}}}
	bubble(t, e, func(r *rig) {
		r.connect("key-a", r.create("key-a", "crm-1"))
		r.qr("key-a", "crm-1", session.WaitPreference{})
		time.Sleep(3 * time.Minute)
		began := time.Now()
		for range 6 {
			r.qr("key-a", "crm-1", session.WaitPreference{Set: true, For: 9 * time.Second})
		}
		if n := r.polls(began); n > 150 {
			r.t.Errorf("%d polls in %v", n, time.Since(began))
		}
	})
}
