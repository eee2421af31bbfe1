package acquire

import (
	"testing"
	"time"

	"qrgate/internal/session"
)

// The last poll before a wait's end is planned for each wait: when the first one is over, the next one counts.
func TestTracker_DemandHasTheEndOfTheNextWait(t *testing.T) {
	t.Parallel()
	waiters := map[*waiter]struct{}{
		{interest: inQR, endsAt: at(9)}:  {},
		{interest: inQR, endsAt: at(20)}: {},
		{interest: inPolls}:              {},
	}
	tr := &tracker{m: &Manager{}, tenant: &tenant{}, waiters: waiters}
	for now, want := range map[float64]time.Time{5: at(9), 9: at(20), 20: {}} {
		if d, _ := tr.demand(at(now)); !d.wantsQR || d.follows || !d.waitEndsAt.Equal(want) {
			t.Errorf("at %v s: %+v", now, d)
		}
	}
}

// A session's QR stays evidence for others after its tracker has ended, and is none about itself under its other id.
func TestTenant_PeerSuccesses(t *testing.T) {
	t.Parallel()
	tn := &tenant{}
	tn.recordSuccess(session.Ref{Name: "crm-1"}, at(1))
	tn.recordSuccess(session.Ref{ID: 2}, at(2))
	for name, c := range map[string]struct {
		ref   session.Ref
		since float64
		want  int
	}{
		"a third session":       {session.Ref{ID: 3, Name: "crm-3"}, 0, 2},
		"the first itself":      {session.Ref{ID: 1, Name: "crm-1"}, 0, 1},
		"the second itself":     {session.Ref{ID: 2, Name: "crm-2"}, 0, 1},
		"since the first":       {session.Ref{ID: 3}, 1, 1},
		"since both":            {session.Ref{ID: 3}, 2, 0},
		"an integer's namesake": {session.Ref{ID: 4, Name: "crm-1"}, 0, 1},
	} {
		if got := tn.peerSuccesses(c.ref, at(c.since)); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
