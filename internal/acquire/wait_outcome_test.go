package acquire_test

import (
	"testing"
	"time"

	"qrgate/internal/session"
	"qrgate/internal/test/enginesim"
)

// waitOutcomes is how waiting requests ended since the n-th event, in order.
func (r *rig) waitOutcomes(n int) (ends []session.Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events[n:] {
		if e.Kind == session.EventWait {
			ends = append(ends, e.Outcome)
		}
	}
	return ends
}

// told is how many events there were so far.
func (r *rig) eventCount() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.events)
}

// A session that had its QR before the engine broke is answered "not yet" from then on and counts so: the code that is
// still there has expired. Counted as a success it would hide the outage from the alert.
func TestWaitQR_ExpiredCodeCountsAsFailure(t *testing.T) {
	for name, broken := range map[string]enginesim.Fault{"errors": {Kind: enginesim.ServerError}, "silence": {Kind: enginesim.Hang}, "429": {Kind: enginesim.TooMany}} {
		bubbleIn(t, name, &enginesim.Engine{Rotation: enginesim.WhatsAppRotation()}, func(r *rig) {
			ref := r.create("key-a", "crm-1")
			r.connect("key-a", ref)
			r.qr("key-a", "crm-1", session.WaitPreference{})
			if got := r.waitOutcomes(0); len(got) != 1 || got[0] != session.Success {
				r.t.Fatalf("with a code: %v", got)
			}
			r.engine.Change(func(e *enginesim.Engine) {
				e.Faults = map[enginesim.Route]enginesim.Fault{enginesim.AnyRoute: broken}
			})
			time.Sleep(50 * time.Second) // what the code has left is too little to be scanned; to know the key takes a minute
			n := r.eventCount()
			v, _ := r.manager.WaitQR(r.t.Context(), r.caller("key-a"), "crm-1", session.WaitPreference{})
			if v.Session.QR.Fresh(v.At) {
				r.t.Fatal("the code is still fresh")
			}
			if got := r.waitOutcomes(n); len(got) != 1 || got[0] != session.Failure {
				r.t.Errorf("without one: %v", got)
			}
		})
	}
}
