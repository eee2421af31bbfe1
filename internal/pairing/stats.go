package pairing

import (
	"time"

	"qrgate"
)

// Stats is what is true of all sessions in mind at one moment.
type Stats struct {
	Sessions map[qrgate.State]int
	Waiters  int // requests that are held
	Limit    int // requests that are held at most
	Budget   int // calls left of the credential that has the fewest; -1 when no engine says
}

// Stats counts. It is made for a scrape, not for every request.
func (p *Pairing) Stats() Stats {
	p.slots.mu.Lock()
	st := Stats{Sessions: map[qrgate.State]int{}, Waiters: p.slots.all, Limit: p.cfg.Caps.Replica, Budget: -1}
	p.slots.mu.Unlock()
	p.mu.Lock()
	desks := make([]*desk, 0, len(p.desks))
	for _, d := range p.desks {
		desks = append(desks, d)
	}
	p.mu.Unlock()
	now := time.Now()
	for _, d := range desks {
		d.mu.Lock()
		for _, e := range d.entries {
			st.Sessions[e.s.State]++
		}
		if left := d.budget.leftNow(now); left >= 0 && (st.Budget < 0 || left < st.Budget) {
			st.Budget = left
		}
		d.mu.Unlock()
	}
	return st
}
