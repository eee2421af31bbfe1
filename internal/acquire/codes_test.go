package acquire_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"qrgate/internal/acquire"
	"qrgate/internal/diagnosis"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/internal/test/enginesim"
)

// watchQR requests the QR every three seconds for d and returns when it was ready, and when each cause was first
// diagnosed, counted from the start.
func (r *rig) watchQR(key, id string, d time.Duration) (ready []time.Duration, causes map[diagnosis.Code]time.Duration) {
	causes = map[diagnosis.Code]time.Duration{}
	for startedAt := time.Now(); time.Since(startedAt) < d; time.Sleep(3 * time.Second) {
		snap := r.qr(key, id, session.WaitPreference{Set: true, For: time.Second})
		if snap.Ready {
			ready = append(ready, time.Since(startedAt))
		}
		if _, ok := causes[snap.Diagnosis.Code]; !ok {
			causes[snap.Diagnosis.Code] = time.Since(startedAt)
		}
	}
	return ready, causes
}

// An engine that returns the same picture for ever, with a new expiresAt each time.
func TestTracker_SameCodeForEverIsInvalid(t *testing.T) {
	engine := &enginesim.Engine{Codes: func(string, int) string { return "2@always,the,same,code" }}
	bubble(t, engine, func(r *rig) {
		r.connect("key-a", r.create("key-a", "crm-1"))
		ready, causes := r.watchQR("key-a", "crm-1", 3*time.Minute)
		if len(ready) == 0 || slices.Max(ready) > time.Minute {
			r.t.Errorf("ready at %v", ready)
		}
		if at, ok := causes[diagnosis.QRInvalid]; !ok || at > 80*time.Second {
			r.t.Errorf("causes: %v", causes)
		}
		if n := r.recoverySteps(); n == 0 || n > 12 {
			r.t.Errorf("%d recovery steps", n)
		}
	})
}

// An engine that keeps its last code after all codes have ended is connected again: the client gets a new code.
func TestTracker_CodeKeptAfterItsEndIsReplaced(t *testing.T) {
	for name, expiry := range map[string]time.Duration{"by its own expiresAt": 0, "with a later one": time.Hour} {
		engine := &enginesim.Engine{Rotation: []time.Duration{time.Hour}, QRTTL: expiry}
		bubbleIn(t, name, engine, func(r *rig) {
			r.connect("key-a", r.create("key-a", "crm-1"))
			ready, _ := r.watchQR("key-a", "crm-1", 3*time.Minute)
			isLate := func(at time.Duration) bool { return at > 70*time.Second }
			if i := slices.IndexFunc(ready, isLate); i < 0 || ready[i] > 125*time.Second {
				r.t.Errorf("ready at %v", ready)
			}
		})
	}
}

// An engine that returns a new picture each second.
func TestTracker_NewCodeEachSecondIsInvalid(t *testing.T) {
	rotation := make([]time.Duration, 600)
	for i := range rotation {
		rotation[i] = time.Second
	}
	bubble(t, &enginesim.Engine{Rotation: rotation}, func(r *rig) {
		r.connect("key-a", r.create("key-a", "crm-1"))
		ready, causes := r.watchQR("key-a", "crm-1", 2*time.Minute)
		if len(ready) == 0 || slices.Max(ready) > 20*time.Second {
			r.t.Errorf("ready at %v", ready)
		}
		if at, ok := causes[diagnosis.QRInvalid]; !ok || at > 20*time.Second {
			r.t.Errorf("causes: %v", causes)
		}
	})
}

// twoEngines returns the codes of two engines in turn.
type twoEngines struct {
	session.Engine
	polls atomic.Int64
}

func (e *twoEngines) QR(ctx context.Context, c session.Caller, r session.Ref) (session.SessionReport, error) {
	report, err := e.Engine.QR(ctx, c, r)
	if err == nil && e.polls.Add(1)%2 == 0 {
		report.Image = secret.NewSecret(report.Image.Reveal() + "2")
	}
	return report, err
}

// Two engines behind one address that do not share sessions return their own codes in turn.
func TestTracker_CodesOfTwoEnginesAreInconsistent(t *testing.T) {
	bubble(t, &enginesim.Engine{Rotation: enginesim.WhatsAppRotation()}, func(r *rig) {
		r.connect("key-a", r.create("key-a", "crm-1"))
		_, causes := r.watchQR("key-a", "crm-1", 2*time.Minute)
		if at, ok := causes[diagnosis.EngineInconsistent]; !ok || at > 40*time.Second {
			r.t.Errorf("causes: %v", causes)
		}
	}, func(c *acquire.Config) { c.Engine = &twoEngines{Engine: c.Engine} })
}
