package enginesim

import (
	"context"
	"time"
)

// Socket is one accepted connect of a session. A [Engine.Begin] reports through it; its methods may be called from
// any goroutine and do nothing once the connect is over.
type Socket struct {
	engine  *Engine
	session *simSession
	stop    context.CancelFunc
	opened  time.Time // when the connect was accepted
	stuck   bool      // never brings a code
	linked  bool
	broken  bool
	asks    int // requests for the QR
	used    int // highest sequence within this connect
	pushed  []push

	renderedText string // the code whose image is kept
	rendered     string
	textOf       int // the sequence whose text is kept
	text         string
}

// push is a code that came from outside.
type push struct {
	text string
	at   time.Time
}

// Show makes text the current code.
func (s *Socket) Show(text string) {
	s.change(func() { s.pushed = append(s.pushed, push{text, s.engine.now()}) })
}

// Linked says that a phone with this number scanned the code.
func (s *Socket) Linked(phone string) {
	s.change(func() { s.engine.link(s.session, phone) })
}

// Failed says that no code will come: the session's state becomes error.
func (s *Socket) Failed() { s.change(func() { s.broken = true }) }

// Closed says that the connect is over, for instance because its codes ran out.
func (s *Socket) Closed() { s.change(func() { s.engine.drop(s.session) }) }

func (s *Socket) change(f func()) {
	s.engine.mu.Lock()
	defer s.engine.mu.Unlock()
	if s.session.socket == s {
		f()
	}
}

func (s *Socket) brokenBy(e *Engine, now time.Time) bool {
	return e.ErrorInsteadOfQR && !s.stuck && !now.Before(s.opened.Add(e.QRDelay))
}

// open starts a connect of the session in place of any other.
func (e *Engine) open(s *simSession, stuck bool) {
	e.drop(s)
	ctx, cancel := context.WithCancel(context.Background())
	socket := &Socket{engine: e, session: s, stop: cancel, opened: e.now(), stuck: stuck}
	s.socket, s.stale, s.active = socket, false, socket.opened
	if e.Begin == nil || stuck || e.isClosed() {
		return
	}
	begin, name := e.Begin, s.name
	e.beginners.Go(func() { begin(ctx, name, socket) })
}

// link marks the session as linked to a phone.
func (e *Engine) link(s *simSession, phone string) {
	s.socket.linked, s.socket.broken = true, false
	s.phone, s.linkedAt, s.active = phone, e.now(), e.now()
}
