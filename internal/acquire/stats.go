package acquire

import (
	"time"

	"qrgate/internal/session"
)

// Stats are numbers of the tracked sessions: those that wait for a QR, show one, or were requested in the last half
// minute.
type Stats struct {
	Sessions  map[session.State]int
	Synthetic map[session.State]int // those of Sessions that belong to probes
	Waiters   int                   // requests that wait
	Limit     int                   // requests that may wait
	Remaining int                   // calls left of the credential that has the fewest; -1 when no engine says
	Pushes    int                   // credentials whose sessions' changes the engine reports by itself
	LimitsAt  time.Time             // when an engine last stated its limits; zero if none ever did
}

// Stats counts. It is made for a scrape, not for every request.
func (m *Manager) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	st := Stats{Sessions: map[session.State]int{}, Synthetic: map[session.State]int{}, Waiters: int(m.waiters.Load()),
		Limit: m.cfg.WaiterLimits.Replica, Remaining: -1, LimitsAt: m.limitsAt}
	now := time.Now()
	for _, tn := range m.tenants {
		tn.count(&st, now)
	}
	return st
}

// count adds the numbers of the tenant.
func (tn *tenant) count(st *Stats, now time.Time) {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	for t := range tn.trackers {
		snap := t.state.Load()
		if snap == nil {
			continue
		}
		st.Sessions[snap.Session.State]++
		if tn.caller.Traffic == session.SyntheticTraffic {
			st.Synthetic[snap.Session.State]++
		}
	}
	if tn.isPushed() {
		st.Pushes++
	}
	if left := tn.limiter.remaining(now); left >= 0 && (st.Remaining < 0 || left < st.Remaining) {
		st.Remaining = left
	}
	st.LimitsAt = latest(st.LimitsAt, tn.limiter.updatedAt)
}
