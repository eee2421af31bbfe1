package acquire_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/internal/acquire"
	"qrgate/internal/session"
	"qrgate/internal/test/enginesim"
)

// What rests is not counted, those of probes are told apart, and an engine that once spoke of its limits is
// not one that never did.
func TestStats(t *testing.T) {
	bubble(t, enginesim.Incident(), func(r *rig) {
		if st := r.p.Stats(); !st.Told.IsZero() || st.Budget >= 0 {
			r.t.Errorf("before the first call: %+v", st)
		}
		probe := r.caller("key-b")
		probe.Traffic = session.SyntheticTraffic
		ref := r.createUnlisted("key-a", "crm-1")
		r.connect("key-a", ref)
		r.qr("key-a", "crm-1", session.WaitPreference{})
		if _, err := r.p.QR(r.t.Context(), probe, "syn-1", session.WaitPreference{Set: true}); err != nil {
			r.t.Fatal(err)
		}
		st := r.p.Stats()
		want := acquire.Stats{Sessions: map[session.State]int{session.AwaitingScan: 1, session.Connecting: 1}, Probes: map[session.State]int{session.Connecting: 1}, Limit: 5000, Budget: st.Budget, Told: st.Told}
		if diff := cmp.Diff(want, st); diff != "" || st.Budget < 0 || st.Told.IsZero() {
			r.t.Errorf("at work: %+v\n%s", st, diff)
		}
		if err := r.engine.Link("crm-1"); err != nil {
			r.t.Fatal(err)
		}
		time.Sleep(20 * time.Minute)
		told := st.Told
		if st = r.p.Stats(); len(st.Sessions) != 0 || st.Budget != -1 || st.Told.Before(told) {
			r.t.Errorf("when all rest: %+v", st)
		}
	})
}
