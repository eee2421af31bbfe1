package acquire_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/internal/acquire"
	"qrgate/internal/session"
	"qrgate/internal/test/enginesim"
)

// Resting sessions are not counted, those of probes are counted apart, and an engine that once stated its limits is not
// one that never did.
func TestStats(t *testing.T) {
	bubble(t, enginesim.Incident(), func(r *rig) {
		if st := r.manager.Stats(); !st.LimitsAt.IsZero() || st.Remaining >= 0 {
			r.t.Errorf("before the first call: %+v", st)
		}
		probe := r.caller("key-b")
		probe.Traffic = session.SyntheticTraffic
		ref := r.createUnlisted("key-a", "crm-1")
		r.connect("key-a", ref)
		r.qr("key-a", "crm-1", session.WaitPreference{})
		r.post("key-b", "/api/sessions", `{"sessionId":"syn-1","sessionName":"test"}`)
		if _, err := r.manager.WaitQR(r.t.Context(), probe, "syn-1", session.WaitPreference{Set: true}); err != nil {
			r.t.Fatal(err)
		}
		st := r.manager.Stats()
		want := acquire.Stats{Sessions: map[session.State]int{session.AwaitingScan: 1, session.Connecting: 1}, Synthetic: map[session.State]int{session.Connecting: 1}, Limit: 5000, Remaining: st.Remaining, LimitsAt: st.LimitsAt}
		if diff := cmp.Diff(want, st); diff != "" || st.Remaining < 0 || st.LimitsAt.IsZero() {
			r.t.Errorf("at work: %+v\n%s", st, diff)
		}
		if err := r.engine.Link("crm-1"); err != nil {
			r.t.Fatal(err)
		}
		time.Sleep(20 * time.Minute)
		told := st.LimitsAt
		if st = r.manager.Stats(); len(st.Sessions) != 0 || st.Remaining != -1 || st.LimitsAt.Before(told) {
			r.t.Errorf("when all rest: %+v", st)
		}
	})
}
