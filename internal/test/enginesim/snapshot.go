package enginesim

import "time"

// Session is what is true of a session, for tests to compare with what a gateway says.
type Session struct {
	ID        int64
	Name      string
	Account   string
	Phase     Phase
	Phone     string
	Code      string // the text of the current code; "" if there is none
	Sequence  int    // of that code
	Generated time.Time
	Connects  int // accepted
	Failures  int // connects answered with an error
	Restarts  int
}

// Snapshot returns every session by growing id.
func (e *Engine) Snapshot() []Session {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dieOnTime()
	all := make([]Session, 0, len(e.sessions))
	for _, s := range e.sessions {
		now := e.now()
		e.settle(s, now)
		c, _ := e.current(s, now)
		all = append(all, Session{
			ID: s.id, Name: s.name, Account: s.account, Phase: e.phase(s, now), Phone: s.phone,
			Code: c.text, Sequence: c.sequence, Generated: c.generated,
			Connects: s.connects, Failures: s.failures, Restarts: s.restarts,
		})
	}
	return all
}
