package enginesim

import (
	"context"
	"strconv"
	"time"
)

// Phase is the real state of a session. [Engine.States] sets how a response spells it.
type Phase string

// The phases of a session.
const (
	Fresh      Phase = "fresh"      // created, never connected
	Connecting Phase = "connecting" // connected, no code yet
	Showing    Phase = "showing"    // there is a code to scan
	Linked     Phase = "linked"     // a phone is linked
	Lost       Phase = "lost"       // once connected, now not
	Broken     Phase = "broken"     // the engine gave up
)

// observedState returns the recorded spelling of a phase; a fresh session is disconnected there, not pending (quirk 5).
func observedState(p Phase) string {
	switch p {
	case Connecting:
		return "connecting"
	case Showing:
		return "qr_code"
	case Linked:
		return "connected"
	case Broken:
		return "error"
	default:
		return "disconnected"
	}
}

func (e *Engine) stateOf(p Phase) string {
	if word, ok := e.States[p]; ok {
		return word
	}
	return observedState(p)
}

// simSession is one row of the engine's database; its socket is the part that the engine has in memory.
type simSession struct {
	id              int64
	account         string
	name            string // the sessionId
	title           string // the sessionName
	phone           string
	webhook         string
	sendToFrappe    bool
	createdAt       time.Time
	activeAt        time.Time
	connects        int // accepted ones
	failures        int // failed connects
	restarts        int
	socket          *Socket // nil: not in memory
	linkedAt        time.Time
	stale           bool // the database still has a linked phone
	codes           int  // codes that earlier sockets used up
	lastGeneratedAt time.Time
}

// phase returns the state of the session. Call it after advance.
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

// advance brings a session up to date: it ends a connect whose last code has expired.
func (e *Engine) advance(s *simSession, now time.Time) {
	if s.socket == nil || s.socket.linked {
		return
	}
	if s.socket.isBrokenAt(e, now) {
		s.socket.broken = true
		return
	}
	if end, ok := e.lastCodeEndsAt(s.socket); ok && !now.Before(end) {
		s.lastGeneratedAt = end.Add(-e.Rotation[len(e.Rotation)-1])
		e.closeSocket(s)
		return
	}
	if c, ok := e.current(s, now); ok {
		s.lastGeneratedAt = c.generated
	}
}

// closeSocket ends the session's connect, if there is one.
func (e *Engine) closeSocket(s *simSession) {
	if s.socket == nil {
		return
	}
	s.stale = s.socket.linked && e.StaleDatabase
	s.codes += s.socket.used
	s.socket.stop()
	s.socket = nil
	s.phone = ""
}

// find returns the account's session with an id: as the integer, else as the name (C9).
func (e *Engine) find(account, id string) *simSession {
	now := e.now()
	if n, err := strconv.ParseInt(id, 10, 64); err == nil && !e.StringIDsOnly {
		for _, s := range e.sessions {
			if s.id == n && s.account == account {
				e.advance(s, now)
				return s
			}
		}
	}
	if e.NumericIDsOnly {
		return nil
	}
	return e.findByName(account, id)
}

func (e *Engine) findByName(account, name string) *simSession {
	for _, s := range e.sessions {
		if s.name == name && s.account == account {
			e.advance(s, e.now())
			return s
		}
	}
	return nil
}

// Socket is one accepted connect of a session. [Engine.Begin] reports through it; its methods may be called from
// any goroutine and do nothing once the connect has ended.
type Socket struct {
	engine     *Engine
	session    *simSession
	stop       context.CancelFunc
	openedAt   time.Time // when the connect was accepted
	stuck      bool      // never produces a code
	linked     bool
	broken     bool
	qrRequests int // requests for the QR
	used       int // highest sequence within this connect
	pushed     []pushedCode

	renderedText string // the code of the rendered image
	rendered     string
	textOf       int // the sequence of text
	text         string
}

// pushedCode is a code that Begin supplied.
type pushedCode struct {
	text string
	at   time.Time
}

// Show makes text the current code.
func (s *Socket) Show(text string) {
	s.change(func() { s.pushed = append(s.pushed, pushedCode{text, s.engine.now()}) })
}

// Linked reports that a phone with this number scanned the code.
func (s *Socket) Linked(phone string) {
	s.change(func() { s.engine.link(s.session, phone) })
}

// Failed reports that no code will come: the session's state becomes error.
func (s *Socket) Failed() { s.change(func() { s.broken = true }) }

// Closed reports that the connect has ended, for instance because its last code expired.
func (s *Socket) Closed() { s.change(func() { s.engine.closeSocket(s.session) }) }

func (s *Socket) change(f func()) {
	s.engine.mu.Lock()
	defer s.engine.mu.Unlock()
	if s.session.socket == s {
		f()
	}
}

func (s *Socket) isBrokenAt(e *Engine, now time.Time) bool {
	return e.ErrorInsteadOfQR && !s.stuck && !now.Before(s.openedAt.Add(e.QRDelay))
}

// open starts a connect of the session and ends any other.
func (e *Engine) open(s *simSession, stuck bool) {
	e.closeSocket(s)
	ctx, cancel := context.WithCancel(context.Background())
	socket := &Socket{engine: e, session: s, stop: cancel, openedAt: e.now(), stuck: stuck}
	s.socket, s.stale, s.activeAt = socket, false, socket.openedAt
	if e.Begin == nil || stuck || e.isClosed() {
		return
	}
	begin, name := e.Begin, s.name
	e.begins.Go(func() { begin(ctx, name, socket) })
}

// link marks the session as linked to a phone.
func (e *Engine) link(s *simSession, phone string) {
	s.socket.linked, s.socket.broken = true, false
	s.phone, s.linkedAt, s.activeAt = phone, e.now(), e.now()
}

// Session is the true state of a session, for tests to compare with the responses of a gateway.
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
	Failures  int // failed connects
	Restarts  int
}

// Snapshot returns every session by growing id.
func (e *Engine) Snapshot() []Session {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.restartIfDue()
	all := make([]Session, 0, len(e.sessions))
	for _, s := range e.sessions {
		now := e.now()
		e.advance(s, now)
		c, _ := e.current(s, now)
		all = append(all, Session{
			ID: s.id, Name: s.name, Account: s.account, Phase: e.phase(s, now), Phone: s.phone,
			Code: c.text, Sequence: c.sequence, Generated: c.generated,
			Connects: s.connects, Failures: s.failures, Restarts: s.restarts,
		})
	}
	return all
}
