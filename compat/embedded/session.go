package embedded

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"qrgate/compat"
	"qrgate/internal/redact"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/internal/webhook"
)

// engineSession is one session: its row in the database, its state, and the connection that the state requires.
type engineSession struct {
	engine *Engine
	row    row // as it is in the database; mu guards jid and paused, the rest does not change

	mu     sync.Mutex
	link   linkState
	conn   *connection   // nil while the state requires none
	image  secret.Secret // the image of the current code
	timer  *time.Timer   // sends a tick at link.Deadline
	closed bool          // deleted, or the engine is closing: every event is ignored

	// linking is taken by the request that works on a pairing code or a passkey; it guards the rest.
	linking     chan struct{}
	issued      pairingCode
	assertedFor *passkeyState // what the last assertion was sent for
	assertedAt  time.Time
}

func newSession(e *Engine, r row) *engineSession {
	return &engineSession{engine: e, row: r, link: linkState{
		JID: r.jid, Paused: r.paused, Since: r.updated, Jitter: rand.Float64(),
	}, linking: make(chan struct{}, 1)}
}

// log adds the client's name of the session and its id in the database.
func (s *engineSession) log() *slog.Logger {
	return s.engine.log.With("session", s.row.sessionID, "id", s.row.id)
}

// apply applies an event. from is the connection that reports it, nil for requests and timers; events of a replaced
// connection are ignored. It returns false if the event had no effect.
func (s *engineSession) apply(from *connection, e event) bool {
	isApplied, isVisible := s.applyLocked(from, e)
	if isVisible && s.engine.onChange != nil {
		s.engine.onChange(session.Ref{ID: s.row.id, Name: s.row.sessionID})
	}
	return isApplied
}

// applyLocked also reports whether clients see a difference.
func (s *engineSession) applyLocked(from *connection, e event) (isApplied, isVisible bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || from != nil && from != s.conn {
		return false, false
	}
	now := time.Now()
	before := s.link
	next := transition(e, before, now)
	var err error
	if _, isScan := e.(scanned); isScan { // no phone is paired with a session that a restart would lose
		if err = s.store(next, now); err != nil {
			next = transition(rejected{why: storageReason(err), unlinked: true}, before, now)
		}
	}
	s.link = next
	s.updateImage(before)
	s.emitChanges(before, now) // first, so that a process that ends in between loses no event
	if err == nil {
		err = s.store(next, now)
	}
	if err != nil {
		s.log().Error("cannot store session", "error", redact.Foreign(err.Error()))
	}
	s.updateConnection(before)
	s.resetTimer(before, now)
	s.logChange(before)
	isVisible = before.state() != s.link.state() || before.Sequence != s.link.Sequence ||
		before.Passkey != s.link.Passkey || before.LastDisconnect != s.link.LastDisconnect
	return err == nil, isVisible
}

// store writes what must survive a restart of the process.
func (s *engineSession) store(next linkState, now time.Time) error {
	if next.JID == s.row.jid && next.Paused == s.row.paused {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	if err := s.engine.db.update(ctx, s.row.id, next.JID, next.Paused, now); err != nil {
		return err
	}
	s.row.jid, s.row.paused = next.JID, next.Paused
	return nil
}

// updateConnection opens or closes the connection as the state requires.
func (s *engineSession) updateConnection(before linkState) {
	isNew := s.link.Generation != before.Generation
	if s.conn != nil && (isNew || s.link.isInactive()) {
		s.conn.close()
		s.conn = nil
	}
	if isNew && !s.link.isInactive() {
		s.conn = s.engine.openConnection(s, s.link)
	}
}

// updateImage renders the current code once.
func (s *engineSession) updateImage(before linkState) {
	code, isShown := s.link.code()
	old, wasShown := before.code()
	if isShown && wasShown && code.Equal(old) {
		return
	}
	s.image = secret.Secret{}
	if !isShown {
		return
	}
	image, err := compat.RenderQR(code.Reveal())
	if err != nil {
		s.log().Error("cannot render code", "error", err)
		return
	}
	s.image = image
}

func (s *engineSession) resetTimer(before linkState, now time.Time) {
	if s.link.Deadline.Equal(before.Deadline) {
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

func (s *engineSession) logChange(before linkState) {
	from, to := before.state(), s.link.state()
	isLost := s.link.LastDisconnect.At.After(before.LastDisconnect.At)
	switch {
	case isLost && s.link.LastDisconnect.isKnown():
		s.log().Info("session disconnected", "state", to, "code", s.link.LastDisconnect.Code)
	case isLost: // a requested disconnect has no cause
		s.log().Info("session disconnected", "state", to)
	}
	if isLost || from != to {
		s.log().Debug("session state changed", "from", from, "to", to)
	}
}

// close ignores all later events and closes the connection.
func (s *engineSession) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
	}
	if s.conn != nil {
		s.conn.close()
	}
	s.conn = nil
}

// logout removes the device from the phone's list if the session is online, closes the connection, and returns the
// session as it was before. A device that is not online stays on the list until the phone's owner removes it.
func (s *engineSession) logout(ctx context.Context) view {
	s.mu.Lock()
	c, v := s.conn, view{row: s.row, link: s.link}
	s.mu.Unlock()
	if c == nil {
		return v
	}
	if cli := c.client.Load(); cli != nil && v.link.Phase == online {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), logoutTimeout)
		if err := cli.Logout(limited); err != nil {
			s.log().Warn("cannot log out; the device stays on the phone's list", "error", redact.Foreign(err.Error()))
		}
		cancel()
	}
	s.apply(nil, stopRequested{})
	waitFor(c.done, logoutTimeout)
	return v
}

// view is a snapshot of a session.
type view struct {
	row   row
	link  linkState
	image secret.Secret
	hook  *webhook.Target // its own; nil without one

	queue int // position among the sessions that wait for their turn to dial, 1 is next; 0 without a turn to wait for
}

// refreshed applies a due deadline first: a code is replaced at the moment at which it expires, even if the timer
// has not fired yet.
func (s *engineSession) refreshed() view {
	s.apply(nil, tick{})
	return s.view()
}

func (s *engineSession) view() view {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := view{row: s.row, link: s.link, image: s.image, hook: s.engine.webhooks.own(s.row.id)}
	if s.link.Phase == queued && s.conn != nil {
		v.queue = s.conn.places[0].position(s.conn.ticket)
	}
	return v
}

func (v view) ref() session.Ref { return session.Ref{ID: v.row.id, Name: v.row.sessionID} }

// phone returns the number of the paired account, "" without one: the part of the JID before the device.
func (v view) phone() string {
	user, _, _ := strings.Cut(v.link.JID, "@")
	user, _, _ = strings.Cut(user, ":")
	user, _, _ = strings.Cut(user, ".")
	return user
}

// qr returns the code that can be scanned at now.
func (v view) qr(now time.Time) (session.QR, bool) {
	q := session.QR{Image: v.image, Sequence: v.link.Sequence, SeenAt: v.link.ShownAt, ConfirmedAt: now,
		ExpiresAt: v.link.Deadline}
	return q, q.Present() && q.TTL(now) > 0
}
