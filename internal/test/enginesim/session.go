package enginesim

import (
	"strconv"
	"time"
)

// simSession is one row of the engine's database and, through its socket, what the engine has in memory.
type simSession struct {
	id            int64
	account       string
	name          string // the sessionId
	title         string // the sessionName
	phone         string
	webhook       string
	sendToFrappe  bool
	created       time.Time
	active        time.Time
	connects      int // accepted ones
	failures      int // connects answered with an error
	restarts      int
	socket        *Socket // nil: not in memory
	linkedAt      time.Time
	stale         bool // the database still believes that a phone is linked
	codes         int  // codes that earlier sockets used up
	lastGenerated time.Time
}

// phase is what the session is doing. Call it after settle.
func (e *Engine) phase(s *simSession, now time.Time) Phase {
	switch {
	case s.socket == nil && s.connects == 0:
		return Fresh
	case s.socket == nil:
		return Lost
	case s.socket.linked:
		return Linked
	case s.socket.broken:
		return Broken
	}
	if _, ok := e.current(s, now); ok {
		return Showing
	}
	return Connecting
}

// settle carries a session to now: a connect whose codes have run out is over.
func (e *Engine) settle(s *simSession, now time.Time) {
	if s.socket == nil || s.socket.linked {
		return
	}
	if s.socket.brokenBy(e, now) {
		s.socket.broken = true
		return
	}
	if end, ok := e.runOut(s.socket); ok && !now.Before(end) {
		s.lastGenerated = end.Add(-e.Rotation[len(e.Rotation)-1])
		e.drop(s)
		return
	}
	if c, ok := e.current(s, now); ok {
		s.lastGenerated = c.generated
	}
}

// drop ends the session's connect, if there is one.
func (e *Engine) drop(s *simSession) {
	if s.socket == nil {
		return
	}
	s.stale = s.socket.linked && e.StaleDatabase
	s.codes += s.socket.used
	s.socket.stop()
	s.socket = nil
	s.phone = ""
}

// find returns the account's session that id names: the integer is tried first (C9).
func (e *Engine) find(account, id string) *simSession {
	now := e.now()
	if n, err := strconv.ParseInt(id, 10, 64); err == nil && !e.StringIDsOnly {
		for _, s := range e.sessions {
			if s.id == n && s.account == account {
				e.settle(s, now)
				return s
			}
		}
	}
	if e.NumericIDsOnly {
		return nil
	}
	return e.named(account, id)
}

func (e *Engine) named(account, name string) *simSession {
	for _, s := range e.sessions {
		if s.name == name && s.account == account {
			e.settle(s, e.now())
			return s
		}
	}
	return nil
}
