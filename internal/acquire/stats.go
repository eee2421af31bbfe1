package acquire

import (
	"time"

	"qrgate/internal/session"
)

// Stats is what is true at one moment of all sessions at work: those that wait for a QR, show one, or were
// asked for in the last half minute. A session that rests is not counted, linked ones above all.
type Stats struct {
	Sessions map[session.State]int
	Probes   map[session.State]int // those of Sessions that belong to probes
	Waiters  int                   // requests that are held
	Limit    int                   // requests that are held at most
	Budget   int                   // calls left of the credential that has the fewest; -1 when no engine says at this moment
	Told     time.Time             // when an engine spoke of its limits last; zero if none ever did
}

// Stats counts. It is made for a scrape, not for every request.
func (p *Pairing) Stats() Stats {
	p.slots.mu.Lock()
	st := Stats{Sessions: map[session.State]int{}, Probes: map[session.State]int{}, Waiters: p.slots.all, Limit: p.cfg.Caps.Replica, Budget: -1}
	p.slots.mu.Unlock()
	p.mu.Lock()
	st.Told = p.told
	desks := make([]*tenant, 0, len(p.desks))
	for _, d := range p.desks {
		desks = append(desks, d)
	}
	p.mu.Unlock()
	now := time.Now()
	for _, d := range desks {
		d.count(&st, now)
	}
	return st
}

// count adds the desk's part.
func (d *tenant) count(st *Stats, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.entries {
		st.Sessions[e.s.State]++
		if d.caller.Traffic == session.SyntheticTraffic {
			st.Probes[e.s.State]++
		}
	}
	if left := d.budget.remaining(now); left >= 0 && (st.Budget < 0 || left < st.Budget) {
		st.Budget = left
	}
	st.Told = later(st.Told, d.budget.updatedAt)
}

// told is when the engine spoke of limits last to this credential.
func (d *tenant) told() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.budget.updatedAt
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
