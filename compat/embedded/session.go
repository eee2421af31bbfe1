package embedded

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// engineSession is one session: what is stored of it, its link, and the line that the link asks for.
type engineSession struct {
	engine *Engine
	row    row // as it was read or made; what changes of it is below

	mu    sync.Mutex
	saved saved
	link  linkState
	line  *connection   // what the link asks for; nil if it asks for nothing
	image secret.Secret // the code that is shown, drawn
	timer *time.Timer   // comes with a tick when the link is due
	gone  bool          // deleted, or the engine ends: nothing happens any more
}

// saved is the part of a row that changes, as it is in the database.
type saved struct {
	jid    string
	paused bool
}

func newSession(e *Engine, r row) *engineSession {
	return &engineSession{engine: e, row: r, saved: saved{r.jid, r.paused},
		link: linkState{JID: r.jid, Paused: r.paused, Since: r.updated}}
}

// log names the session as its client does, which logs are searched by, and as the database does.
func (s *engineSession) log() *slog.Logger {
	return s.engine.log.With("session", s.row.sessionID, "id", s.row.id)
}

// apply lets e happen. from is the line that reports it, nil for people and time; what a line reports that
// was replaced since is ignored. It reports false if nothing came of it.
func (s *engineSession) apply(from *connection, e event) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone || from != nil && from != s.line {
		return false
	}
	now := time.Now()
	was := s.link
	next := transition(e, was, now)
	if err := s.store(next, now); err != nil {
		s.log().Error("a session could not be stored", "error", scrub(err.Error()))
		if _, ok := e.(scanned); ok {
			return false // no phone may be linked to what will be forgotten
		}
	}
	s.link = next
	s.connect(was)
	s.draw(was)
	s.resetTimer(was, now)
	s.notify(was)
	return true
}

// store keeps what must outlive the process.
func (s *engineSession) store(next linkState, now time.Time) error {
	want := saved{next.JID, next.Paused}
	if want == s.saved {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), writeTime)
	defer cancel()
	if err := s.engine.db.update(ctx, s.row.id, want, now); err != nil {
		return err
	}
	s.saved = want
	return nil
}

// connect gives the link the line it asks for.
func (s *engineSession) connect(was linkState) {
	fresh := s.link.Generation != was.Generation
	if s.line != nil && (fresh || s.link.inactive()) {
		s.line.hangUp()
		s.line = nil
	}
	if fresh && !s.link.inactive() {
		s.line = s.engine.begin(s, s.link.JID)
	}
}

// draw renders the code that is shown, once.
func (s *engineSession) draw(was linkState) {
	code, shown := s.link.code()
	before, ok := was.code()
	if shown && ok && code.Equal(before) {
		return
	}
	s.image = secret.Secret{}
	if !shown {
		return
	}
	image, err := draw(code)
	if err != nil {
		s.log().Error("a code could not be drawn", "error", err)
		return
	}
	s.image = image
}

// resetTimer sets the alarm for the watchdog.
func (s *engineSession) resetTimer(was linkState, now time.Time) {
	if s.link.Deadline.Equal(was.Deadline) {
		return
	}
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	if due := s.link.Deadline; !due.IsZero() {
		s.timer = time.AfterFunc(due.Sub(now), func() { s.apply(nil, tick{}) })
	}
}

// notify reports a change.
func (s *engineSession) notify(was linkState) {
	from, to := was.state(), s.link.state()
	c := Change{From: from, To: to}
	if s.link.Last.At.After(was.Last.At) {
		c.Code = s.link.Last.Code
		why := []any{"state", to}
		if s.link.Last.known() { // somebody's own wish is no cause
			why = append(why, "code", c.Code)
		}
		s.log().Info("a session lost its connection", why...)
	} else if from == to {
		return
	}
	s.log().Debug("a session changed", "from", from, "to", to)
	s.engine.config.Observe(c)
}

// end makes the session deaf and hangs its line up, which it returns.
func (s *engineSession) end() *connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = true
	if s.timer != nil {
		s.timer.Stop()
	}
	l := s.line
	if l != nil {
		l.hangUp()
	}
	s.line = nil
	return l
}

// view is a session at one moment.
type view struct {
	row   row
	link  linkState
	image secret.Secret
}

// refreshed is the session as it is now, even if its alarm is about to ring: a code is replaced in the moment
// in which it expires, whoever looks.
func (s *engineSession) refreshed() view {
	s.apply(nil, tick{})
	return s.view()
}

func (s *engineSession) view() view {
	s.mu.Lock()
	defer s.mu.Unlock()
	return view{row: s.row, link: s.link, image: s.image}
}

// ref names the session in both documented ways.
func (v view) ref() session.Ref { return session.Ref{ID: v.row.id, Name: v.row.sessionID} }

// phone is the number of the linked account, empty without one: the part of the JID before the device.
func (v view) phone() string {
	user, _, _ := strings.Cut(v.link.JID, "@")
	user, _, _ = strings.Cut(user, ":")
	user, _, _ = strings.Cut(user, ".")
	return user
}

// qr is the code that can be scanned at now, if there is one.
func (v view) qr(now time.Time) (session.QR, bool) {
	q := session.QR{Image: v.image, Sequence: v.link.Sequence, SeenAt: v.link.Seen, ConfirmedAt: now, ExpiresAt: v.link.Deadline}
	return q, q.Present() && q.TTL(now) > 0
}
