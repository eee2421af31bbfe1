package acquire_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/internal/acquire"
	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/internal/test/enginesim"
)

// causes are what the observer was told of the causes of sessions that are waited for.
func (r *rig) causes() (out []diagnosis.Code) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e.Kind == session.EventCause {
			out = append(out, e.Diagnosis)
		}
	}
	return out
}

// An engine that gives no QR, with the documented rate limit: qrgate's own polls and recovery steps spend the calls, and
// that is never named as the cause. Events and clients learn of the cause at the same time.
func TestDiagnosis_SilentEngineUnderRateLimitIsOneCause(t *testing.T) {
	engine := enginesim.Incident()
	engine.QRDelay = time.Hour
	bubble(t, engine, func(r *rig) {
		ref := r.create("key-a", "crm-1")
		began := time.Now()
		r.connect("key-a", ref)
		for time.Since(began) < 55*time.Second {
			v, err := r.manager.WaitQR(r.t.Context(), r.caller("key-a"), "crm-1", session.WaitPreference{})
			if err != nil || !v.Diagnosis.Healthy() && v.Diagnosis.Code != diagnosis.QRNotEmitted {
				r.t.Fatalf("after %s: %v, %+v", time.Since(began), err, v.Diagnosis)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if diff := cmp.Diff([]diagnosis.Code{diagnosis.QRNotEmitted}, r.causes()); diff != "" {
			r.t.Errorf("what is told of it (-want +got)\n%s", diff)
		}
	})
}

// Other sessions that got their QR before this one was waited for say nothing about it; those that get it meanwhile do,
// to clients and in events alike.
func TestDiagnosis_SessionStuckNeedsPeersThatSucceedMeanwhile(t *testing.T) {
	for name, tt := range map[string]struct {
		before bool // the other had its code when this one was connected
		want   []diagnosis.Code
	}{
		"before":    {true, []diagnosis.Code{diagnosis.QRNotEmitted}},
		"meanwhile": {false, []diagnosis.Code{diagnosis.QRNotEmitted, diagnosis.SessionStuck}},
	} {
		bubbleIn(t, name, &enginesim.Engine{}, func(r *rig) {
			other, stuck := r.create("key-a", "crm-1"), r.create("key-a", "crm-2")
			show := func() {
				r.post("key-a", "/api/sessions/crm-1/connect", `{"force":true}`)
				_ = r.manager.OnConnect(r.t.Context(), r.caller("key-a"), session.SessionReport{Ref: other, State: session.Connecting}, session.Force)
				if v, err := r.manager.WaitQR(r.t.Context(), r.caller("key-a"), "crm-1", session.WaitPreference{}); err != nil || !v.Session.QR.Present() {
					r.t.Fatalf("%v, %+v", err, v)
				}
			}
			if tt.before {
				show()
			}
			r.engine.Change(func(e *enginesim.Engine) { e.StuckUntilForce = true })
			r.connect("key-a", stuck)
			if !tt.before {
				show()
			}
			time.Sleep(14 * time.Second)
			if diff := cmp.Diff(tt.want, r.causes()); diff != "" {
				r.t.Errorf("what is told of it (-want +got)\n%s", diff)
			}
		})
	}
}

// An engine that tells only in its state why there is no QR is asked after each connect: the cause of the last attempt
// stands while it lasts, and is not taken for the cause of this one.
func TestDiagnosis_CauseIsAskedForAfterEachConnect(t *testing.T) {
	engine := &enginesim.Engine{QRDelay: time.Hour}
	var said atomic.Value
	said.Store("503 Connection Failure")
	bubble(t, engine, func(r *rig) {
		ref := r.create("key-a", "crm-1")
		began := time.Now()
		r.connect("key-a", ref)
		for time.Since(began) < 59*time.Second {
			if time.Since(began) > 31*time.Second {
				said.Store("405 Connection Failure")
			}
			_, err := r.manager.WaitQR(r.t.Context(), r.caller("key-a"), "crm-1", session.WaitPreference{Set: true, For: time.Second})
			if err != nil {
				r.t.Fatal(err)
			}
			time.Sleep(time.Second) // who needs a person is answered at once
		}
		if diff := cmp.Diff([]diagnosis.Code{diagnosis.WhatsAppUnavailable, diagnosis.ClientOutdated}, r.causes()); diff != "" {
			r.t.Errorf("what is told of it (-want +got)\n%s", diff)
		}
	}, func(c *acquire.Config) { c.Engine = giving{c.Engine, &said} })
}

// giving is an engine that gives a reason, in its state alone.
type giving struct {
	session.Engine
	reason *atomic.Value // of a string
}

func (g giving) Status(ctx context.Context, c session.Caller, r session.Ref) (session.SessionReport, error) {
	o, err := g.Engine.Status(ctx, c, r)
	o.State, o.Reason = session.Disconnected, g.reason.Load().(string)
	return o, err
}
